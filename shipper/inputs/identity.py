"""Identity: whether a file holds what a position was read from, decided by content alone.

Everything here takes a function that reads bytes by offset, and touches no file system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from shipper.errors import InputError
from shipper.journal import Position
from shipper.journal.position import HEAD_MAX_BYTES, MARKER_MAX_BYTES, digest

DONE_KEPT_NS = 24 * 3600 * 1_000_000_000
"""How long the position of a file is remembered that was rotated away and read to its end, or lost."""
BACKFILLED_KEPT_NS = 400 * DONE_KEPT_NS
"""The same of a file that ``connlog backfill`` read: running it again must add nothing."""
KNOWN_MAX_COUNT = 20_000
ReadAt = Callable[[int, int], bytes]


def holds(position: Position, read: ReadAt) -> bool:
    """Whether the bytes that ``position`` was read from are all still there, by head and marker."""
    if not position.head_length:
        return False
    head = read(position.head_at, position.head_length)
    return len(head) == position.head_length and digest(head) == position.head and marker_holds(position, read)


def marker_holds(position: Position, read: ReadAt) -> bool:
    """Whether the bytes just before the offset are still the same."""
    marker = read(position.offset - position.marker_length, position.marker_length)
    return len(marker) == position.marker_length and digest(marker) == position.marker


class Known:
    """Positions without an open file, found again by content."""

    def __init__(self, positions: Iterable[Position] = ()) -> None:
        self._by_key: dict[str, Position] = {}
        self._by_head: dict[tuple[int, int, bytes], dict[str, Position]] = {}
        self._lengths: Counter[tuple[int, int]] = Counter()
        """How many heads begin there and are so long: asked for each new file, and only few are different."""
        for position in positions:
            self.add(position)

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, position: Position) -> None:
        """Remember a position, in place of an older one of the same key."""
        self.remove(position.key)
        self._by_key[position.key] = position
        if _head(position) not in self._by_head:
            self._by_head[_head(position)] = {}
            self._lengths[position.head_at, position.head_length] += 1
        self._by_head[_head(position)][position.key] = position

    def remove(self, key: str) -> None:
        """Forget a position, if there is one."""
        position = self._by_key.pop(key, None)
        if position is not None:
            group = self._by_head[_head(position)]
            del group[key]
            if not group:
                del self._by_head[_head(position)]
                length = position.head_at, position.head_length
                self._lengths[length] -= 1
                if not self._lengths[length]:
                    del self._lengths[length]

    def all(self) -> list[Position]:
        """Every position."""
        return list(self._by_key.values())

    def expire(self, now_ns: int) -> list[str]:
        """Forget files that are read to their end or lost, the oldest first; returns their keys.

        After ``DONE_KEPT_NS`` or ``BACKFILLED_KEPT_NS``, or at once where there are more than ``KNOWN_MAX_COUNT`` positions.
        """
        over = sorted((p for p in self._by_key.values() if p.done or p.lost), key=lambda p: p.seen_ns)
        surplus = len(self._by_key) - KNOWN_MAX_COUNT
        gone = [p.key for n, p in enumerate(over) if p.seen_ns < now_ns - _kept_ns(p) or n < surplus]
        for key in gone:
            self.remove(key)
        return gone

    def match(self, read: ReadAt, device: int, inode: int) -> Position | None:
        """The position whose content the file holds. Of several the one with its inode, then the furthest."""
        lengths = [(at, length) for at, length in self._lengths if length]
        found: list[Position] = []
        first = read(0, HEAD_MAX_BYTES) if lengths else b""
        for at, length in lengths:
            head = read(at, length) if at else first[:length]
            if len(head) == length:
                found.extend(self._by_head.get((at, length, digest(head)), {}).values())
        found.sort(key=lambda p: ((p.device, p.inode) == (device, inode), p.offset), reverse=True)
        return next((position for position in found if marker_holds(position, read)), None)


def is_copy(size: int, read: ReadAt, other_head_at: int, read_other: ReadAt) -> bool:
    """Whether a file of ``size`` bytes is a copy, perhaps half made, of another one that has as many or more.

    Equal first bytes are not enough, files may share a preamble: the last common bytes must be equal too.
    """
    common = size - other_head_at
    if common <= 0:
        return False
    head = min(HEAD_MAX_BYTES, common)
    tail = min(MARKER_MAX_BYTES, common)
    try:
        return read(other_head_at, head) == read_other(other_head_at, head) and read(size - tail, tail) == read_other(
            size - tail, tail
        )
    except InputError:
        return False


def _kept_ns(position: Position) -> int:
    return BACKFILLED_KEPT_NS if position.backfilled else DONE_KEPT_NS


def _head(position: Position) -> tuple[int, int, bytes]:
    return position.head_at, position.head_length, position.head
