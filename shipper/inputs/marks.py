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
        self._all = tuple(marks)
        self._end = 0
        self._inside: list[tuple[int, bytes]] = []
        """Offsets inside of what was read last, and the bytes before each: no marks yet, as most never become one."""
        self._ends: list[tuple[int, bytes]] = []
        """The same of the ends of what was read since ``all`` was asked for."""

    @property
    def all(self) -> tuple[tuple[int, bytes], ...]:
        """The marks, nearest last."""
        if self._ends:
            self._settle()
        return self._all

    def add(self, end: int, data: bytes) -> None:
        """``data`` was read and ends at the offset ``end``; it may begin with bytes that were read before."""
        begin = end - len(data)
        # The end of what was read before is nearer than all inside of it, and where a long piece follows not nearer than
        # twice as far: of all these it alone becomes a mark.
        alone = bool(self._all) and end - self._end >= 1 << FURTHEST
        if self._ends and (not alone or len(self._ends) >= MARKS_MAX_COUNT):
            self._settle()
        self._end = end
        self._inside = []
        for at in (end, *_distances(end)):
            if at - MARKER_MAX_BYTES < begin and not (begin == 0 and at > 0):
                break
            self._inside.append((at, data[max(0, at - MARKER_MAX_BYTES - begin) : at - begin]))
        self._ends += self._inside[:1]

    def _settle(self) -> None:
        """Make marks of what was read, and keep what is to be kept."""
        end = self._end
        fresh = [(at, _hash(data)) for at, data in {*self._ends, *self._inside}]
        self._ends, self._inside = [], []
        kept: dict[int, tuple[int, bytes]] = {}
        for mark in sorted({*fresh, *self._all}, reverse=True):
            kept.setdefault((end - mark[0]).bit_length(), mark)
        first = min((*fresh, *self._all), default=None)
        marks = sorted({*list(kept.values())[: MARKS_MAX_COUNT - 1], *([first] if first else [])})
        self._all = tuple(marks)


def _distances(end: int) -> Iterable[int]:
    return (end - (1 << power) + 1 for power in range(NEAREST, FURTHEST + 1))


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
