"""The store: one transaction holds a batch and the positions it was read up to, and outputs follow at their own pace.

Nothing is dropped: at the size limit, or on a full disk, ``append`` raises StateFull and has changed
nothing; the same batch can be appended later. A batch is deleted when every registered output is
past it. Sequence numbers begin at the time of the journal's making, so that those of a journal made
anew lie above every cursor that an output still has from the one before.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateDamaged, StateFull
from shipper.journal import sql
from shipper.journal.batch import Appended, Batch, Block, Counters
from shipper.journal.blob import Codec, Notices, checksum
from shipper.journal.database import connect, transaction, translated
from shipper.journal.ledger import write_ledger
from shipper.journal.position import Position
from shipper.journal.recent import RecentIds
from shipper.journal.recovery import Salvage, salvage
from shipper.journal.sift import sift
from shipper.record import SCHEMA, Gap, Malformed, Source
from shipper.timestamp import from_ns

RECENT_IDS_MAX_COUNT = 262_144
_SEQ_SHIFT = 20  # a million batches for each second since the journal before
_position_encoder = msgspec.msgpack.Encoder()
_position_decoder = msgspec.msgpack.Decoder(Position)
_gap_decoder = msgspec.json.Decoder(Gap)
_source_decoder = msgspec.json.Decoder(Source)
log = logging.getLogger(__name__)


class Depth(Struct, frozen=True):
    """How much the journal holds: ``bytes`` of batches, ``oldest_ns`` (Unix time) None when it is empty."""

    batches: int
    events: int
    bytes: int
    oldest_ns: int | None


class OutputState(Struct, frozen=True):
    """Where one output is: its cursor and the events behind it."""

    name: str
    cursor: int
    advanced_ns: int | None
    pending: int


class Quarantined(Struct, frozen=True):
    """A malformed entry as it is kept, under its number."""

    number: int
    stored_ns: int
    source: str
    entry: Malformed


class Journal:
    """The journal at ``path``; one process at a time writes it, any of its threads may call.

    ``max_bytes`` bounds the batches and all else in the file. Raises StateNewer, StateBusy, StateFull
    and StateError; a damaged file is put aside and what is sound of it is taken over, with a gap.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 1 << 30,
        recent_ids_max_count: int = RECENT_IDS_MAX_COUNT,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._now_ns = now_ns
        self._lock = threading.RLock()
        self._codec = Codec()
        saved: Salvage | None = None
        try:
            self._db = connect(path)
        except StateDamaged as error:
            log.warning("%s; what is sound is taken over into a new one", error)
            saved = salvage(path, now_ns())
            self._db = connect(path)
        with translated(path):
            self._prepare(saved)
            self._recent = RecentIds(recent_ids_max_count, self._db.execute(sql.ALL_RECENT))
            self._page_size = int(self._db.execute(sql.PAGE_SIZE).fetchone()[0])
            self._last_seq = int(self._db.execute(sql.GET_META, ("last_seq",)).fetchone()[0])
        if saved is not None:
            self.append(Batch(gaps=(saved.gap(),)))

    def _prepare(self, saved: Salvage | None) -> None:
        known = self._db.execute(sql.GET_META, ("last_seq",)).fetchone() is not None
        self.fresh = not known and saved is None
        """Whether this is the first start on this state folder."""
        if known:
            return
        with transaction(self._db):
            base = (self._now_ns() // 1_000_000_000) << _SEQ_SHIFT
            if saved is not None:
                base = saved.restore(self._db, base)
            self._db.execute(sql.PUT_META, ("last_seq", base))
            self._db.execute(sql.PUT_META, ("made_ns", self._now_ns()))

    # ---- writing -------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Appended:
        """Write one batch and its positions in one transaction; copies of recent events are left out and counted.

        Raises StateFull (disk or size limit), StateBusy, StateDamaged, StateError; then nothing is written.
        """
        with self._lock, translated(self._path):
            if self._used_bytes() >= self._max_bytes:
                raise StateFull(
                    f"{self._path}: the journal has reached state.journal_max ({self._max_bytes} bytes); "
                    "reading pauses until an output catches up: see 'connlog status'"
                )
            now_ns = self._now_ns()
            sifted = sift(batch, self._recent)
            seq = self._last_seq + 1 if sifted.for_outputs else None
            with transaction(self._db):
                if seq is not None:
                    self._write_batch(seq, now_ns, sifted.ids, sifted.block(seq, now_ns))
                group = self._db.execute(sql.ADD_RECENT, (sifted.ids,)).lastrowid if sifted.ids else None
                surplus = self._recent.surplus(len(sifted.ids) // 16) if group is not None else None
                if surplus is not None:
                    self._db.execute(sql.DROP_RECENT, (surplus,))
                for position in batch.positions:
                    self._db.execute(sql.PUT_POSITION, (position.key, _position_encoder.encode(position)))
                for key in batch.forget:
                    self._db.execute(sql.DROP_POSITION, (key,))
                write_ledger(self._db, batch, sifted, now_ns)
            # Only what is committed is remembered: a batch that failed is not its own duplicate.
            if seq is not None:
                self._last_seq = seq
            if surplus is not None:
                self._recent.forget(surplus)
            if group is not None:
                self._recent.add(group, sifted.ids)
            return Appended(seq, sifted.stored, sifted.duplicates, sifted.malformed)

    def _write_batch(self, seq: int, now_ns: int, ids: bytes, block: Block) -> None:
        times = [record.time for record in block.records]
        records = self._codec.pack_records(block.records)
        originals = self._codec.pack_lines(block.originals)
        notices = self._codec.pack_notices(Notices(block.gaps, block.malformed))
        count = len(block.records)
        proof = checksum((count, ids, records, originals, notices))
        low, high = (min(times), max(times)) if times else (None, None)
        row = (seq, now_ns, count, low, high, ids, records, originals, notices, proof)
        self._db.execute(sql.ADD_BATCH, row)
        self._db.execute(sql.PUT_META, ("last_seq", seq))

    def _used_bytes(self) -> int:
        pages = int(self._db.execute(sql.PAGE_COUNT).fetchone()[0])
        return (pages - int(self._db.execute(sql.FREE_COUNT).fetchone()[0])) * self._page_size

    # ---- outputs -------------------------------------------------------------------------------

    def register(self, output: str, cursor: int | None = None) -> int:
        """Make an output known, so that batches wait for it, and return the cursor it reads on from.

        ``cursor`` is given by an output that keeps its own. One that lies above all of this journal's
        numbers comes from another journal: the batches here are renumbered above it, none is skipped.
        """
        with self._lock, translated(self._path), transaction(self._db):
            row = self._db.execute(sql.GET_OUTPUT, (output,)).fetchone()
            known = int(row[0]) if row is not None else 0
            if cursor is None:
                cursor = known
            elif cursor > self._last_seq:
                first = self._db.execute(sql.FIRST_SEQ).fetchone()[0]
                by = cursor + 1 - (first if first is not None else self._last_seq + 1)
                self._db.execute(sql.MOVE_BATCHES, (by,))
                self._db.execute(sql.TURN_BATCHES)
                self._db.execute(sql.MOVE_OUTPUTS, (by,))
                self._last_seq += by
                self._db.execute(sql.PUT_META, ("last_seq", self._last_seq))
            self._db.execute(sql.PUT_OUTPUT, (output, cursor, None))
            return cursor

    def unregister(self, output: str) -> None:
        """Forget an output: nothing waits for it any more."""
        with self._lock, translated(self._path), transaction(self._db):
            self._db.execute(sql.DROP_OUTPUT, (output,))
            self._db.execute(sql.DROP_BATCHES)

    def keep_outputs(self, names: set[str]) -> list[str]:
        """Forget every output that is not among ``names``; returns those forgotten."""
        gone = [state.name for state in self.outputs() if state.name not in names]
        for name in gone:
            self.unregister(name)
        return gone

    def read(self, after_seq: int) -> Block | None:
        """The next batch after ``after_seq``, or None. A batch that is not sound comes as a gap that says so."""
        with self._lock, translated(self._path):
            row = self._db.execute(sql.NEXT_BATCH, (after_seq,)).fetchone()
        return None if row is None else _unpack(row)

    def advance(self, output: str, seq: int) -> None:
        """The output has taken every batch up to ``seq`` for good; batches that all have taken are deleted."""
        with self._lock, translated(self._path):
            with transaction(self._db):
                self._db.execute(sql.PUT_OUTPUT, (output, seq, self._now_ns()))
                self._db.execute(sql.DROP_BATCHES)
            self._db.execute(sql.SHRINK).fetchall()

    # ---- asking --------------------------------------------------------------------------------

    def positions(self) -> list[Position]:
        """Every persisted position."""
        with self._lock, translated(self._path):
            return [_position_decoder.decode(body) for (body,) in self._db.execute(sql.ALL_POSITIONS)]

    def counters(self) -> dict[str, Counters]:
        """The counters of each source by its name."""
        with self._lock, translated(self._path):
            return {str(row[0]): Counters(*row[1:]) for row in self._db.execute(sql.ALL_COUNTERS)}

    def outputs(self) -> list[OutputState]:
        """Every registered output with its cursor and pending events."""
        with self._lock, translated(self._path):
            return [OutputState(*row) for row in self._db.execute(sql.PENDING)]

    def depth(self) -> Depth:
        """How much the journal holds now."""
        with self._lock, translated(self._path):
            return Depth(*self._db.execute(sql.DEPTH).fetchone())

    def gaps(self, limit: int = 100) -> tuple[int, list[Gap]]:
        """How many gaps there have been, and the last ``limit`` of them, newest first."""
        with self._lock, translated(self._path):
            total = int(self._db.execute(sql.COUNT_GAPS).fetchone()[0])
            return total, [_gap_decoder.decode(body) for (body,) in self._db.execute(sql.LAST_GAPS, (limit,))]

    def quarantine(self, after: int = 0, limit: int = 1000) -> list[Quarantined]:
        """Malformed entries in the order they were kept, those after number ``after``."""
        with self._lock, translated(self._path):
            rows = self._db.execute(sql.ALL_QUARANTINE, (after, limit)).fetchall()
        return [
            Quarantined(n, stored, source, Malformed(raw, reason, line, col, _source_decoder.decode(place), length, at))
            for n, stored, source, reason, line, col, length, at, place, raw in rows
        ]

    def drift(self) -> list[tuple[str, int, int]]:
        """What was never seen before: name, Unix time in ns of the first sight, and how often."""
        with self._lock, translated(self._path):
            return [(str(name), int(first), int(count)) for name, first, count in self._db.execute(sql.ALL_DRIFT)]

    def dropped_quarantine(self) -> int:
        """How many quarantined entries made room for newer ones."""
        with self._lock, translated(self._path):
            row = self._db.execute(sql.GET_META, ("quarantine_dropped",)).fetchone()
            return int(row[0]) if row is not None else 0

    def close(self) -> None:
        """Write the log back into the file and close it."""
        with self._lock:
            try:
                self._db.execute(sql.CHECKPOINT).fetchall()
            except sqlite3.Error as error:
                # The WAL holds everything; the next start reads it.
                log.info("%s: closed with its log not written back: %s", self._path, error)
            self._db.close()


def _unpack(row: tuple[int, int, int, str | None, str | None, bytes, bytes, bytes, bytes, bytes]) -> Block:
    seq, stored_ns, count, low, high, ids, records, originals, notices, proof = row
    # Threads read at once and a codec is not for two of them; making one costs microseconds.
    codec = Codec()
    try:
        if checksum((count, ids, records, originals, notices)) != proof:
            raise StateDamaged("its checksum does not fit")  # noqa: TRY301 - one way out for all that is unsound
        found = codec.unpack_notices(notices)
        return Block(
            seq, stored_ns, codec.unpack_records(records), codec.unpack_lines(originals), found.gaps, found.malformed
        )
    except StateDamaged as error:
        reason = f"batch {seq} of the journal, stored {from_ns(stored_ns)} with {count} events, is lost: {error}"
        log.warning("%s", reason)
        gap = Gap(SCHEMA, "journal_damaged", Source(), low, high, len(records), False, from_ns(time.time_ns()), reason)
        return Block(seq, stored_ns, [], [], [gap], [])
