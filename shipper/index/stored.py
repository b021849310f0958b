"""The stored block: its bytes in the database, of which the first are read at once, and the others when they are needed.

What a pattern is looked for in stands at its beginning, and is mostly a small part of it.
"""

from __future__ import annotations

import sqlite3

FIRST_BYTES = 16 << 10
"""What is read at once: the head, the templates, and the first columns of most blocks."""


class Stored:
    """The bytes of one block, in the present view of the database. Slices raise ValueError where they can't be read."""

    def __init__(self, database: sqlite3.Connection, block: int) -> None:
        """Raises sqlite3.Error where there is no such block."""
        self._database, self._block = database, block
        with database.blobopen("blocks", "data", block, readonly=True) as blob:
            self._length = len(blob)
            self._known = blob.read(FIRST_BYTES)

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._length)
        if end > len(self._known):
            try:
                with self._database.blobopen("blocks", "data", self._block, readonly=True) as blob:
                    self._known = blob.read()
            except sqlite3.Error as error:
                raise ValueError(str(error)) from error
        return self._known[begin:end]


class Window:
    """The bytes of a stored block from ``begin`` to ``end``, as if there were no others."""

    def __init__(self, stored: Stored, begin: int, end: int) -> None:
        self._stored, self._begin, self._length = stored, begin, end - begin

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._length)
        return self._stored[self._begin + begin : self._begin + end]
