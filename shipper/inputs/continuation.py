"""The continuation: what a file holds from the line on that has begun, proven to follow what was read before.

The proof is read after the bytes that it is for: a file that was truncated and has grown again in between is found out, and
a large piece need not be cut off from it, nor joined with the line that it ends.
"""

from __future__ import annotations

from shipper.inputs.content import Content
from shipper.journal.position import MARKER_MAX_BYTES

SHORT_MAX_BYTES = 65_536
"""A piece that is longer is not copied."""


def continued(content: Content, known: bytes, fed: int, begun: int, limit: int) -> bytes | None:
    """The last ``begun`` of the bytes that were read and up to ``limit`` behind them, which begin at the offset ``fed``;
    ``known`` is the end of what was read, at least ``MARKER_MAX_BYTES`` where there are so many and all that has begun.
    None where something else is there by now. Raises InputError."""
    line = known[len(known) - begun :]
    if not content.growing:
        # Nobody writes to a compressed file, and to go back in it is to unpack it from its start.
        return line + content.pread(fed, limit)
    seen = content.pread(fed - begun, begun + limit)
    before = known[: len(known) - begun][-max(1, MARKER_MAX_BYTES - begun) :]
    if not seen.startswith(line) or content.pread(fed - begun - len(before), len(before)) != before:
        return None
    return seen


def with_known(known: bytes, begun: int, seen: bytes, keep: int) -> bytes:
    """``seen``, which begins with the last ``begun`` of the known bytes, behind the others of them where it is short, or
    not longer than what is to be kept."""
    return known[: len(known) - begun] + seen if len(seen) <= keep + SHORT_MAX_BYTES else seen
