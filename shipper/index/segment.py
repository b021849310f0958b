"""The segments: runs of numbers of events or connections, which the indexes by key are cut into.

A key is looked for in each segment that is there, the newest first where most keys are found.
"""

from __future__ import annotations

import sqlite3

from shipper.index.schema import SEGMENT_BITS
from shipper.index.sql import ENDS


def segments(database: sqlite3.Connection, table: str, bits: int = SEGMENT_BITS) -> str:
    """All segments of ``events`` or ``connections`` as a JSON array."""
    low, high = database.execute(ENDS.format(table=table)).fetchone()
    return "[]" if high is None else listed(low >> bits, high >> bits)


def listed(first: int, last: int) -> str:
    """The segments from ``first`` to ``last`` as a JSON array."""
    return f"[{','.join(map(str, range(first, last + 1)))}]"


class NewestFirst:
    """The segments in two lists: the last two, and those before. For a writer, who knows its last number."""

    def __init__(self, database: sqlite3.Connection, table: str) -> None:
        low, high = database.execute(ENDS.format(table=table)).fetchone()
        self._first = (low or 0) >> SEGMENT_BITS
        self._last = -1
        self.lists: tuple[str, ...] = ()
        self.reach(high or 0)

    def reach(self, number: int) -> None:
        """Take in the segment of the last number given."""
        last = number >> SEGMENT_BITS
        if last != self._last:
            # Numbers begin anew where all has expired.
            self._first = min(self._first, last)
            self._last = last
            recent = max(self._first, last - 1)
            lists = (listed(recent, last), *([listed(self._first, recent - 1)] if recent > self._first else []))
            self.lists = lists
