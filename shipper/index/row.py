"""The rows of new events, as columns that run beside each other, and how they are put into the table.

Many at once cost half of what they cost one by one, when none is made a row before SQLite takes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from shipper.index import sql
from shipper.index.connection import part
from shipper.index.pairing import Member


class Rows(NamedTuple):
    """The columns of ``events`` but for the number, each as long as the others; ``words``: ids of kinds, of places, and of
    ``ROW_COLUMNS``."""

    packed: list[bytes]
    times: list[int]
    ended: list[int]
    belongs: Sequence[int]
    requests: list[int | None]
    codes: list[int | None]
    sessions: Sequence[Any]
    words: Sequence[Sequence[int | None]]

    def add(self, database: sqlite3.Connection, first: int) -> None:
        """Add them with numbers from ``first`` on; a column in which all is null is not named."""
        count = len(self.packed)
        columns: list[Sequence[Any]] = [range(first, first + count), *self[:-1], *self.words]
        given = [place for place, column in enumerate(columns) if column[0] is not None or column.count(None) < count]
        # An id is no 0, which takes SQLite's module a fifth of the time of None to hand over.
        values = [
            [value or 0 for value in columns[place]]
            if place >= sql.EVENT_WORD and None in columns[place]
            else columns[place]
            for place in given
        ]
        database.executemany(sql.add_events(tuple(given)), zip(*values, strict=True))

    def members(self, places: Sequence[int], first: int) -> list[Member]:
        """Those at these places as members of a connection; ``first`` is the number of the first of all."""
        cells = (self.codes, self.sessions, *self.words)
        return [
            Member(
                part(
                    bool(self.ended[place]),
                    self.times[place],
                    self.packed[place],
                    tuple([column[place] for column in cells]),
                ),
                first + place,
            )
            for place in places
        ]
