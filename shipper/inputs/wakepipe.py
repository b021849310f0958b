"""The wake pipe: a wait for files that can be read, which another thread can end."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from contextlib import suppress


class WakePipe:
    """``wait`` is for one thread, ``wake`` for any."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, fds: Sequence[int], seconds: float) -> bool:
        """Wait so long for something to read or an end on one of ``fds``; True where it came to that, or ``wake``
        was called."""
        poll = select.poll()
        for fd in (self._read_fd, *fds):
            poll.register(fd, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        with suppress(BlockingIOError):
            os.read(self._read_fd, 4096)
        return bool(ready)

    def wake(self) -> None:
        """End the wait, or the next one."""
        # A full pipe wakes as well as an emptier one, and a closed one has nobody to wake.
        with suppress(BlockingIOError, OSError):
            os.write(self._write_fd, b"\0")

    def close(self) -> None:
        """Give both ends back."""
        read_fd, write_fd, self._read_fd, self._write_fd = self._read_fd, self._write_fd, -1, -1
        for fd in (read_fd, write_fd):
            if fd >= 0:
                os.close(fd)
