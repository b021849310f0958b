"""The status: what the daemon is doing, as one value that it writes to a file and that others read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateDamaged, StateError
from shipper.inputs.tailer import FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.record import Gap

FILES_MAX_COUNT = 500
"""Of more files those with the greatest lag are listed; ``files_count`` counts all."""
GAPS_MAX_COUNT = 20


class OutputStatus(Struct, frozen=True):
    """One output. ``pending`` are events of the journal that it has not taken; times are canonical."""

    name: str
    cursor: int
    pending: int
    last_success: str | None
    last_error: str | None
    errors_count: int = 0
    """Failed attempts since the daemon started; each is tried again."""


class Drift(Struct, frozen=True):
    """Something in the logs that this version of connlog does not know. ``name`` is ``kind:value``, ``count`` in how
    many readings of a file it was met: once for each file and start."""

    name: str
    first_seen: str
    count: int


class Status(Struct, frozen=True):
    """All of it. ``state`` is reading, paused, stopping or stopped; ``updated`` is when anything last changed."""

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
    metrics: str | None = None
    """Where the metrics are, as a URL, or None."""
    schema: int = 1


class StatusFile:
    """The file ``status.json`` of a state folder, replaced whole and only when something changed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "status.json"
        self._written: Status | None = None

    def write(self, status: Status) -> None:
        """Write ``status`` unless it says what the file says. Raises StateError."""
        if (
            self._written is not None
            and msgspec.structs.replace(status, updated=self._written.updated) == self._written
        ):
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            with os.fdopen(fd, "wb") as file:
                file.write(msgspec.json.encode(status) + b"\n")
            beside.replace(self._path)
        except OSError as error:
            raise StateError(f"{self._path}: can't be written: {error.strerror}") from error
        self._written = status


def read_status(folder: Path) -> Status | None:
    """The status in a state folder, or None where no daemon has ever written one. Raises StateError."""
    path = folder / "status.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Status)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(
            f"{path}: can't be read: {error.strerror}; its readers are the members of the group that owns it"
        ) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateDamaged(f"{path}: not a status of this version of connlog; start the daemon again") from error
