"""The bulk load: fills an index that nobody asks yet, and makes what only questions need when all is there."""

from __future__ import annotations

import sqlite3

CACHE_KIB = 262_144
_LATER = (
    "events_by_time",
    "connections_by_time",
    "connections_by_session",
    "connections_by_place",
    "connections_by_user",
    "connections_by_ip",
)
"""Indexes that the writer itself never looks into. Sorted once they cost half of what they cost row by row."""


class Bulk:
    """The database of an index while it is filled; a crash of the machine may leave it unsound, so that it has to
    be made again."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for pragma in ("journal_mode = MEMORY", "synchronous = OFF", f"cache_size = -{CACHE_KIB}"):
            database.execute(f"PRAGMA {pragma}").fetchall()
        marks = ", ".join("?" * len(_LATER))
        self._statements = [
            row[0]
            for row in database.execute(f"SELECT sql FROM sqlite_schema WHERE name IN ({marks})", _LATER)  # noqa: S608  # own names
        ]
        for name in _LATER:
            database.execute(f"DROP INDEX {name}")

    def finish(self) -> None:
        """Make the indexes, and the file one that readers and a writer may share."""
        for statement in self._statements:
            self._database.execute(statement)
        self._database.execute("PRAGMA journal_mode = WAL").fetchall()
