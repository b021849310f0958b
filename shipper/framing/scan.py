"""Places in a buffer of bare lines: where entries begin and end, found without splitting the buffer.

All functions take the buffer and places in it; ``end`` and ``stop`` stand behind a newline.
"""

from __future__ import annotations

from ahocorasick_rs import BytesAhoCorasick

from shipper.framing.chain import NEEDLE, PRETTY_MAX_BYTES

BRACE = ord("{")
BLANKS = b" \t"
_CLOSING = ord("}")
MORE_ENDS = b".\rm"
"""What the last byte can be of a line that announces a many-line field: the dots, CR, the end of a colour."""
BEFORE_TEXT = b"\0\xef"
"""What a line may begin with that has something before its text."""
_FIRST_LINE_MAX_BYTES = 65_536

hits = BytesAhoCorasick([NEEDLE]).find_matches_as_indexes
"""Where ``connection_log`` stands in a buffer: triples of 0, its begin and its end, in order. All at once, and by wide
registers: a third of what ``find`` takes. What this holds is bounded by the buffer, about 10 bytes for each of its bytes."""
_inner_hits = BytesAhoCorasick([b"\n    "]).find_matches_as_indexes
_AROUND_MAX_BYTES = 16_384
"""What is looked at byte by byte; more is cut off, or searched by wide registers."""


def first_line(data: bytes, at: int) -> bytes:
    """The line at ``at``, without its end, at most 64 KiB of it."""
    end = data.find(b"\n", at, at + _FIRST_LINE_MAX_BYTES)
    return data[at : end if end >= 0 else at + _FIRST_LINE_MAX_BYTES]


def head_end(data: bytes, begin: int, over: int) -> bytes:
    """The last bytes of the line ``data[begin:over]``, enough to see the dots behind it."""
    return data[max(begin, over - 80) : over - 1]


def count_entries(data: bytes, start: int, end: int) -> int:
    """How many entries begin in these complete lines: every line but those behind four blanks."""
    return count_lines(data, start, end) - count_inner(data, start, end)


def count_within(raw: bytes) -> int:
    """How many entries begin in the lines of ``raw``, the last of which has no end."""
    return 1 if raw.find(b"\n") < 0 else count_entries(raw + b"\n", 0, len(raw) + 1)


def count_lines(data: bytes, start: int, end: int) -> int:
    """How many lines end in ``data[start:end]``: taking the ends out is a search by words of 32 bytes and a copy, while
    ``count`` looks at byte after byte and takes three times as long. What lies around is mostly little."""
    if len(data) - (end - start) > _AROUND_MAX_BYTES:
        data, start, end = data[start:end], 0, end - start
    return len(data) - len(data.replace(b"\n", b"")) - data.count(b"\n", 0, start) - data.count(b"\n", end)


def count_inner(data: bytes, start: int, end: int) -> int:
    """How many of these complete lines stand behind four blanks. Mostly none, which wide registers tell soonest."""
    if start >= end:
        return 0
    first = data.startswith(b"    ", start, end)
    near = data.rfind(b"\n    ", max(start, end - _AROUND_MAX_BYTES), end) >= 0
    return first + (data.count(b"\n    ", start, end) if near or _inner_hits(data) else 0)


def block_end(data: bytes, at: int, stop: int) -> tuple[int, bool]:
    """Where the lines of the many-line field that begins at ``at`` end, and whether more could follow ``stop``.

    They stand behind four blanks; an empty line belongs to the field if another such line follows.
    """
    over = at
    while at < stop:
        line_end = data.index(b"\n", at, stop) + 1
        if data.startswith(b"    ", at):
            over = line_end
        elif data[at:line_end] not in (b"\n", b"\r\n"):
            return over, False
        at = line_end
    return over, True


def hold(data: bytes, start: int, end: int) -> int:
    """Where the complete lines must stop: before a JSON document over many lines whose end has not come yet."""
    last = data.rfind(b"\n", start, end - 1) + 1 or start
    if data[last] not in b" \t{" or data[last + 1] in b'"':
        return end  # the usual last line, which is none of such a document
    low = max(start, end - PRETTY_MAX_BYTES)
    at = max(data.rfind(b"\n{\n", low, end), data.rfind(b"\n{\r\n", low, end)) + 1
    if not at:
        if low > start or not data.startswith((b"{\n", b"{\r\n"), start):
            return end
        at = start
    _, open_ended = _document_end(data, at, end)
    return at if open_ended else end


def document(data: bytes, low: int, begin: int, stop: int) -> tuple[int, int] | None:
    """The span of the JSON document over many lines around the line at ``begin``, which stands behind a blank.

    It begins with ``{`` alone on a line; all its other lines stand behind blanks, up to the ``}`` at column 0. A
    line of another kind ends it as well: then it was cut.
    """
    opened = data.rfind(b"\n{", max(low, begin - PRETTY_MAX_BYTES), begin) + 1
    if not opened:
        if not data.startswith(b"{", low) or begin - low > PRETTY_MAX_BYTES:
            return None
        opened = low
    if data[opened + 1] not in b"\r\n":
        return None
    over, _ = _document_end(data, opened, stop)
    return (opened, over) if over > begin else None


def _document_end(data: bytes, opened: int, stop: int) -> tuple[int, bool]:
    """Where the document that begins at ``opened`` ends, and whether more of it could follow ``stop``."""
    over = data.index(b"\n", opened) + 1
    while over < stop:
        if over - opened > PRETTY_MAX_BYTES + 1:
            return over, False
        first = data[over]
        if first not in b" \t}":
            return over, False
        over = data.index(b"\n", over) + 1
        if first == _CLOSING:
            return over, False
    return over, True


def text_of(line: bytes) -> bytes:
    """A line without what is no text before it: the hole that truncating under a writer leaves, and the byte-order mark of
    a file that was put behind another."""
    return line.lstrip(b"\0").removeprefix(b"\xef\xbb\xbf")


def without_cr(raw: bytes) -> bytes:
    """An entry whose transport ends lines in CR LF, without the CRs; the first line tells, since a value may
    hold CRs of its own in the others."""
    end = raw.find(b"\n")
    if end < 0:
        return raw[:-1] if raw.endswith(b"\r") else raw
    if not raw.endswith(b"\r", 0, end):
        return raw
    return (raw[:-1] if raw.endswith(b"\r") else raw).replace(b"\r\n", b"\n")
