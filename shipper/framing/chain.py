"""One stream of coderd's lines inside a wrapper: cut lines joined, many-line entries collected.

The state of a chain is plain data, so that it can be kept with the read position: a line that a
container runtime cut in two may continue in the next file, or after a restart.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from shipper.pattern import pattern
from shipper.text import strip_colours

NEEDLE = b"connection_log"
PRETTY_MAX_BYTES = 131_072
"""Bytes of one JSON document over many lines; a longer one is taken line by line."""

_block_key = pattern(rb"[^\s=]{1,128}=(?: |\r?$)")
_header_time = pattern(rb"(?:\x1b\[[0-9;]*m)*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \[")


class Entry(Struct, gc=False):
    """A whole log entry: its lines joined by \\n, without wrapper. ``offset``, ``line`` and ``length`` tell its
    place in the source; ``line`` is 1-based."""

    raw: bytes
    offset: int
    line: int
    length: int
    cursor: str | None = None
    meta: dict[str, object] = {}
    lost: str | None = None


class Chain(Struct):
    """What one stream holds back: a cut line (``partial``) and an entry that may go on (``lines``)."""

    partial: bytes = b""
    partial_offset: int = -1
    partial_line: int = 0
    partial_cursor: str | None = None
    partial_length: int = 0
    lines: list[bytes] = []
    json: bool = False
    lost_indent: bool = False
    size: int = 0
    length: int = 0
    offset: int = 0
    line: int = 0
    cursor: str | None = None
    meta: dict[str, object] = {}

    @property
    def waiting(self) -> bool:
        """Whether anything is held back."""
        return bool(self.lines) or self.partial_offset >= 0

    def open(self, text: bytes, entry: Entry, *, json: bool) -> None:
        """Begins an entry that goes on in the lines to come."""
        self.lines = [text]
        self.json = json
        self.lost_indent = False
        self.size = len(text)
        self.length = entry.length
        self.offset, self.line, self.cursor, self.meta = entry.offset, entry.line, entry.cursor, entry.meta

    def goes_on(self, line: Entry, max_bytes: int, *, loose: bool) -> bool:
        """Whether a line belongs to the open entry; then it was taken, and kept up to ``max_bytes``.
        ``loose``: the stream may have lost the blanks that mark continuation lines."""
        text = line.raw
        if self.json:
            if self.size > PRETTY_MAX_BYTES or self.lines[-1][:1] == b"}" or text[:1] not in (b"}", b" ", b"\t"):
                return False
        elif not text.startswith(b"    ") and text not in (b"", b"\r") and not (loose and self._without_indent(text)):
            return False
        if self.size <= max_bytes:
            self.lines.append(text)
        self.size += len(text) + 1
        self.length += line.length
        return True

    def _without_indent(self, text: bytes) -> bool:
        """As ``while read`` gives it, without leading blanks: all up to the next header that is not older."""
        if len(self.lines) == 1:
            self.lost_indent = _header_time.match(text) is None and _block_key.match(text) is not None
            return self.lost_indent
        if not self.lost_indent or text.startswith(b'{"ts":'):
            return False
        own, other = _header_time.match(self.lines[0]), _header_time.match(text)
        return other is None or (own is not None and other[1] < own[1])

    def joined(self, text: bytes, meta: dict[str, object], lost: str | None) -> Entry:
        """``text`` as the line whose cut pieces end here; the place of its first one is free again."""
        place = self.partial_offset, self.partial_line, self.partial_length, self.partial_cursor
        self.partial, self.partial_offset, self.partial_length = b"", -1, 0
        return Entry(text, *place, meta, lost)

    def close(self) -> tuple[Entry, int]:
        """The open entry, whole, and how many empty lines stood behind it; the chain is free again."""
        lines = self.lines
        count = len(lines)
        if not self.json:
            while len(lines) > 1 and lines[-1] in (b"", b"\r"):
                self.length -= len(lines.pop()) + 1
        blank_lines = count - len(lines)
        if self.lost_indent and len(lines) > 1:
            found = _block_key.match(lines[1])
            indent = b" " * (4 + (len(found[0].rstrip()) - 1 if found else 0) + 2)
            lines = [lines[0], b"    " + lines[1], *(indent + line if line else line for line in lines[2:])]
        entry = Entry(b"\n".join(lines), self.offset, self.line, self.length, self.cursor, self.meta)
        self.lines = []
        return entry, blank_lines


class Carry(Struct, omit_defaults=True):
    """What a read position must keep beside the offset: the wrapper met, how many first lines
    may still tell it, a line being skipped, what is held back."""

    mode: str = ""
    fresh: int = 0
    skipping: int = 0
    chains: dict[str, Chain] = {}


def hand_over(carry: bytes) -> tuple[bytes, bytes] | None:
    """Parts the ``carry`` of a wrapped source that was rotated: what stays with it, and what goes on in the file after
    it: cut lines, and entries that may have more lines. None where nothing does."""
    state = msgspec.msgpack.decode(carry, type=Carry) if carry else Carry()
    if not state.mode or not state.chains:
        return None
    for chain in state.chains.values():
        # Places in the earlier file mean nothing in the one in which the entry ends.
        chain.offset = 0
        chain.partial_offset = min(chain.partial_offset, 0)
        chain.line = chain.partial_line = 1
    rest = Carry(state.mode, state.fresh, state.skipping)
    encode = msgspec.msgpack.encode
    return encode(rest), encode(Carry(state.mode, chains=state.chains))


def announces_more(text: bytes) -> bool:
    """Whether a human line ends in the `` ...`` that announces a many-line field."""
    if text.endswith((b" ...", b" ...\r")):
        return True
    # A terminal is painted on, and ends lines in CR LF.
    return b"\x1b[" in text and strip_colours(text[-64:].decode("utf-8", "replace")).endswith((" ...", " ...\r"))


_dots = pattern(
    rb"(?:\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ?(?:\x1b\[[0-9;]*m)* ?(?:\x1b\[[0-9;]*m)*\[[a-z]{4}\]"
    rb"(?:\x1b\[[0-9;]*m)*  ?(?:[^\s:]{1,256}: )?\.\.\.(?:  |\r?$)"
)


def opens_block(text: bytes) -> bool:
    """Whether any human line, ours or not, is followed by the lines of a many-line field or message."""
    return _header_time.match(text) is not None and (announces_more(text) or _dots.match(text) is not None)
