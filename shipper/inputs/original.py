"""The original: the followed file of which another one is a copy, or of which it holds all that was read."""

from __future__ import annotations

from shipper.errors import InputError
from shipper.inputs.content import Content
from shipper.inputs.identity import are_equal, ending_holds, holds, is_copy
from shipper.inputs.marks import begin_of_rest
from shipper.inputs.roster import Roster
from shipper.inputs.tail import Tail
from shipper.journal import Position
from shipper.journal.position import HEAD_MAX_BYTES, MARKER_MAX_BYTES


def find_original(roster: Roster, content: Content, size: int) -> Tail | None:
    """The followed file that ``content``, of ``size`` bytes, was copied from. Raises InputError.

    A file that only begins as another one does is no copy of it, however short the other one is: as long as the
    other one holds what was read of it, it must go on as the new one does. Where it was truncated a moment ago
    that can't be told, and what the copy holds beyond is read as its continuation.
    """
    first = content.pread(0, HEAD_MAX_BYTES)
    if not first:
        return None
    for tail in roster.like(first):
        if tail.content is None or not tail.begins(first[tail.head_at :]):
            continue
        position = tail.position()
        if tail.untouched:
            # Of one that was truncated unread the copy is all that there is: it is read in its place, not beside it.
            if _is_twin(content, size, tail.content) or (
                not _is_intact(position, tail.content) and holds(position, content.pread)
            ):
                return tail
            continue
        # Before it is asked whether it is intact: of one that is truncated between, the copy must be known for one.
        grown_to = _grown_to(tail, tail.content)
        intact = _is_intact(position, tail.content)
        if not content.growing:
            if _is_packed_copy(position, content, tail.content if intact else None):
                return tail
        elif (intact and size <= grown_to and is_copy(size, content.pread, tail.head_at, tail.content.pread)) or (
            not (intact and _is_intact(position, tail.content))
            and (holds(position, content.pread) or begin_of_rest(position, content.pread))
        ):
            return tail
    return None


def _is_intact(position: Position, content: Content) -> bool:
    """Whether it holds all that was read, and what was seen behind that."""
    try:
        as_long = not content.growing or content.stat().st_size >= position.size
        return as_long and holds(position, content.pread) and ending_holds(position, content.pread)
    except InputError:
        return False


def _grown_to(tail: Tail, content: Content) -> int:
    """The length of a followed file, as far as it is known of a compressed one."""
    try:
        return content.stat().st_size if content.growing else tail.fed
    except InputError:
        return 0


def _is_twin(content: Content, size: int, other: Content) -> bool:
    """The same of a file that is followed and of which nothing was read yet. Raises InputError.

    A compressed file that is still being written, beside the one that it is made of, can't be read so far: an error.
    """
    if content.growing:
        length = size
        if other.growing and other.stat().st_size < size:
            return False  # it holds more, and all of it will be read
    elif other.growing:
        length = other.stat().st_size
    else:
        return False
    return are_equal(0, length, content.pread, other.pread)


def _is_packed_copy(position: Position, content: Content, original: Content | None) -> bool:
    """The same of a compressed file: how much it holds is only known when all of it was unpacked."""
    if holds(position, content.pread):
        beyond = content.pread(position.offset, MARKER_MAX_BYTES)
        return original is None or original.pread(position.offset, len(beyond)) == beyond
    if original is None:
        return False
    # Compressed before the original was written to for the last time.
    size = content.reach(position.offset)
    return size < position.offset and is_copy(size, content.pread, position.head_at, original.pread)
