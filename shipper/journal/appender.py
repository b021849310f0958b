"""The appender: writes batches into an open journal, each event once, whichever other process writes to it as well.

A daemon and ``connlog quarantine replay`` append to one journal. Both do it under SQLite's write lock, and
both first take over what the other has written since: its last number and its recent ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shipper.errors import StateFull
from shipper.journal import delivery_sql as dsql
from shipper.journal import sql
from shipper.journal.bale import Bale
from shipper.journal.batch import Appended, Batch
from shipper.journal.blob import Codec, Notices, checksum
from shipper.journal.database import transaction
from shipper.journal.ledger import write_ledger
from shipper.journal.parcel import Parcel, SealedLines
from shipper.journal.position import encode_feed, encode_position
from shipper.journal.recent import RecentIds
from shipper.journal.seal import Sealed, Wrapping, join, seal
from shipper.journal.sift import Sifted, sift
from shipper.journal.warm import WarmParcels

RECENT_IDS_MAX_COUNT = 262_144


class Appender:
    """Writes through ``db``. Not for two threads at once. ``max_bytes`` bounds the file but for the ledger of what was
    delivered and the quarantine, whose text has ``quarantine_max_bytes`` of its own. SQLite's errors pass through."""

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        *,
        max_bytes: int,
        quarantine_max_bytes: int,
        recent_ids_max_count: int = RECENT_IDS_MAX_COUNT,
    ) -> None:
        self._db = db
        self._path = path
        self._max_bytes = max_bytes
        self._quarantine_max_bytes = quarantine_max_bytes
        self._codec = Codec()
        # Filled by the first batch with events: who only delivers needs none of them, and they are many.
        self._recent = RecentIds(recent_ids_max_count)
        self._page_size = int(db.execute(sql.PAGE_SIZE).fetchone()[0])
        self._written: list[tuple[int | None, int, Sifted]] = []
        self._sealed: list[Parcel] = []
        self.warm = WarmParcels()
        self.wrapping: Wrapping | None = None
        """What records are kept in, None for none."""
        self.keeps_originals = True
        self.last_seq = 0
        """The newest number of a batch, as of the last transaction."""

    def limit(self, max_bytes: int, quarantine_max_bytes: int) -> None:
        """Keep to other limits from now on."""
        self._max_bytes, self._quarantine_max_bytes = max_bytes, quarantine_max_bytes

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction that begins with what others have committed; only what it commits is remembered."""
        self._written, self._sealed = [], []
        with transaction(self._db):
            self.last_seq = int(self._db.execute(sql.GET_META, ("last_seq",)).fetchone()[0])
            yield
        # A batch that failed must not become its own duplicate.
        for surplus, group, sifted in self._written:
            if surplus is not None:
                self._recent.forget(surplus)
            self._recent.add(group, sifted.ids, sifted.keys)
        for parcel in self._sealed:
            self.warm.put(parcel)
        self._written, self._sealed = [], []

    def write(self, batch: Batch, now_ns: int) -> Appended:
        """Write one batch, once in a transaction; copies of recent events are left out and counted. Raises StateFull,
        but never for a batch of notices only: at the limit, too, the journal starts and says what it lacks."""
        if not batch.notices_only and self._used_bytes() >= self._max_bytes:
            raise StateFull(
                f"{self._path}: the journal has reached state.journal_max ({self._max_bytes} bytes); "
                "reading pauses until an output catches up: see 'connlog status'"
            )
        recent = self.recent() if any(piece.count for piece in batch.pieces) else self._recent
        sifted = sift(batch, recent, None if self.wrapping is None else self.wrapping.name)
        seq = self.last_seq + 1 if sifted.for_outputs else None
        if seq is not None:
            self._write_batch(seq, now_ns, sifted)
        if sifted.ids:
            group = self._db.execute(sql.ADD_RECENT, (sifted.ids,)).lastrowid
            assert group is not None
            surplus = self._recent.surplus(len(sifted.ids) // 16)
            if surplus is not None:
                self._db.execute(sql.DROP_RECENT, (surplus,))
            self._written.append((surplus, group, sifted))
        for position in batch.positions:
            self._db.execute(sql.PUT_POSITION, (position.key, encode_position(position)))
        for feed in batch.feeds:
            self._db.execute(sql.PUT_FEED, (feed.key, encode_feed(feed)))
        for key in batch.forget:
            self._db.execute(sql.DROP_POSITION, (key,))
        if batch.began:
            self._db.execute(sql.PUT_META, ("began", 1))
        entered = write_ledger(self._db, batch, sifted, now_ns, self._quarantine_max_bytes)
        return Appended(
            seq,
            sifted.stored,
            sifted.duplicates,
            sifted.malformed,
            textless=entered.textless,
            trimmed=entered.trimmed,
            drift=entered.drift,
        )

    def recent(self) -> RecentIds:
        """The recent ids, with those that others have committed."""
        for group, ids in self._db.execute(sql.LATER_RECENT, (self._recent.last,)):
            self._recent.add(group, ids)
        return self._recent

    def _write_batch(self, seq: int, now_ns: int, sifted: Sifted) -> None:
        ids, times = sifted.ids, list[str]()
        parts: list[Sealed] = []
        for part in sifted.parts:
            times += (part.low, part.high) if isinstance(part, Bale) else [record.time for record in part]
            if self.wrapping is not None:
                parts.append(part.sealed if isinstance(part, Bale) else seal(part, self.wrapping))
        sealed = join(parts) if parts else None
        # Without a wrapping no bale is of use, and all are single records.
        encoded = [record for part in sifted.parts if not isinstance(part, Bale) for record in part]
        records = self._codec.pack_records(encoded) if sealed is None else sealed.packed
        originals = self._codec.pack_lines(sifted.originals if self.keeps_originals else ())
        malformed = [entry for _, entry in sifted.malformed_entries]
        notices = self._codec.pack_notices(Notices(sifted.gaps, malformed, sifted.settled))
        count = sifted.stored
        # What ``verify`` reads.
        form = (None, None, None) if sealed is None else (sealed.wrap, sealed.table, sealed.times)
        proved = () if sealed is None else (sealed.wrap.encode(), sealed.table, sealed.times)
        proof = checksum((count, ids, records, originals, notices, *proved))
        low, high = (min(times), max(times)) if times else (None, None)
        row = (seq, now_ns, count, low, high, ids, records, originals, notices, proof, *form)
        self._db.execute(sql.ADD_BATCH, row)
        self._db.execute(sql.PUT_META, ("last_seq", seq))
        self.last_seq = seq
        if sealed is not None:
            lines = SealedLines(sealed, ids)
            self._sealed.append(Parcel(seq, now_ns, lines, sifted.gaps, lines))

    def _used_bytes(self) -> int:
        pages = int(self._db.execute(sql.PAGE_COUNT).fetchone()[0])
        used = (pages - int(self._db.execute(sql.FREE_COUNT).fetchone()[0])) * self._page_size
        _, text_bytes, place_bytes, *_ = self._db.execute(sql.SIZE_QUARANTINE).fetchone()
        delivered_bytes = self._db.execute(dsql.DELIVERED_BYTES).fetchone()[0]
        return used - int(text_bytes) - int(place_bytes) - int(delivered_bytes)
