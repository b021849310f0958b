"""Names for Splunk: puts ``names`` as of the event on the records of a parcel, at the end of their bytes.

Whatever is wrong with the directory, events go on without names: at once, or after ``names_wait`` where a first lookup
is waited for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from shipper import timestamp
from shipper.directory.lookup import Directory
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE
from shipper.errors import ConnlogError, StateError
from shipper.index.evidence import Witness, is_reported
from shipper.index.failure import translated
from shipper.index.store import open_reader
from shipper.journal import Parcel
from shipper.record import decode_record

CACHED_MAX_COUNT = 16_384
"""Combinations of ids whose names are remembered as bytes; when full they are forgotten."""
REOPEN_SECONDS = 0.5
"""How often an index that can't be read is tried again; it may just be made."""
QUIET_COUNT = 10
"""Failures to open it, one after another, before that is told."""
Want = Callable[[Iterable[tuple[str, str]]], None]
log = logging.getLogger(__name__)


class Ids(Struct, frozen=True):
    """What of a record tells its names."""

    time: str
    organization_id: str | None = None
    workspace_owner_id: str | None = None
    workspace_id: str | None = None
    user_id: str | None = None
    connection_id: str | None = None
    names: dict[str, str | None] | UnsetType = UNSET


_read_ids = msgspec.json.Decoder(Ids).decode
_encode = msgspec.json.Encoder().encode


class Parcels(Protocol):
    """Where parcels come from, as an outbox gives them."""

    def after(self, seq: int) -> Parcel | None:
        """The first parcel after a batch."""

    def at(self, seq: int) -> Parcel | None:
        """The parcel of a batch."""

    def put_back(self, seq: int) -> Parcel | None:
        """The next parcel of what was put back."""

    def newest(self) -> int:
        """The number of the newest batch."""


class Namer:
    """Names from the directory in the index at ``path``. ``want`` is told of ids that nobody knows; with
    ``attribution`` sessions are attributed too. For several threads."""

    def __init__(
        self, path: Path, *, wait_seconds: float = 0.0, attribution: bool = False, want: Want | None = None
    ) -> None:
        self._path = path
        self._wait_ns = int(wait_seconds * 1e9)
        self._attribution = attribution
        self._want = want
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._witness: Witness | None = None
        self._close: Callable[[], None] | None = None
        self._again = float("-inf")
        self._generation: str | None = None
        self._cached: dict[tuple[str | None, ...], bytes | None] = {}
        self._failed = False
        self._failures = 0

    def close(self) -> None:
        """Give everything back; it opens again by itself."""
        with self._lock:
            self._release()

    def named(self, parcel: Parcel) -> Parcel:
        """The parcel with names on its records."""
        with self._lock:
            try:
                return self._named(parcel)
            except (ConnlogError, msgspec.MsgspecError) as error:
                self._trouble(error)
                return parcel

    def waits(self, parcel: Parcel, now_ns: int) -> bool:
        """Whether a parcel should wait for the first lookup of somebody in it."""
        if not self._wait_ns or not 0 <= now_ns - parcel.stored_ns < self._wait_ns:
            return False
        with self._lock:
            try:
                return bool(self._open_ids(parcel, now_ns))
            except (ConnlogError, msgspec.MsgspecError) as error:
                self._trouble(error)
                return False

    def _open_ids(self, parcel: Parcel, now_ns: int) -> list[tuple[str, str]]:
        directory = self._open()
        if directory is None:
            return []
        with translated(self._path):
            ids = dict.fromkeys(one for line in parcel.lines for one in _people(_read_ids(line)))
            found = [one for one in ids if directory.is_open(*one, now_ns)]
        if found and self._want is not None:
            self._want(found)
        return found

    def _named(self, parcel: Parcel) -> Parcel:
        directory = self._open()
        if directory is None or (directory.empty and self._witness is None):
            if self._want is not None:
                self._want(dict.fromkeys(one for line in parcel.lines for one in _people(_read_ids(line))))
            return parcel
        with translated(self._path):
            lines = [self._line(directory, line) for line in parcel.lines]
        self._failed = False
        return replace(parcel, lines=lines)

    def _line(self, directory: Directory, line: bytes) -> bytes:
        ids = _read_ids(line)
        if ids.names is not UNSET or not line.endswith(b"}"):
            return line
        if self._witness is not None and ids.connection_id is not None and ids.user_id is None:
            names = self._names(directory, ids) | self._attributed(line)
            tail = _encode(names) if names else None
        else:
            key = (ids.user_id, ids.workspace_owner_id, ids.organization_id, ids.workspace_id)
            if key in self._cached:
                tail = self._cached[key]
            else:
                names = self._names(directory, ids)
                tail = _encode(names) if names else None
                if not any(directory.varies(kind, id_) for kind, id_ in _everybody(ids)):
                    if len(self._cached) >= CACHED_MAX_COUNT:
                        self._cached.clear()
                    self._cached[key] = tail
                if self._want is not None and (unknown := [one for one in _people(ids) if not directory.history(*one)]):
                    self._want(unknown)
        return line if tail is None else b"".join((line[:-1], b',"names":', tail, b"}"))

    def _names(self, directory: Directory, ids: Ids) -> dict[str, str | None]:
        return directory.names(
            timestamp.to_ns(ids.time),
            user_id=ids.user_id,
            owner_id=ids.workspace_owner_id,
            organization_id=ids.organization_id,
            workspace_id=ids.workspace_id,
        )

    def _attributed(self, line: bytes) -> dict[str, str | None]:
        assert self._witness is not None
        record = decode_record(line)
        found = self._witness.of(record) if is_reported(record) else None
        return {} if found is None else self._witness.names(found, timestamp.to_ns(record.time))

    def _open(self) -> Directory | None:
        """The directory as it is now; None while there is no index to read."""
        if self._directory is None:
            now = time.monotonic()
            if now < self._again or not self._path.exists():
                return None
            self._again = now + REOPEN_SECONDS
            try:
                database = open_reader(self._path)
            except StateError:
                self._failures += 1
                if self._failures < QUIET_COUNT:
                    return None
                raise
            self._failures = 0
            self._directory, self._close = Directory(database), database.close
            if self._attribution:
                self._witness = Witness(self._path)
        with translated(self._path):
            self._directory.refresh()
        if self._directory.generation != self._generation:
            self._generation = self._directory.generation
            self._cached.clear()
        return self._directory

    def _trouble(self, error: Exception) -> None:
        if not self._failed:
            log.warning("events go to Splunk without names: %s", error)
        self._failed = True
        self._release()

    def _release(self) -> None:
        for close in (self._close, None if self._witness is None else self._witness.close):
            if close is not None:
                close()
        self._directory = self._witness = self._close = None


class NamedParcels:
    """Parcels of ``outbox`` with names; a new one whose people are not known yet may wait for a while."""

    def __init__(self, outbox: Parcels, namer: Namer) -> None:
        self._outbox = outbox
        self._namer = namer

    def after(self, seq: int) -> Parcel | None:
        parcel = self._outbox.after(seq)
        if parcel is None or self._namer.waits(parcel, time.time_ns()):
            return None
        return self._namer.named(parcel)

    def at(self, seq: int) -> Parcel | None:
        parcel = self._outbox.at(seq)
        return None if parcel is None else self._namer.named(parcel)

    def put_back(self, seq: int) -> Parcel | None:
        parcel = self._outbox.put_back(seq)
        return None if parcel is None else self._namer.named(parcel)

    def newest(self) -> int:
        return self._outbox.newest()


def _people(ids: Ids) -> list[tuple[str, str]]:
    """Kinds and ids that Coder can be asked for alone."""
    return [(USER, id_) for id_ in (ids.user_id, ids.workspace_owner_id) if id_ is not None]


def _everybody(ids: Ids) -> list[tuple[str, str]]:
    found = _people(ids)
    if ids.organization_id is not None:
        found.append((ORGANIZATION, ids.organization_id))
    if ids.workspace_id is not None:
        found.append((WORKSPACE, ids.workspace_id))
    return found
