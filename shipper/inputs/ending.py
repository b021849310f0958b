"""The ending: the last bytes that were seen of a file behind those that were read, by which a file is known that was cut
and has grown again."""

from __future__ import annotations

from shipper.errors import InputError
from shipper.inputs.content import REACH_MAX_BYTES, Content, reach_of
from shipper.inputs.identity import ReadAt
from shipper.inputs.truncation import Cut
from shipper.journal import Position
from shipper.journal.position import ENDING_MAX_BYTES


class Ending:
    """``data`` are bytes that were there up to the offset ``end``; empty where nothing is known."""

    def __init__(self, end: int = 0, data: bytes = b"") -> None:
        self.end, self.data = end, data

    def renew(self, fed: int, seen: int, read: ReadAt) -> None:
        """Remember the last of ``seen`` bytes, of which ``fed`` were read. Raises InputError."""
        if seen <= fed:
            self.clear()
        elif seen != self.end:
            at = max(fed, seen - ENDING_MAX_BYTES)
            self.end, self.data = seen, read(at, seen - at)
            if len(self.data) < seen - at:
                self.clear()  # it is shorter by now

    def clear(self) -> None:
        """Nothing is known."""
        self.end, self.data = 0, b""

    def verify(self, read: ReadAt) -> None:
        """Raises Cut if the bytes are no longer there, and InputError."""
        at = self.end - len(self.data)
        now = read(at, len(self.data)) if self.data else b""
        if now != self.data:
            raise Cut(at + same_length(self.data, now))


def kept_of(content: Content, position: Position) -> int:
    """How many of the bytes that were seen the file may still hold; all, where it can't be told or would take long."""
    kept = reach_of(content, position.size)
    if content.growing or position.size <= REACH_MAX_BYTES:
        try:
            Ending(position.size, position.ending).verify(content.pread)
        except Cut as cut:
            return min(kept, cut.kept)
        except InputError:
            return kept  # half written, or not to be read now
    return kept


def same_length(one: bytes, other: bytes) -> int:
    """How many first bytes are the same."""
    pairs = zip(one, other, strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
