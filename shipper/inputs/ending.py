"""The ending: the last bytes that were seen of a file behind those that were read, by which a file is known that was cut
and has grown again."""

from __future__ import annotations

from shipper.inputs.identity import ReadAt
from shipper.inputs.parting import same_length
from shipper.inputs.truncation import Cut
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
