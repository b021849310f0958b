"""The lines: cuts the output of a program into lines, and holds back no more of one than it may."""

from __future__ import annotations

from msgspec import Struct

END_MAX_BYTES = 65_536
"""Kept of the end of a line that is too long."""


class Line(Struct, frozen=True):
    """One whole line without its end. Of one that was ``cut`` only the beginning is in ``text``, and ``end`` has what
    stood last. ``length`` is in bytes, the line's end included."""

    text: bytes
    length: int
    cut: bool = False
    end: bytes = b""


class Lines:
    """Takes bytes in any pieces. Of a line longer than ``max_bytes`` so many are kept, and its end."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._end = b""
        self._left_out = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that end in ``data``."""
        *ends, rest = data.split(b"\n")
        lines: list[Line] = []
        for end in ends:
            self._hold(end)
            length = len(self._rest) + self._left_out + 1
            lines.append(Line(bytes(self._rest), length, self._left_out > 0, self._end))
            self.clear()
        self._hold(rest)
        return lines

    def clear(self) -> None:
        """Forget the line that has begun."""
        self._rest.clear()
        self._end, self._left_out = b"", 0

    def _hold(self, part: bytes) -> None:
        room = max(0, self._max_bytes - len(self._rest))
        self._rest += part[:room]
        if len(part) > room:
            self._end = (self._end + part[room:])[-END_MAX_BYTES:]
            self._left_out += len(part) - room
