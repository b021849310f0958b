"""The marks: some offsets up to which a file was read, close together at its end, each with a hash of the bytes before.

A copy that was made before the last lines were read holds less than was read, so that the position itself does
not fit it. The furthest mark that it holds says from where on it may hold anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shipper.journal import Position
from shipper.journal.position import MARKER_MAX_BYTES, MARKS_MAX_COUNT, digest

NEAREST, FURTHEST = 6, 20
"""Powers of two: inside what is read at once marks are set so many bytes before its end."""
LOOK_BYTES = 65_536
ReadAt = Callable[[int, int], bytes]


class Marks:
    """Of each distance from the end, to a power of two, the nearest mark; and the first of all."""

    def __init__(self, marks: Iterable[tuple[int, bytes]] = ()) -> None:
        self.all: tuple[tuple[int, bytes], ...] = tuple(marks)

    def add(self, end: int, data: bytes) -> None:
        """``data`` was read and ends at the offset ``end``; it may begin with bytes that were read before."""
        begin = end - len(data)
        fresh: list[tuple[int, bytes]] = []
        for at in (end, *(end - (1 << power) + 1 for power in range(NEAREST, FURTHEST + 1))):
            if at - MARKER_MAX_BYTES < begin and not (begin == 0 and at > 0):
                break
            fresh.append((at, _hash(data[max(0, at - MARKER_MAX_BYTES - begin) : at - begin])))
        kept: dict[int, tuple[int, bytes]] = {}
        for mark in sorted({*fresh, *self.all}, reverse=True):
            kept.setdefault((end - mark[0]).bit_length(), mark)
        first = min((*fresh, *self.all), default=None)
        marks = sorted({*list(kept.values())[: MARKS_MAX_COUNT - 1], *([first] if first else [])})
        self.all = tuple(marks)


def begin_of_rest(position: Position, read: ReadAt) -> int:
    """Where to begin in a file that holds less than was read up to ``position``: at the line behind the furthest mark
    that it holds, or at 0 where it holds none or is no such file. Raises InputError."""
    if read(position.offset - 1, 1):
        return 0
    head = read(position.head_at, position.head_length)
    if len(head) == position.head_length and digest(head) != position.head:
        return 0
    for at, known in reversed(position.marks):
        size = min(MARKER_MAX_BYTES, at - position.head_at)
        before = read(at - size, size)
        if len(before) == size:
            return _next_line(at, read) if _hash(before) == known else 0
    return 0


def _next_line(at: int, read: ReadAt) -> int:
    """The offset of the first line that begins at ``at`` or behind it, or the end."""
    at -= 1
    while data := read(at, LOOK_BYTES):
        found = data.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(data)
    return at


def _hash(data: bytes) -> bytes:
    return digest(data)[:8]
