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
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from shipper import timestamp
from shipper.decoder import json_decoder
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE
from shipper.errors import ConnlogError, StateError
from shipper.index.failure import translated
from shipper.journal import Parcel
from shipper.record import decode_record

if TYPE_CHECKING:
    from shipper.directory.lookup import Directory
    from shipper.index.evidence import Witness

CACHED_MAX_COUNT = 65_536
"""Ids of each role whose names are remembered as bytes; when full they are forgotten."""
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


class Role(Struct, frozen=True):
    """What an id of a record adds to its names: each name with the attribute it is. ``asked``: Coder can be asked for
    it alone."""

    kind: str
    names: tuple[tuple[str, str], ...]
    asked: bool = False


_USER = Role(USER, (("user", "username"), ("user_email", "email")), asked=True)
_OWNER = Role(USER, (("workspace_owner", "username"),), asked=True)
_ORGANIZATION = Role(ORGANIZATION, (("organization", "name"),))
_WORKSPACE = Role(WORKSPACE, (("template", "template"),))
_ids = json_decoder(Ids)
_encode = msgspec.json.Encoder().encode


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
        self.asks_organizations = False
        """Whether organizations are waited and asked for too, since a filter goes by them."""
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self._witness: Witness | None = None
        self._close: Callable[[], None] | None = None
        self._again = float("-inf")
        self._generation: str | None = None
        self._cached: tuple[dict[str, bytes], ...] = ({}, {}, {}, {})
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

    @property
    def silent(self) -> bool:
        """Whether there is nothing to put on records now, and nobody to be told of ids."""
        with self._lock:
            try:
                directory = self._open()
            except ConnlogError as error:
                self._trouble(error)
                return self._want is None
            return self._want is None and self._witness is None and (directory is None or directory.empty)

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

    def name(self, kind: str, id_: str, attribute: str, at_ns: int) -> tuple[str | None, bool]:
        """A name as of a moment; where it is None, whether it may still be learnt: while Coder may be asked for it, or
        nobody's name is known at all."""
        with self._lock:
            try:
                directory = self._open()
                if directory is None or directory.empty:
                    return None, True
                with translated(self._path):
                    found = directory.value(kind, id_, attribute, at_ns)
                    if found is not None or self._want is None:
                        return found, False
                    # Who is not there, or hidden, at the last asking stays so until it is found after all.
                    return None, bool(directory.history(kind, id_)) or directory.is_open(kind, id_, 0)
            except ConnlogError as error:
                self._trouble(error)
                return None, True

    def me(self) -> tuple[str | None, bool]:
        """The id of whose token it is; where it is None, True: it may still be learnt."""
        with self._lock:
            try:
                directory = self._open()
                with translated(self._path):
                    found = None if directory is None else directory.me()
            except ConnlogError as error:
                self._trouble(error)
                found = None
            return found, found is None

    def _open_ids(self, parcel: Parcel, now_ns: int) -> list[tuple[str, str]]:
        directory = self._open()
        if directory is None:
            return []
        with translated(self._path):
            ids = dict.fromkeys(one for line in parcel.lines for one in self._people(_ids.decode(line)))
            found = [one for one in ids if directory.is_open(*one, now_ns)]
        if found and self._want is not None:
            self._want(found)
        return found

    def _named(self, parcel: Parcel) -> Parcel:
        directory = self._open()
        if directory is None or (directory.empty and self._witness is None):
            if self._want is not None:
                self._want(dict.fromkeys(one for line in parcel.lines for one in self._people(_ids.decode(line))))
            return parcel
        with translated(self._path):
            lines = [self._line(directory, line) for line in parcel.lines]
        self._failed = False
        return replace(parcel, lines=lines, sealed=None)

    def _people(self, ids: Ids) -> list[tuple[str, str]]:
        """Kinds and ids that are waited for."""
        found = [(USER, id_) for id_ in (ids.user_id, ids.workspace_owner_id) if id_ is not None]
        if self.asks_organizations and ids.organization_id is not None:
            found.append((ORGANIZATION, ids.organization_id))
        return found

    def _line(self, directory: Directory, line: bytes) -> bytes:
        ids = _ids.decode(line)
        if ids.names is not UNSET or not line.endswith(b"}"):
            return line
        parts = []
        for id_, cached, role in (
            (ids.user_id, self._cached[0], _USER),
            (ids.workspace_owner_id, self._cached[1], _OWNER),
            (ids.organization_id, self._cached[2], _ORGANIZATION),
            (ids.workspace_id, self._cached[3], _WORKSPACE),
        ):
            if id_ is not None:
                part = cached.get(id_)
                if part is None:
                    part = self._part(directory, role, id_, ids.time, cached)
                if part:
                    parts.append(part)
        if self._witness is not None and ids.connection_id is not None and ids.user_id is None:
            attributed = self._attributed(line)
            if attributed:
                parts.append(_encode(attributed)[1:-1])
        return b"".join((line[:-1], b',"names":{', b",".join(parts), b"}}")) if parts else line

    def _part(self, directory: Directory, role: Role, id_: str, time_: str, cached: dict[str, bytes]) -> bytes:
        """What a role adds to the names, as JSON without its braces; remembered where it is the same at every time."""
        at_ns = timestamp.to_ns(time_)
        found = {name: directory.value(role.kind, id_, attribute, at_ns) for name, attribute in role.names}
        known = {name: value for name, value in found.items() if value is not None}
        part = _encode(known)[1:-1] if known else b""
        if not directory.varies(role.kind, id_):
            if len(cached) >= CACHED_MAX_COUNT:
                cached.clear()
            cached[id_] = part
        asked = role.asked or (self.asks_organizations and role is _ORGANIZATION)
        if self._want is not None and asked and not directory.history(role.kind, id_):
            self._want([(role.kind, id_)])
        return part

    def _attributed(self, line: bytes) -> dict[str, str | None]:
        assert self._witness is not None
        record = decode_record(line)
        from shipper.index.evidence import is_reported

        found = self._witness.of(record) if is_reported(record) else None
        return {} if found is None else self._witness.names(found, timestamp.to_ns(record.time))

    def _open(self) -> Directory | None:
        """The directory as it is now; None while there is no index to read."""
        if self._directory is None:
            now = time.monotonic()
            if now < self._again or not self._path.exists():
                return None
            self._again = now + REOPEN_SECONDS
            # Imported here: where there is no index there are no names.
            from shipper.directory.lookup import Directory
            from shipper.index.store import open_reader

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
                # Imported here: only who attributes needs it, and what it brings.
                from shipper.index.evidence import Witness

                self._witness = Witness(self._path)
        with translated(self._path):
            self._directory.refresh()
        if self._directory.generation != self._generation:
            self._generation = self._directory.generation
            for cached in self._cached:
                cached.clear()
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
