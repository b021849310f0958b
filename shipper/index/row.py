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
    ``ROW_COLUMNS``, 0 for none."""

    packed: Sequence[bytes]
    times: Sequence[int]
    ended: Sequence[int]
    belongs: Sequence[int]
    requests: Sequence[int | None]
    codes: Sequence[int | None]
    sessions: Sequence[Any]
    words: Sequence[Sequence[int]]

    def add(self, database: sqlite3.Connection, first: int) -> None:
        """Add them with numbers from ``first`` on; a column in which all is null is not named."""
        count = len(self.packed)
        columns: list[Sequence[Any]] = [range(first, first + count), *self[:-1], *self.words]
        given = [
            place
            for place, column in enumerate(columns)
            if (any(column) if place >= sql.EVENT_WORD else column[0] is not None or column.count(None) < count)
        ]
        database.executemany(sql.add_events(tuple(given)), zip(*[columns[place] for place in given], strict=True))

    def members(self, places: Sequence[int], first: int) -> list[Member]:
        """Those at these places as members of a connection; ``first`` is the number of the first of all."""
        cells, words = (self.codes, self.sessions), self.words
        return [
            Member(
                part(
                    bool(self.ended[place]),
                    self.times[place],
                    self.packed[place],
                    tuple([column[place] for column in cells] + [column[place] or None for column in words]),
                ),
                first + place,
            )
            for place in places
        ]
