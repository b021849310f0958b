"""The answer: the rows that a question found, read only as they are walked, and what must be known beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from shipper.index.connection import Connection
from shipper.record import Record

ROWS_TOGETHER = 1024
"""Rows of an answer that are in memory at once."""


class RowReader(Protocol):
    def row(self, number: int, events: bool) -> Record | Connection: ...

    def release(self) -> None: ...


class Rows(Sequence[Record | Connection]):
    """The rows of an answer in order, read from the index only as they are walked; valid until the next search."""

    def __init__(self, reader: RowReader, ids: Sequence[int], events: bool) -> None:
        self._reader, self._ids, self._events = reader, ids, events

    def release(self) -> None:
        """Let go of the view that the rows are read from, when all that are needed were read: who looks at them for
        long, in a pager, keeps nobody from giving room back to the disk."""
        self._reader.release()

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[Record | Connection]:
        for at in range(0, len(self._ids), ROWS_TOGETHER):
            together = self._ids[at : at + ROWS_TOGETHER]
            # Read in the order of storage whatever the order of the answer: neighbours share a block.
            rows = {number: self._reader.row(number, self._events) for number in sorted(together)}
            for number in together:
                yield rows[number]

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # both overloads of Sequence in one
        if isinstance(index, slice):
            return Rows(self._reader, self._ids[index], self._events)
        return self._reader.row(self._ids[index], self._events)


class Missing(NamedTuple):
    """How much is known to be missing from a range of time: gaps of the log, and lines that could not be read."""

    gaps: int
    quarantined: int


class Answer(Struct, frozen=True):
    """What a search gave: ``cut`` where the limit left rows out; ``gaps`` and ``quarantined`` count what is
    known to be missing from the range of time asked for; ``notes`` are sentences for the one who asked."""

    rows: Rows
    cut: bool
    notes: tuple[str, ...]
    gaps: int
    quarantined: int
