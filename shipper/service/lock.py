"""The lock of a state folder: at most one daemon holds it, and it falls with its process however that ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from shipper.errors import StateBusy, StateError

WAIT_SECONDS = 1.0
"""``connlog status`` holds the lock for a moment when it looks whether a daemon runs."""


class StateLock:
    """Holds the lock of the folder until it is closed. Raises StateBusy when another daemon has it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"{self.path}: can't be opened: {error.strerror}; check the folder's owner") from error
        deadline = time.monotonic() + WAIT_SECONDS
        while not _flock(self._fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(self._fd)
                raise StateBusy(
                    f"{folder}: another connlog daemon (process {holder}) uses this state folder; "
                    "stop it, or give this one another state.dir"
                )
            time.sleep(0.05)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)


def is_running(folder: Path, pid: int | None) -> bool:
    """Whether a daemon holds the folder. ``pid``, of its status, answers where the lock may not be opened."""
    try:
        fd = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return pid is not None and Path(f"/proc/{pid}").exists()
    try:
        return not _flock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
