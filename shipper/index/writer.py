"""The writer: takes batches of the journal into the index, each exactly once, and lets old ones go."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from shipper import timestamp
from shipper.directory.schema import take_over
from shipper.index import sql
from shipper.index.block import BlockCodec
from shipper.index.bulk import ROOM_EVENTS, Bulk
from shipper.index.cell import take_rests
from shipper.index.ending import LIMIT_FACT
from shipper.index.expiry import expire, give_back, shrink
from shipper.index.failure import translated
from shipper.index.identifier import Packed, pack_ids, pack_uuids, request_numbers
from shipper.index.notice import add_notices, drop_notices, settle_notices
from shipper.index.pairing import NUMBERS_TOGETHER, Alone, Found, Member, Pairing
from shipper.index.presence import Presence, id_numbers, uuid_keys
from shipper.index.rest import Rests
from shipper.index.row import Rows
from shipper.index.schema import KEY_BYTES
from shipper.index.segment import NewestFirst
from shipper.index.start import Starts
from shipper.index.store import BUSY_TIMEOUT_SECONDS, open_writer
from shipper.index.word import Words
from shipper.key import split_ids
from shipper.record import Gap, Malformed, Record


class New(NamedTuple):
    """Events that are new: their packed ids, the keys of these, their records and their originals."""

    packed: list[bytes]
    keys: Sequence[int]
    records: Sequence[Record]
    originals: Sequence[bytes]

    def only(self, places: Sequence[int]) -> New:
        """Those at these places."""
        return New(*([column[place] for place in places] for column in self))  # type: ignore[arg-type]  # of each kind


class Added(Struct, frozen=True):
    """What one batch gave: events that are new, and those whose id was there before."""

    added: int
    duplicates: int


class IndexWriter:
    """The index opened for writing, made where it is missing. For one thread at a time."""

    def __init__(
        self,
        path: Path,
        *,
        retention_seconds: int | None = None,
        size_max_bytes: int | None = None,
        durable: bool = True,
    ) -> None:
        """Without ``durable`` a crash of the machine may leave a file that is not sound: for one that is not in use yet.

        Raises StateNewer, StateBusy, StateDamaged, StateFull or StateError."""
        self._path = path
        self._retention_ns = None if retention_seconds is None else retention_seconds * 1_000_000_000
        self._size_max_bytes = size_max_bytes
        self._owes_room = False
        self._closed = False
        self._database = open_writer(path)
        with translated(path):
            events = int(self._database.execute(sql.COUNT_EVENTS).fetchone()[0])
            self._bulk = None if durable else Bulk(self._database, events)
            room = 0 if durable else ROOM_EVENTS
            primer = self._database.execute(sql.GET_DICTIONARIES).fetchone()[1]
            self._codec = BlockCodec(primer)
            self._words = Words(self._database, whole=not durable)
            self._pairing = Pairing(self._database, self._words, room)
            self._starts = Starts(self._database, self._words)
            self._segments = NewestFirst(self._database, "events")
            self._presence = Presence(self._database, "events", self._event_numbers, events, room)
            self._presence_kept = True
            self._cursor = self._fact("cursor")

    @property
    def cursor(self) -> int:
        """The number of the last batch taken; 0 at first."""
        return self._cursor

    def add(
        self,
        seq: int,
        records: Sequence[Record],
        originals: Sequence[bytes],
        *,
        gaps: Sequence[Gap] = (),
        malformed: Sequence[Malformed] = (),
        settled: Sequence[Malformed] = (),
        stored_ns: int,
    ) -> Added:
        """Take batch ``seq`` in one transaction that also moves the cursor; a batch taken before is left alone.

        ``originals`` runs beside ``records``; ``settled`` are entries of which it is no longer told that they could not
        be read. After an error nothing of the batch is there, and the same
        call may be made again.
        """
        if seq <= self._cursor:
            return Added(0, 0)
        with self._events_coming():
            new = self._new_events(records, originals)
            self._add_events(new, stored_ns)
            settle_notices(self._database, records)
            add_notices(self._database, gaps, malformed, stored_ns)
            drop_notices(self._database, settled)
            self._database.execute(sql.SET_FACT, ("cursor", seq))
        self._cursor = seq
        return Added(len(new.packed), len(records) - len(new.packed))

    def load(self, records: Sequence[Record], originals: Sequence[bytes], *, stored_ns: int) -> Added:
        """Take events that come from elsewhere than the journal; the cursor stays where it is."""
        with self._events_coming():
            new = self._new_events(records, originals)
            self._add_events(new, stored_ns)
        return Added(len(new.packed), len(records) - len(new.packed))

    def take_notices(self, path: Path) -> None:
        """Take over the gaps, the notices of malformed lines and the names of another index."""
        with translated(path):
            self._database.execute("ATTACH ? AS old", (str(path.absolute()),))
            try:
                with self._transaction():
                    self._database.execute(sql.COPY_GAPS)
                    self._database.execute(sql.COPY_NOTICES)
                    self._database.execute(sql.COPY_FACT, (LIMIT_FACT,))
                    take_over(self._database, "old")
            finally:
                self._database.execute("DETACH old")

    def move(self, cursor: int) -> None:
        """Set the cursor: everything up to this batch is here, or can't be had any more."""
        with self._transaction():
            self._database.execute(sql.SET_FACT, ("cursor", cursor))
        self._cursor = cursor

    def limit_ongoing(self, seconds: int | None) -> None:
        """Call a connection without an end ongoing for so long at most; None: for ever. It holds until it is set anew."""
        if self._fact(LIMIT_FACT) != (seconds or 0):
            with self._transaction():
                self._database.execute(sql.SET_FACT, (LIMIT_FACT, seconds or 0))

    def expire(self, now_ns: int) -> int:
        """Delete what was stored longer ago than the retention, and give its room back; gives the number of events."""
        deleted = 0
        if self._retention_ns is not None:
            deleted = expire(self._database, self._pairing, self._transaction, now_ns - self._retention_ns, now_ns)
        self._give_back(deleted)
        return deleted

    def shrink(self, now_ns: int) -> int:
        """Delete what was stored first until the index is no larger than it may be, and give its room back; gives the
        number of events that went before their time."""
        deleted = 0
        if self._size_max_bytes is not None:
            deleted = shrink(self._database, self._pairing, self._transaction, self._size_max_bytes, now_ns)
        self._give_back(deleted)
        return deleted

    def _give_back(self, deleted: int) -> None:
        """Give free room back to the disk; what a reader holds up is done the next time."""
        if deleted:
            self._forget()
            give_back(self._database, self._transaction)
            self._owes_room = True
        if self._owes_room:
            with translated(self._path):
                # While someone reads an older view the file keeps its length; events that come must not wait for that.
                self._database.execute("PRAGMA busy_timeout = 100").fetchall()
                try:
                    busy = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                finally:
                    self._database.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_SECONDS * 1000)}").fetchall()
            self._owes_room = bool(busy)

    def close(self) -> None:
        """Write everything back into the one file, so that no -wal is left, and close. May be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            with translated(self._path):
                if not self._presence_kept:
                    with self._transaction():
                        self._presence.keep()
                        self._pairing.presence.keep()
                if self._bulk is None:
                    self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                else:
                    self._bulk.finish()
        finally:
            self._database.close()

    @contextmanager
    def _events_coming(self) -> Iterator[None]:
        """A transaction that takes events: thousands of small values are made, of which none is rubbish in a circle, so that
        to look for that meanwhile is in vain."""
        enabled = gc.isenabled()
        gc.disable()
        try:
            with self._transaction():
                yield
        finally:
            if enabled:
                gc.enable()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back by itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._forget()
                # What was kept may be there again: the next batch drops it again, before it becomes wrong.
                self._presence_kept = True
                raise

    def _forget(self) -> None:
        """Drop what is remembered of words and starts, which a rollback or a deletion may have changed."""
        self._words.forget()
        self._starts.forget()

    def _fact(self, name: str) -> int:
        row = self._database.execute(sql.GET_FACT, (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def _last(self, statement: str) -> int:
        return int(self._database.execute(statement).fetchone()[0])

    def _new_events(self, records: Sequence[Record], originals: Sequence[bytes]) -> New:
        if len(records) != len(originals):
            raise ValueError("originals must run beside records")
        new = New(*_packed(records), records, originals)
        if len(set(new.packed)) < len(records):
            places = list({packed: place for place, packed in reversed([*enumerate(new.packed)])}.values())
            new = new.only(sorted(places))
        maybe = self._presence.take(new.keys)
        if self._bulk is None or not self._bulk.are_new(new.keys):
            there = {place for place in maybe if self._has_event(new.packed[place])}
            if there:
                new = new.only([place for place in range(len(new.packed)) if place not in there])
        if new.packed and self._presence_kept:
            # From here on what was kept lacks something, until it is kept again.
            self._database.execute(sql.DROP_PRESENCE)
            self._presence_kept = False
        return new

    def _event_numbers(self) -> Iterator[Sequence[int]]:
        rows = self._database.execute(sql.ALL_EVENT_IDS)
        while some := rows.fetchmany(NUMBERS_TOGETHER):
            yield id_numbers([row[0] for row in some])

    def _has_event(self, packed: bytes) -> bool:
        return any(
            self._database.execute(sql.HAS_EVENT, (among, packed[:KEY_BYTES], packed)).fetchone() is not None
            for among in self._segments.lists
        )

    def _add_events(self, new: New, stored_ns: int) -> None:
        if not new.packed:
            return
        first = self._last(sql.LAST_EVENT) + 1
        records, pairing = new.records, self._pairing
        self._words.begin(stored_ns)
        columns = self._words.columns(records, stored_ns)
        kinds: list[Any] = columns.ids[0]
        places: list[Any] = columns.ids[1]
        agents = columns.ids[2]
        times = timestamp.all_to_ns([record.time for record in records])
        ended = [1 if record.status == "disconnected" else 0 for record in records]  # numbers need not be adapted
        ids = pack_ids([record.connection_id for record in records])
        belongs, gathered, last = pairing.gather(ids, kinds, places, self._last(sql.LAST_CONNECTION))
        rows = Rows(
            new.packed,
            times,
            ended,
            belongs,
            request_numbers([record.request_id for record in records]),
            [record.code for record in records],
            pack_ids([record.client_session_id for record in records]),
            columns.ids,
        )
        self._add_blocks(take_rests(records, times, columns.cut), new.originals, first, stored_ns)
        rows.add(self._database, first)
        self._starts.take(times, ended, kinds, places, agents)
        several = {place for one in gathered for place in one.places}
        alone = Alone(first, ids, ended, times, kinds, several)
        counted = Counter(kinds)
        counted.subtract(kinds[place] for place in several)
        connections: list[tuple[Any, ...]] = []
        later: list[tuple[Found, list[Member], Packed | None]] = []
        for one in gathered:
            members = rows.members(one.places, first)
            connection_id = ids[one.places[0]]
            if one.found is None:
                connections.append(pairing.together(one.number, members, connection_id, stored_ns))
            else:
                later.append((one.found, members, connection_id))
        pairing.add(connections, alone, counted)
        for found, members, connection_id in later:
            pairing.extend(found, members, connection_id, stored_ns)
        if columns.named:
            self._database.execute(sql.SET_FACT, ("named", 1))
        self._segments.reach(first + len(records) - 1)
        self._presence.grow()
        pairing.reach(last)

    def _add_blocks(self, rests: Rests, originals: Sequence[bytes], first: int, stored_ns: int) -> None:
        for events, packed in self._codec.blocks(rests, originals, rests.hints()):
            self._database.execute(sql.ADD_BLOCK, (first, events, stored_ns, packed))
            first += events


def _packed(records: Sequence[Record]) -> tuple[list[bytes], Sequence[int]]:
    """The packed ids of records, and the keys of these."""
    texts = [record.id for record in records]
    data = pack_uuids(texts)
    if data is None:
        packed = [one if isinstance(one, bytes) else str(one).encode() for one in pack_ids(texts)]
        return packed, id_numbers(packed)
    return split_ids(data), uuid_keys(data)
