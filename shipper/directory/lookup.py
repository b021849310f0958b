"""The lookup: names as of an event, and the ids that a name stood for, from the tables of the directory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.json import encode

from shipper.directory.history import Period, Span, as_of, periods
from shipper.directory.schema import HAS_TABLES
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE
from shipper.directory.store import fact, is_open

CACHE_MAX_COUNT = 65_536
"""Users, organizations and workspaces remembered with their history; when full they are forgotten."""
MATCHES_MAX_COUNT = 20_000
"""Ids that one part of a name may stand for; of more the rest is not looked for, and the answer says so."""

_HISTORY = (
    "SELECT attribute, value, first_ns, last_ns, source FROM directory_values "
    "WHERE kind = ? AND id = ? ORDER BY attribute, first_ns"
)
_WITH_VALUE = (
    "SELECT DISTINCT id FROM directory_values WHERE kind = ? AND attribute = ? "
    "AND fold IN (SELECT value FROM json_each(?))"
)
_CONTAINING = (
    "SELECT DISTINCT kind, id, attribute, fold FROM directory_values "
    "WHERE (kind, attribute) IN (VALUES ('user', 'username'), ('user', 'email'), ('organization', 'name'), "
    "('workspace', 'template')) AND instr(fold, ?) LIMIT ?"
)
_ALL_SHOWN = _CONTAINING.replace("instr(fold, ?)", "1").replace("fold FROM", "value FROM")
_CHANGED = (
    "SELECT DISTINCT id FROM directory_values WHERE kind = ? AND attribute = ? "
    "GROUP BY kind, id, attribute HAVING count(*) > 1"
)
_BEGINNING = (
    "SELECT DISTINCT value FROM directory_values WHERE kind = ? AND attribute = ? "
    "AND substr(fold, 1, length(?)) = ? ORDER BY fold LIMIT ?"
)
_ANY = "SELECT 1 FROM directory_values WHERE kind = ? LIMIT 1"
_LIST = "SELECT DISTINCT id FROM directory_values WHERE kind = ? ORDER BY id"
_LIST_WITH = (
    "SELECT DISTINCT id FROM directory_values WHERE kind = ?1 AND (instr(fold, ?2) OR instr(id, ?2)) ORDER BY id"
)

History = dict[str, list[Span]]
"""The spans of each attribute."""


class Match(Struct, frozen=True):
    """An id that a name stood for, and when."""

    kind: str
    id: str
    period: Period


class Directory:
    """The directory inside a database that is open for reading. ``refresh`` at the start of each answer."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._there = False
        self._generation: str | None = None
        self._known: dict[tuple[str, str], History] = {}

    def refresh(self) -> None:
        """Take note of what was learnt since."""
        if not self._there:
            self._there = self._database.execute(HAS_TABLES).fetchone() is not None
        if self._there:
            generation = fact(self._database, "generation")
            if generation != self._generation:
                self._known.clear()
                self._generation = generation

    @property
    def empty(self) -> bool:
        """Whether nobody's name is known."""
        return self._generation is None

    @property
    def generation(self) -> str | None:
        """Changes whenever something new was learnt; None where nothing ever was."""
        return self._generation

    def knows(self, kind: str) -> bool:
        """Whether anything of a kind is known."""
        return not self.empty and self._database.execute(_ANY, (kind,)).fetchone() is not None

    def history(self, kind: str, id_: str) -> History:
        """All that is known of one; empty where nothing is."""
        if self.empty:
            return {}
        known = self._known.get((kind, id_))
        if known is None:
            known = {}
            for attribute, value, first_ns, last_ns, source in self._database.execute(_HISTORY, (kind, id_)):
                known.setdefault(attribute, []).append(Span(value, first_ns, last_ns, source))
            if len(self._known) >= CACHE_MAX_COUNT:
                self._known.clear()
            self._known[kind, id_] = known
        return known

    def value(self, kind: str, id_: str | None, attribute: str, at_ns: int) -> str | None:
        """What an attribute was at a moment, or None."""
        if id_ is None:
            return None
        spans = self.history(kind, id_).get(attribute)
        return None if spans is None else as_of(spans, at_ns)

    def names(
        self,
        at_ns: int,
        *,
        user_id: str | None,
        owner_id: str | None,
        organization_id: str | None,
        workspace_id: str | None,
    ) -> dict[str, str | None]:
        """The names of a record's ``names`` as of a moment; only those that are known."""
        if self.empty:
            return {}
        found = {
            "user": self.value(USER, user_id, "username", at_ns),
            "user_email": self.value(USER, user_id, "email", at_ns),
            "workspace_owner": self.value(USER, owner_id, "username", at_ns),
            "organization": self.value(ORGANIZATION, organization_id, "name", at_ns),
            "template": self.value(WORKSPACE, workspace_id, "template", at_ns),
        }
        return {key: value for key, value in found.items() if value is not None}

    def varies(self, kind: str, id_: str) -> bool:
        """Whether any of its attributes had more than one value."""
        return any(len(spans) > 1 for spans in self.history(kind, id_).values())

    def is_open(self, kind: str, id_: str, now_ns: int) -> bool:
        """Whether nothing is known of an id, and Coder may be asked for it."""
        return not self._there or is_open(self._database, kind, id_, now_ns)

    def matches(self, kind: str, attribute: str, values: Sequence[str]) -> list[Match]:
        """The ids whose attribute was one of ``values`` (lower case), each with the time it was."""
        if self.empty:
            return []
        rows = self._database.execute(_WITH_VALUE, (kind, attribute, encode(list(values)).decode())).fetchall()
        wanted = frozenset(values)
        return [
            Match(kind, id_, period)
            for (id_,) in rows
            for period in periods(self.history(kind, id_).get(attribute, []), wanted)
        ]

    def containing(self, text: str) -> tuple[list[Match], bool]:
        """The ids of which a name that is shown held ``text`` (lower case), and whether there are more than are given."""
        if self.empty:
            return [], False
        rows = self._database.execute(_CONTAINING, (text, MATCHES_MAX_COUNT + 1)).fetchall()
        return self._of_rows(rows[:MATCHES_MAX_COUNT]), len(rows) > MATCHES_MAX_COUNT

    def shown(self) -> Iterator[tuple[str, str, str, str]]:
        """Kind, id, attribute and value of every name that is shown, former ones too."""
        if not self.empty:
            yield from self._database.execute(_ALL_SHOWN, (-1,))

    def of_values(self, rows: Sequence[tuple[str, str, str, str]]) -> list[Match]:
        """The matches of some of what ``shown`` gave."""
        return self._of_rows([(kind, id_, attribute, value.lower()) for kind, id_, attribute, value in rows])

    def _of_rows(self, rows: Sequence[tuple[str, str, str, str]]) -> list[Match]:
        wanted: dict[tuple[str, str, str], set[str]] = {}
        for kind, id_, attribute, fold in rows:
            wanted.setdefault((kind, id_, attribute), set()).add(fold)
        return [
            Match(kind, id_, period)
            for (kind, id_, attribute), folds in wanted.items()
            for period in periods(self.history(kind, id_).get(attribute, []), frozenset(folds))
        ]

    def changed(self, kind: str, attribute: str) -> list[str]:
        """The ids whose attribute had more than one value."""
        if self.empty:
            return []
        return [row[0] for row in self._database.execute(_CHANGED, (kind, attribute))]

    def ids(self, kind: str, part: str = "") -> list[str]:
        """Every id of a kind; with ``part`` (lower case) those that hold it in a value or themselves."""
        if self.empty:
            return []
        rows = self._database.execute(_LIST_WITH, (kind, part)) if part else self._database.execute(_LIST, (kind,))
        return [row[0] for row in rows]

    def beginning(self, kind: str, attribute: str, begun: str, limit: int) -> list[str]:
        """Values that begin with ``begun`` (lower case), former ones too, in their order."""
        if self.empty:
            return []
        return [row[0] for row in self._database.execute(_BEGINNING, (kind, attribute, begun, begun, limit))]

    def me(self) -> str | None:
        """The id of the user whose token asked Coder last."""
        return fact(self._database, "me") if self._there else None

    def fact(self, name: str) -> str | None:
        """A fact of the directory's."""
        return fact(self._database, name) if self._there else None
