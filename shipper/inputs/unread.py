"""The unread: how many bytes a pipe or a file holds behind what was read of it, without reading any."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios


def unread_bytes(fd: int) -> int:
    """Bytes that can be read from ``fd`` at once; 0 where the system doesn't say."""
    try:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return max(0, status.st_size - os.lseek(fd, 0, os.SEEK_CUR))
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])
    except OSError:
        return 0
