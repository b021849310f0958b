"""The bulk load: fills an index that nobody asks yet, and makes what only questions need when all is there."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

CACHE_KIB = 262_144
ROOM_EVENTS = 1 << 20
"""So many events what remembers their keys has room for from the start: to make it larger means to read all of them."""
KEYS_MAX_COUNT = 1 << 21
"""Keys of events held in memory, at 70 bytes each, while there is no index of them."""
_LATER = (
    "events_by_time",
    "connections_by_time",
    "connections_by_session",
    "connections_by_place",
    "connections_by_user",
    "connections_by_ip",
)
"""Indexes that the writer itself never looks into. Sorted once they cost half of what they cost row by row."""
_BY_KEY = "events_by_event"
"""The one that says whether an event is there already, which is seldom so."""


class Bulk:
    """The database of an index while it is filled; a crash of the machine may leave it unsound, so that it has to
    be made again."""

    def __init__(self, database: sqlite3.Connection, events: int) -> None:
        """``events``: how many are there."""
        self._database = database
        # Nothing is deleted here that would have to be overwritten.
        for pragma in (
            "journal_mode = MEMORY",
            "synchronous = OFF",
            f"cache_size = -{CACHE_KIB}",
            "secure_delete = OFF",
        ):
            database.execute(f"PRAGMA {pragma}").fetchall()
        self._keys: set[int] | None = None if events else set()
        later = _LATER if events else (*_LATER, _BY_KEY)
        marks = ", ".join("?" * len(later))
        self._statements: dict[str, str] = dict(
            database.execute(f"SELECT name, sql FROM sqlite_schema WHERE name IN ({marks})", later).fetchall()  # noqa: S608  # own names
        )
        for name in later:
            database.execute(f"DROP INDEX {name}")

    def are_new(self, keys: Sequence[int]) -> bool:
        """Whether no event with one of these keys was asked for before, for certain. Once that is not so, or there are too
        many to remember, the index by them is made and has to be asked from then on."""
        if self._keys is None:
            return False
        if len(self._keys) + len(keys) <= KEYS_MAX_COUNT and self._keys.isdisjoint(keys):
            self._keys.update(keys)
            return True
        self._keys = None
        self._database.execute(self._statements[_BY_KEY])
        return False

    def finish(self) -> None:
        """Make the indexes, and the file one that readers and a writer may share."""
        there = {name for (name,) in self._database.execute("SELECT name FROM sqlite_schema")}
        self._database.execute("BEGIN IMMEDIATE")
        for name, statement in self._statements.items():
            # Of what was rolled back an index may have been part.
            if name not in there:
                self._database.execute(statement)
        self._database.execute("COMMIT")
        self._database.execute("PRAGMA journal_mode = WAL").fetchall()
