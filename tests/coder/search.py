"""The search of the Coder double: the query text of the connection log, read as coderd's searchquery does.

Written from the rules of Coder's own search and not with connlog's query language, so that the two can be held
against each other.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from tests.coder.world import Row, User, World

RELEASE_TYPES = ("ssh", "vscode", "jetbrains", "reconnecting_pty", "workspace_app", "port_forwarding")
Condition = Callable[[Row], bool]


class Problem(NamedTuple):
    """One entry of ``validations``."""

    field: str
    detail: str


class BadQuery(Exception):
    """The query is refused with 400."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def compile_search(text: str, world: World, me: User, *, tunnel: bool, methods: bool) -> Condition:
    """What rows the query asks for; raises BadQuery. ``tunnel``, ``methods``: what this version of Coder knows."""
    terms, problems = _terms(text)
    conditions: list[Condition] = []
    search = _Search(world, me, tunnel, methods)
    for key, value in terms.items():
        read = search.reader(key)
        if read is None:
            problems.append(Problem(key, f'Query param "{key}" is not a valid query param'))
        elif value:
            try:
                conditions.append(read(value))
            except ValueError as error:
                problems.append(Problem(key, str(error)))
    if problems:
        raise BadQuery(problems)
    return lambda row: all(condition(row) for condition in conditions)


def _terms(text: str) -> tuple[dict[str, str], list[Problem]]:
    problems: list[Problem] = []
    values: dict[str, list[str]] = {}
    free: list[str] = []
    for token in _split(text.lower(), " \t\n\r"):
        if ":" not in token:
            free.append(token)
        elif token.startswith(":") or token.endswith(":"):
            problems.append(Problem("q", f"Query element \"{token}\" cannot start or end with ':'"))
        else:
            parts = [part.strip('"') for part in _split(token, ":")]
            if len(parts) > 2:
                quoted = token.replace("\\", "\\\\").replace('"', '\\"')
                problems.append(Problem("q", f"Query element \"{quoted}\" can only contain 1 ':'"))
            else:
                values.setdefault(parts[0], []).append(parts[1] if len(parts) == 2 else "")
    if free:
        values.setdefault("search", []).append(" ".join(free).strip('"'))
    for key, several in values.items():
        if len(several) > 1:
            detail = (
                f'Query param "{key}" provided more than once, found {len(several)} times. '
                "Only provide 1 instance of this query param."
            )
            problems.append(Problem(key, detail))
    return {key: several[0] for key, several in values.items()}, problems


def _split(text: str, delimiters: str) -> list[str]:
    pieces, piece, quoted = [], "", False
    for character in text:
        quoted ^= character == '"'
        if character in delimiters and not quoted:
            pieces.append(piece)
            piece = ""
        else:
            piece += character
    return [one for one in (*pieces, piece) if one]


_match_rfc3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)").fullmatch


class _Search:
    def __init__(self, world: World, me: User, tunnel: bool, methods: bool) -> None:
        self._world, self._me, self._tunnel, self._methods = world, me, tunnel, methods

    def reader(self, key: str) -> Callable[[str], Condition] | None:
        readers: dict[str, Callable[[str], Condition]] = {
            "organization": self._organization,
            "workspace_owner": lambda value: self._owned(self._username(value)),
            "workspace_owner_email": lambda value: self._owned(self._email(value)),
            "username": lambda value: self._by(self._username(value)),
            "user_email": lambda value: self._by(self._email(value)),
            "type": self._type,
            "connected_after": lambda value: self._since(self._moment("connected_after", value)),
            "connected_before": lambda value: self._until(self._moment("connected_before", value)),
            "workspace_id": self._workspace_id,
            "connection_id": self._connection_id,
            "status": self._status,
        }
        if self._methods:
            readers |= {"method": self._method, "app": lambda value: lambda row: row.app == value.replace("-", "_")}
        return readers.get(key)

    def _organization(self, value: str) -> Condition:
        for one in self._world.organizations.values():
            if value in (one.id, one.name):
                return lambda row: row.organization_id == one.id
        raise ValueError(
            f'Query param "organization" has invalid value: organization "{value}" either does not exist, '
            "or you are unauthorized to view it"
        )

    def _username(self, value: str) -> set[str]:
        if value == "me":
            return {self._me.id}
        return {u.id for u in self._world.users.values() if not u.deleted and u.username.lower() == value}

    def _email(self, value: str) -> set[str]:
        return {u.id for u in self._world.users.values() if not u.deleted and u.email.lower() == value}

    def _owned(self, ids: set[str]) -> Condition:
        return lambda row: row.workspace_owner_id in ids

    def _by(self, ids: set[str]) -> Condition:
        return lambda row: row.user_id in ids

    def _type(self, value: str) -> Condition:
        known = (*RELEASE_TYPES, "tunnel") if self._tunnel else RELEASE_TYPES
        if value not in known:
            raise ValueError(f'Query param "type" has invalid value: "{value}" is not a valid value')
        return lambda row: row.type == value

    def _method(self, value: str) -> Condition:
        if value not in ("ssh", "reconnecting_pty", "workspace_app", "port_forwarding", "tunnel"):
            raise ValueError(f'Query param "method" has invalid value: "{value}" is not a valid value')
        return lambda row: row.method == value

    def _moment(self, key: str, value: str) -> datetime:
        text = value.upper()
        if not _match_rfc3339(text):
            raise ValueError(
                f'Query param "{key}" must be a valid date format (2006-01-02T15:04:05.999999999Z07:00): '
                f'parsing time "{text}" as "2006-01-02T15:04:05.999999999Z07:00": cannot parse "{text}" as "2006"'
            )
        # PostgreSQL keeps microseconds: the digits after them are rounded, which here only cuts them.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))

    def _since(self, moment: datetime) -> Condition:
        return lambda row: row.connect_time >= moment

    def _until(self, moment: datetime) -> Condition:
        return lambda row: row.connect_time <= moment

    def _workspace_id(self, value: str) -> Condition:
        wanted = _uuid("workspace_id", value)
        return lambda row: row.workspace_id == wanted

    def _connection_id(self, value: str) -> Condition:
        wanted = _uuid("connection_id", value)
        return lambda row: row.connection_id == wanted

    def _status(self, value: str) -> Condition:
        if value not in ("ongoing", "completed"):
            raise ValueError(f'Query param "status" has invalid value: "{value}" is not a valid value')
        return lambda row: not row.web and (row.disconnect_time is None) is (value == "ongoing")


def _uuid(key: str, value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError(f'Query param "{key}" must be a valid uuid') from None
