"""The lock of a state folder: at most one daemon holds it, and it falls with its process however that ends.

Two files, since whoever may open a file may lock it: ``lock``, which only its owner may open, keeps a second daemon
out; ``running``, which the group may read, only tells of the first, and a lock that a reader holds on it hinders nobody.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from shipper.errors import StateBusy, StateError, StateFull
from shipper.journal import refuse_newer as refuse_newer_journal

WAIT_SECONDS = 1.0
"""A daemon that is just ending may be waited for so long."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class StateLock:
    """Holds the lock of the folder until it is closed. Raises StateBusy when another daemon has it, StateFull where
    there is no room for it, StateError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self._fd = _open(self.path, 0o600)
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
        try:
            self._sign_fd = _open(folder / "running", 0o640)
        except StateError:
            os.close(self._fd)
            raise
        for fd in (self._fd, self._sign_fd):
            _write_pid(fd)
        _hold_sign(self._sign_fd)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._sign_fd)
        os.close(self._fd)


def refuse_newer(folder: Path) -> None:
    """Raises StateNewer, before anything in the folder is touched, where a newer connlog made a part of it."""
    refuse_newer_journal(folder / "journal.db")
    index = folder / "index.db"
    if index.exists():
        # Imported here: who has no index needs nothing of it.
        from shipper.index.store import refuse_newer as refuse_newer_index

        refuse_newer_index(index)


class Holder(Struct, frozen=True):
    """Who holds the lock; ``pid`` is None where it is not known."""

    pid: int | None


def holder_of(folder: Path) -> Holder | None:
    """Who holds the folder now, or None. Raises StateError where that can't be told."""
    path = folder / "running"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StateError(
            f"{path}: can't be opened, so whether a daemon runs is not known: {error.strerror}; "
            "ask as a member of the group that owns the folder"
        ) from error
    try:
        return Holder(_pid(fd)) if _is_signed(fd) else None
    finally:
        os.close(fd)


def _open(path: Path, mode: int) -> int:
    """The file at ``path``, made where it is missing. Raises StateFull, StateError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in FULL:
            raise StateFull(f"{path}: no room on the disk; make room, and connlog goes on by itself") from error
        who = f"; run it as the owner of the folder: sudo -u {_owner(path.parent)} connlog …"
        advice = who if isinstance(error, PermissionError) else "; check the folder and the disk it is on"
        raise StateError(f"{path}: can't be opened: {error.strerror}{advice}") from error
    # Where another owner made it, it stays as it is.
    with suppress(OSError):
        os.fchmod(fd, mode)
    return fd


def _owner(folder: Path) -> str:
    try:
        return pwd.getpwuid(folder.stat().st_uid).pw_name
    except (OSError, KeyError):
        return "OWNER"


def _write_pid(fd: int) -> None:
    """Put the process number in, for messages; on a full disk there is none."""
    own = f"{os.getpid()}\n".encode()
    try:
        # Over the old one, whose room is there; cut first, it might be gone.
        written = os.pwrite(fd, own, 0)
    except OSError:
        written = 0
    with suppress(OSError):
        os.ftruncate(fd, written)


if sys.platform == "linux":
    _FLOCK = struct.Struct("hhqqi4x")

    def _hold_sign(fd: int) -> None:
        """A lock for reading, which shares with every lock that a reader of the file may take."""
        # Where somebody who may write the file locks it, only the telling is lost.
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))

    def _is_signed(fd: int) -> bool:
        """Whether somebody holds a lock; asking takes none."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK)

else:

    def _hold_sign(fd: int) -> None:
        """A shared lock: other systems can't ask without taking one for a moment."""
        _flock(fd, fcntl.LOCK_SH)

    def _is_signed(fd: int) -> bool:
        """Whether somebody holds a lock."""
        return not _flock(fd, fcntl.LOCK_EX)


def _pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _flock(fd: int, how: int) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
