"""The status: what the daemon is doing, as one value that it writes to a file and that others read."""

from __future__ import annotations

import errno
import heapq
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateDamaged, StateError, StateFull
from shipper.inputs.input import FeedState, FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.outputs.hec.state import HecState
from shipper.record import Gap

FILES_MAX_COUNT = 500
"""Of more files those with the greatest lag are listed; ``files_count`` counts all."""
GAPS_MAX_COUNT = 20
HEARTBEAT_SECONDS = 10.0
"""A status that stays the same is touched so often: the file's time says when the daemon was last heard of."""
OLD_SECONDS = 30.0
"""An older file means that the daemon hangs, or can't write any more."""
ROOM_BYTES = 4096
"""The file's size is a multiple of it, so that on a full disk a somewhat longer status fits over the old one."""
SLACK_BYTES = 1024
AGAIN_SECONDS = 0.1
_FULL = (errno.ENOSPC, errno.EDQUOT)


class OutputStatus(Struct, frozen=True):
    """One output. ``pending`` are events of the journal that it has not taken; times are canonical."""

    name: str
    cursor: int
    pending: int
    last_success: str | None
    last_error: str | None
    errors_count: int = 0
    """Failed attempts since the daemon started; each is tried again."""
    hec: HecState | None = None
    """What there is to tell of an output to Splunk."""
    taken_count: int | None = None
    """Events taken since the daemon started, where ``hec`` doesn't tell."""
    latency_counts: list[int] = []
    """Of deliveries since the daemon started, beside ``LATENCY_BOUNDS_SECONDS`` with one more for all above."""
    latency_sum_seconds: float = 0.0


class NamesStatus(Struct, frozen=True):
    """The directory of names, where the daemon asks Coder for it. Counts are since the start; times are canonical."""

    url: str
    last_success: str | None = None
    last_error: str | None = None
    """Why Coder can't be asked now; it is tried again."""
    requests_count: int = 0
    limited_count: int = 0
    """Answers that it was asked too much."""
    learnt_count: int = 0
    """What told something new of a user, an organization or a workspace."""
    open_count: int = 0
    """Ids of the log that nobody has been asked for yet."""
    failures_count: int = 0
    notes: list[str] = []
    """What the token can't see."""


class Drift(Struct, frozen=True):
    """Something in the logs that this version of connlog does not know. ``name`` is ``kind:value``, ``count`` in how
    many readings of a file it was met: once for each file and start."""

    name: str
    first_seen: str
    count: int


class Status(Struct, frozen=True):
    """All of it. ``state`` is waiting (the start waits for room on the disk, ``paused`` says so, and nothing else is
    known), reading, paused, stopping or stopped; ``updated`` is when anything last changed."""

    version: str
    pid: int
    started: str
    updated: str
    state: str
    paused: str | None
    files: list[FileState]
    files_count: int
    lag_bytes: int
    troubles: dict[str, str]
    sources: dict[str, Counters]
    journal: Depth
    journal_max_bytes: int
    outputs: list[OutputStatus]
    gaps_count: int
    gaps: list[Gap]
    quarantine: QuarantineSize
    quarantine_max_bytes: int
    drift: list[Drift]
    stalled: list[str] = []
    """Threads that have shown no progress for too long."""
    feeds: list[FeedState] = []
    """Followed sources that are no files."""
    metrics: str | None = None
    """Where the metrics are, as a URL, or None."""
    refused: str | None = None
    """Why the last reload was refused, or None."""
    reloads_count: int = 0
    """How many reloads have ended, refused ones too."""
    reloaded: list[str] = []
    """What the last reload that was not refused changed, in words."""
    names: NamesStatus | None = None
    """The directory of names, or None where Coder is not asked."""
    schema: int = 1


def worst_of(files: Sequence[FileState]) -> list[FileState]:
    """The files to list: those with the greatest lag."""
    return heapq.nsmallest(FILES_MAX_COUNT, files, key=lambda file: (-file.lag_bytes, file.path))


def waiting_status(version: str, started: str, reason: str) -> Status:
    """The status of this process while its start waits because of ``reason``."""
    return Status(
        version=version,
        pid=os.getpid(),
        started=started,
        updated=started,
        state="waiting",
        paused=reason,
        files=[],
        files_count=0,
        lag_bytes=0,
        troubles={},
        sources={},
        journal=Depth(0, 0, 0, None),
        journal_max_bytes=0,
        outputs=[],
        gaps_count=0,
        gaps=[],
        quarantine=QuarantineSize(0, 0, 0, 0),
        quarantine_max_bytes=0,
        drift=[],
    )


class StatusFile:
    """The file ``status.json`` of a state folder: replaced whole when something changed, written over in place where
    a full disk has no room for a second one, and touched while nothing changes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "status.json"
        self._written: Status | None = None
        self._touched = float("-inf")

    def write(self, status: Status) -> None:
        """Write ``status`` unless it says what the file says. Raises StateError, and StateFull where not even the
        old file has room for it."""
        try:
            if (
                self._written is not None
                and msgspec.structs.replace(status, updated=self._written.updated) == self._written
            ):
                if time.monotonic() - self._touched >= HEARTBEAT_SECONDS:
                    os.utime(self._path)
                    self._touched = time.monotonic()
                return
            try:
                self._replace(status)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._overwrite(status)
        except OSError as error:
            raise StateError(f"{self._path}: can't be written: {error.strerror}") from error
        self._written = status
        self._touched = time.monotonic()

    def _replace(self, status: Status) -> None:
        body = msgspec.json.encode(status)
        size = -(-(len(body) + SLACK_BYTES) // ROOM_BYTES) * ROOM_BYTES
        beside = self._path.with_name(self._path.name + ".new")
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            with os.fdopen(fd, "wb") as file:
                file.write(_padded(body, size))
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise

    def _overwrite(self, status: Status) -> None:
        full = f"{self._path}: can't be written, no room on the disk; until there is, 'connlog status' shows old facts"
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StateFull(full) from None
        try:
            size = os.fstat(fd).st_size
            body = msgspec.json.encode(status)
            while len(body) >= size:
                # The lists that have a count beside them may be shorter, and still say the truth.
                if not status.gaps and not status.files:
                    raise StateFull(full)
                status = msgspec.structs.replace(status, gaps=[], files=status.files[: len(status.files) // 2])
                body = msgspec.json.encode(status)
            os.pwrite(fd, _padded(body, size), 0)
        except OSError as error:
            if error.errno in _FULL:
                raise StateFull(full) from error
            raise
        finally:
            os.close(fd)


def _padded(body: bytes, size: int) -> bytes:
    return body.ljust(size - 1) + b"\n"


def status_ns(folder: Path) -> int | None:
    """When the daemon of the folder was last heard of, in nanoseconds since 1970; None where there is no status."""
    try:
        return (folder / "status.json").stat().st_mtime_ns
    except OSError:
        return None


def read_status(folder: Path) -> Status | None:
    """The status in a state folder, or None where no daemon has ever written one. Raises StateError."""
    path = folder / "status.json"
    try:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Status)
        except (msgspec.MsgspecError, ValueError):
            # It may just have been written over in place.
            time.sleep(AGAIN_SECONDS)
            return msgspec.json.decode(path.read_bytes(), type=Status)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path}: can't be read: {error.strerror}; its readers are the members of the group that owns it"
        ) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateDamaged(f"{path}: not a status of this version of connlog; start the daemon again") from error
