"""The zstd frame: whether a zstd file goes to the end of its last frame, without unpacking it.

Its reader takes a file that ends too early for one that ends. The form is that of RFC 8878, section 3.1.
"""

from __future__ import annotations

import os

import zstandard

FRAME = b"\x28\xb5\x2f\xfd"
HEADER_MAX_BYTES = 18
CHECKSUM_BYTES = 4
_RLE, _RESERVED = 1, 3


def is_whole(fd: int) -> bool:
    """Whether the open file holds whole frames and nothing else. Raises OSError."""
    size = os.fstat(fd).st_size
    at = 0
    while at < size:
        end = _frame_end(fd, at)
        if end is None or end > size:
            return False
        at = end
    return True


def _frame_end(fd: int, at: int) -> int | None:
    """The offset behind the frame that begins at ``at``; None where it is none, or its end can't be told."""
    head = os.pread(fd, HEADER_MAX_BYTES, at)
    if len(head) >= 8 and head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:
        return at + 8 + int.from_bytes(head[4:8], "little")  # skippable
    if not head.startswith(FRAME):
        return None
    try:
        checked = zstandard.get_frame_parameters(head).has_checksum
        at += zstandard.frame_header_size(head)
    except zstandard.ZstdError:
        return None
    last = False
    while not last:
        data = os.pread(fd, 3, at)
        block = int.from_bytes(data, "little")
        last, kind, length = bool(block & 1), block >> 1 & 3, block >> 3
        if len(data) < 3 or kind == _RESERVED:
            return None
        at += 3 + (1 if kind == _RLE else length)
    return at + (CHECKSUM_BYTES if checked else 0)
