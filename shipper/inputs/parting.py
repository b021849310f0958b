"""The parting: where a file that was cut short and a copy of what it was differ, so that no line of both is read twice."""

from __future__ import annotations

from shipper.errors import InputError
from shipper.inputs.content import Content
from shipper.inputs.ending import kept_of, same_length
from shipper.inputs.identity import PIECE_BYTES, ReadAt
from shipper.journal import Position


def begin_after_cut(position: Position, kept: int, content: Content, copy: Content) -> int | None:
    """Where to go on in ``content``, a file that was cut and has ``kept`` bytes now, if ``copy`` is read from
    ``position`` on: at the first line that is not in both. None where the copy has no more, or can't be read."""
    if kept_of(copy, position) <= kept:
        return None
    try:
        at = _first_difference(position.offset, kept, content.pread, copy.pread)
        return _line_begin(position.offset, at, content.pread)
    except InputError:
        return None


def _first_difference(begin: int, end: int, read: ReadAt, read_other: ReadAt) -> int:
    for at in range(begin, end, PIECE_BYTES):
        length = min(PIECE_BYTES, end - at)
        one, other = read(at, length), read_other(at, length)
        if one != other or len(one) < length:
            return at + same_length(one, other)
    return end


def _line_begin(begin: int, at: int, read: ReadAt) -> int:
    """The offset of the line that goes on at ``at``; ``begin`` is that of an earlier one."""
    while at > begin:
        back = max(begin, at - PIECE_BYTES)
        found = read(back, at - back).rfind(b"\n")
        if found >= 0:
            return back + found + 1
        at = back
    return begin
