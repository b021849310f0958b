"""Identity: whether a file holds what a position was read from, decided by content alone.

Everything here takes a function that reads bytes by offset, and touches no file system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from shipper.errors import InputError
from shipper.inputs.marks import begin_of_rest
from shipper.journal import Position
from shipper.journal.position import HEAD_MAX_BYTES, MARKER_MAX_BYTES, digest

DONE_KEPT_NS = 24 * 3600 * 1_000_000_000
"""How long the position of a file is remembered that was rotated away and read to its end, or lost."""
BACKFILLED_KEPT_NS = 400 * DONE_KEPT_NS
"""The same of a file that ``connlog backfill`` read: running it again must add nothing."""
KNOWN_MAX_COUNT = 20_000
COMPARED_MAX_BYTES = 16 << 20
"""Of a larger file only so many bytes and the last ones are compared with its copy."""
PIECE_BYTES = 1 << 18
ReadAt = Callable[[int, int], bytes]


def holds(position: Position, read: ReadAt) -> bool:
    """Whether the bytes that ``position`` was read from are all still there, by head and marker; of what was only seen
    whether it begins so, and the last bytes are those that were seen, where there are as many."""
    if not position.head_length:
        return False
    head = read(position.head_at, position.head_length)
    same = len(head) == position.head_length and digest(head) == position.head
    return same and marker_holds(position, read) and (not position.only_seen or ending_holds(position, read))


def ending_holds(position: Position, read: ReadAt) -> bool:
    """Whether the last bytes that were seen are the same, where there are any. Files may share their first kilobyte."""
    size = len(position.ending)
    seen = read(position.size - size, size) if size else b""
    return len(seen) < size or seen == position.ending


def marker_holds(position: Position, read: ReadAt) -> bool:
    """Whether the bytes just before the offset are still the same."""
    marker = read(position.offset - position.marker_length, position.marker_length)
    return len(marker) == position.marker_length and digest(marker) == position.marker


class Known:
    """Positions without an open file, found again by content."""

    def __init__(self, positions: Iterable[Position] = ()) -> None:
        self._by_key: dict[str, Position] = {}
        self._by_head: dict[tuple[int, int, bytes], dict[str, Position]] = {}
        self._by_stream: dict[str, dict[str, Position]] = {}
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
        self._by_stream.setdefault(position.stream, {})[position.key] = position
        if _head(position) not in self._by_head:
            self._by_head[_head(position)] = {}
            self._lengths[position.head_at, position.head_length] += 1
        self._by_head[_head(position)][position.key] = position

    def remove(self, key: str) -> None:
        """Forget a position, if there is one."""
        position = self._by_key.pop(key, None)
        if position is not None:
            stream = self._by_stream[position.stream]
            del stream[key]
            if not stream:
                del self._by_stream[position.stream]
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

    def inodes(self) -> set[tuple[int, int]]:
        """Devices and inodes of all of them, which are hints."""
        return {(position.device, position.inode) for position in self._by_key.values()}

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
        return next((position for position in found if _is_it(position, read, device, inode)), None)

    def begin_in(self, read: ReadAt, stream: str) -> int:
        """Where to begin in a file beside the log ``stream`` that holds less than was read of a file that is lost or
        missing: behind what was read, as far as that is sure. 0 for every other file. Raises InputError."""
        gone = (p for p in self._by_stream.get(stream, {}).values() if not (p.done or p.backfilled or p.untouched))
        return max((begin_of_rest(position, read) for position in gone), default=0)


def is_copy(size: int, read: ReadAt, other_head_at: int, read_other: ReadAt) -> bool:
    """Whether a file of ``size`` bytes is a copy, perhaps half made, of another one that has as many or more.

    Equal first bytes are not enough: files may share a preamble, and in small ones the middle alone may differ.
    """
    try:
        return are_equal(other_head_at, size, read, read_other)
    except InputError:
        return False


def are_equal(begin: int, end: int, read: ReadAt, read_other: ReadAt) -> bool:
    """Whether two files hold the same from ``begin`` to ``end``, which is behind it: ``COMPARED_MAX_BYTES`` are
    compared, and the last before the end. Raises InputError."""
    middle = min(end, begin + COMPARED_MAX_BYTES)
    for at in (*range(begin, middle, PIECE_BYTES), max(middle, end - MARKER_MAX_BYTES)):
        length = min(PIECE_BYTES, end - at)
        if read(at, length) != read_other(at, length):
            return False
    return begin < end


def _is_it(position: Position, read: ReadAt, device: int, inode: int) -> bool:
    """Of what was only seen another file may begin alike; the one with its inode is it, even if it was cut."""
    sure = not position.only_seen or (position.device, position.inode) == (device, inode)
    return marker_holds(position, read) and (sure or ending_holds(position, read))


def _kept_ns(position: Position) -> int:
    return BACKFILLED_KEPT_NS if position.backfilled else DONE_KEPT_NS


def _head(position: Position) -> tuple[int, int, bytes]:
    return position.head_at, position.head_length, position.head
