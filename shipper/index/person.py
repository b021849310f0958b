"""Persons, organizations and templates by name: a term on names as the ids behind them, each with the time it held.

A row meets the term when the name was that one as of the row, which is also the name that is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from shipper.directory.history import Period
from shipper.directory.lookup import Directory, Match
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE
from shipper.errors import QueryError
from shipper.query.filter import Names
from shipper.query.value import read_uuid

NOTES_MAX_COUNT = 3
"""Changed names that an answer tells of."""
_ATTRIBUTES = {
    "organization": (ORGANIZATION, "name"),
    "workspace_owner": (USER, "username"),
    "workspace_owner_email": (USER, "email"),
    "username": (USER, "username"),
    "user_email": (USER, "email"),
}
"""What a key of the query names."""
_COLUMNS = {USER: ("owner", "user"), ORGANIZATION: ("organization",), WORKSPACE: ("workspace",)}
"""Columns of words that hold the ids of a kind."""


class Meant(Struct, frozen=True):
    """What a term means: values to compare with as they are, ids with their time, and what to tell of it."""

    values: tuple[str, ...]
    matches: tuple[Match, ...]
    notes: tuple[str, ...]


class Bounded(Struct, frozen=True):
    """Ids in a column that count only in a period."""

    column: str
    ids: tuple[str, ...]
    period: Period


def meaning(term: Names, directory: Directory, *, stored_names: bool) -> Meant:
    """What a term means; ``stored_names``: there are rows that were stored with names.

    Raises QueryError for an organization that is none, in Coder's words, where the organizations are known.
    """
    kind, attribute = _ATTRIBUTES[term.key]
    by_me = term.key in ("workspace_owner", "username") and "me" in term.values
    values = tuple(value for value in term.values if value != "me" or not by_me)
    notes: list[str] = []
    if by_me:
        me = directory.me()
        if me is None:
            notes.append(
                f"{term.key}:me finds nothing here: 'connlog names sync' asks Coder who that is, "
                "and 'connlog names import --me NAME' tells"
            )
        else:
            values = (*values, me)
            why = "as it was imported" if directory.fact("me_by") == "import" else "whose token asked Coder"
            notes.append(f'"me" is {_called(directory, me)}, {why}')
    named = [value for value in values if read_uuid(value) is None]
    matches = directory.matches(kind, attribute, named) if named else []
    if named and not directory.knows(kind):
        if not stored_names:
            notes.append(
                f"names are not known yet: {term.key}: matches ids only; 'connlog names sync' asks Coder for them, "
                "'connlog names import' reads a file"
            )
    elif kind == ORGANIZATION and not stored_names:
        for value in named:
            if not directory.matches(kind, attribute, [value]):
                raise QueryError(
                    "organization",
                    f'Query param "organization" has invalid value: organization "{value}" either does not exist, '
                    "or you are unauthorized to view it",
                )
    notes += _changes(matches, directory, term.key, attribute)
    return Meant(values, tuple(matches), tuple(notes))


def bounded(matches: Sequence[Match], columns: Sequence[str] | None = None) -> list[Bounded]:
    """Matches put together by column and period; ``columns`` are those asked for, None all that hold such ids."""
    together: dict[tuple[str, Period], list[str]] = {}
    for match in matches:
        for column in _COLUMNS[match.kind]:
            if columns is None or column in columns:
                together.setdefault((column, match.period), []).append(match.id)
    return [Bounded(column, tuple(ids), period) for (column, period), ids in together.items()]


def _called(directory: Directory, id_: str) -> str:
    spans = directory.history(USER, id_).get("username")
    return spans[-1].value if spans else id_


def _changes(matches: Sequence[Match], directory: Directory, key: str, attribute: str) -> list[str]:
    """A sentence for each that had another name at another time."""
    notes: list[str] = []
    for match in dict.fromkeys((match.kind, match.id) for match in matches):
        spans = directory.history(*match).get(attribute, [])
        if len(spans) > 1 and len(notes) < NOTES_MAX_COUNT:
            told = " then ".join(dict.fromkeys(span.value for span in spans[-4:]))
            notes.append(f"{key}: matches the name as of each event; {match[1]} was {told}: {key}:{match[1]} finds all")
    return notes
