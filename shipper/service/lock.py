"""The lock of a state folder: at most one daemon holds it, and it falls with its process however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from shipper.errors import StateBusy, StateError, StateFull

WAIT_SECONDS = 1.0
"""``connlog status`` holds the lock for a moment when it looks whether a daemon runs."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class StateLock:
    """Holds the lock of the folder until it is closed. Raises StateBusy when another daemon has it, StateFull where
    there is no room for it, StateError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            if error.errno in FULL:
                raise StateFull(
                    f"{self.path}: no room on the disk; make room, and connlog goes on by itself"
                ) from error
            raise StateError(f"{self.path}: can't be opened: {error.strerror}; check the folder's owner") from error
        deadline = time.monotonic() + WAIT_SECONDS
        while not _flock(self._fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                holder = _pid(self._fd) or "unknown"
                os.close(self._fd)
                raise StateBusy(
                    f"{folder}: another connlog daemon (process {holder}) uses this state folder; "
                    "stop it, or give this one another state.dir"
                )
            time.sleep(0.05)
        # The group that may read the status may ask the lock too; where another owner made it, it stays as it is.
        with suppress(OSError):
            os.fchmod(self._fd, 0o640)
        self._sign()

    def _sign(self) -> None:
        """Put the process number in, for messages; on a full disk there is none."""
        own = f"{os.getpid()}\n".encode()
        try:
            # Over the old one, whose room is there; cut first, it might be gone.
            written = os.pwrite(self._fd, own, 0)
        except OSError:
            written = 0
        with suppress(OSError):
            os.ftruncate(self._fd, written)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._fd)


class Holder(NamedTuple):
    """Who holds the lock; ``pid`` is None where it is not known."""

    pid: int | None


def holder_of(folder: Path) -> Holder | None:
    """Who holds the folder now, or None. Raises StateError where that can't be told."""
    path = folder / "lock"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StateError(
            f"{path}: can't be opened, so whether a daemon runs is not known: {error.strerror}; "
            "ask as a member of the group that owns the folder, or start the daemon again, which opens it to them"
        ) from error
    try:
        return None if _flock(fd, fcntl.LOCK_SH) else Holder(_pid(fd))
    finally:
        os.close(fd)


def _pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
