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
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateDamaged
from shipper.journal import sql
from shipper.journal.appender import RECENT_IDS_MAX_COUNT, Appender
from shipper.journal.batch import Appended, Batch, Block, Counters
from shipper.journal.blob import Codec, Row, verify
from shipper.journal.database import connect, shrink, transaction, translated
from shipper.journal.mark import Mark
from shipper.journal.outbox import Outbox, forget_outbox, move_outboxes
from shipper.journal.position import BACKFILL_PREFIX, FeedPosition, Position, decode_feed, decode_position
from shipper.journal.proof import prove
from shipper.journal.quarantine import Quarantined, QuarantineSize, read_entries, read_size
from shipper.journal.recovery import began_anew, end_recovery, recover, went_back
from shipper.journal.seal import Wrapping
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

_SEQ_SHIFT = 20  # a million batches for each second since the journal before
_gap_decoder = msgspec.json.Decoder(Gap)
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


class Journal:
    """The journal at ``path``; one process at a time writes it, any of its threads may call.

    Beside it a ``Quarantine`` of another process may append. ``max_bytes`` bounds the batches and all else in the
    file but for the quarantine, whose text has ``quarantine_max_bytes`` of its own. Raises StateNewer, StateBusy, StateFull
    and StateError; a damaged file is put aside and what is sound of it is taken over, with a gap.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 1 << 30,
        quarantine_max_bytes: int = 256 << 20,
        delivered_max_bytes: int = 256 << 20,
        recent_ids_max_count: int = RECENT_IDS_MAX_COUNT,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._now_ns = now_ns
        self._quarantine_max_bytes = quarantine_max_bytes
        self._delivered_max_bytes = delivered_max_bytes
        self.moves_count = 0
        """How often the batches were given other numbers: whoever remembers numbers must ask anew then."""
        self._lock = threading.RLock()
        end_recovery(path, now_ns())
        try:
            self._db = _open_sound(path)
        except StateDamaged as error:
            log.warning("%s; what is sound is taken over into a new one", error)
            mark = Mark(path)
            newest = mark.read()
            mark.close()
            recover(
                path,
                newest=newest,
                base=self._base(),
                now_ns=now_ns(),
                recent_ids_max_count=recent_ids_max_count,
            )
            self._db = connect(path)
        self._mark = Mark(path)
        try:
            with translated(path):
                made_now = self._prepare()
                self._appender = Appender(
                    self._db,
                    path,
                    max_bytes=max_bytes,
                    quarantine_max_bytes=quarantine_max_bytes,
                    recent_ids_max_count=recent_ids_max_count,
                )
            newest = self._mark.read()
            if newest and made_now:
                self.append(Batch(gaps=(began_anew(path, newest, now_ns()),)))
            elif newest > (last := self._last_seq()):
                row = self._db.execute(sql.LAST_STORED).fetchone()
                since_ns = None if row is None else int(row[0])
                self.append(Batch(gaps=(went_back(path, newest - last, since_ns, now_ns()),)))
        except BaseException:
            # Whoever waits for room makes another, again and again.
            self._db.close()
            self._mark.close()
            raise

    def _prepare(self) -> bool:
        """Make it ready; whether it was made just now."""
        known = self._db.execute(sql.GET_META, ("last_seq",)).fetchone() is not None
        followed = self._db.execute(sql.ANY_FOLLOWED, (len(BACKFILL_PREFIX), BACKFILL_PREFIX)).fetchone()[0]
        began = followed or self._db.execute(sql.GET_META, ("began",)).fetchone() is not None
        self.fresh = not began
        """Whether no daemon has come as far as its first look at the inputs on this state folder."""
        if known:
            return False
        with transaction(self._db):
            self._db.execute(sql.PUT_META, ("last_seq", self._base()))
            self._db.execute(sql.PUT_META, ("made_ns", self._now_ns()))
        return True

    def _base(self) -> int:
        """What the numbers of a journal made now begin above."""
        return (self._now_ns() // 1_000_000_000) << _SEQ_SHIFT

    # ---- writing -------------------------------------------------------------------------------

    def write_for(self, wrapping: Wrapping | None, *, originals: bool) -> None:
        """From now on keep records in this wrapping (None: in none), and their original lines or not. Batches of either
        kind are read alike; what was left out is empty there."""
        with self._lock:
            self._appender.wrapping, self._appender.keeps_originals = wrapping, originals

    @property
    def wrapping(self) -> Wrapping | None:
        """What records are kept in, None for none."""
        return self._appender.wrapping

    @property
    def keeps_originals(self) -> bool:
        """Whether original lines are kept."""
        return self._appender.keeps_originals

    def append(self, batch: Batch) -> Appended:
        """Write one batch and its positions in one transaction; copies of recent events are left out and counted.

        Raises StateFull (disk or size limit), StateBusy, StateDamaged, StateError; then nothing is written.
        """
        with self._lock, translated(self._path):
            with self._appender.transaction():
                appended = self._appender.write(batch, self._now_ns())
            self.fresh = self.fresh and not batch.began
            if appended.seq is not None:
                self._mark.write(appended.seq)
            return appended

    def _last_seq(self) -> int:
        with translated(self._path):
            return int(self._db.execute(sql.GET_META, ("last_seq",)).fetchone()[0])

    # ---- outputs -------------------------------------------------------------------------------

    def register(self, output: str, cursor: int | None = None) -> int:
        """Make an output known, so that batches wait for it, and return the cursor it reads on from.

        ``cursor`` is given by an output that keeps its own. One that lies above all of this journal's
        numbers comes from another journal: the batches here are renumbered above it, none is skipped.
        """
        with self._lock, translated(self._path), self._appender.transaction():
            row = self._db.execute(sql.GET_OUTPUT, (output,)).fetchone()
            known = int(row[0]) if row is not None else 0
            if cursor is None:
                cursor = known
            elif cursor > self._appender.last_seq:
                first = self._db.execute(sql.FIRST_SEQ).fetchone()[0]
                by = cursor + 1 - (first if first is not None else self._appender.last_seq + 1)
                self._db.execute(sql.MOVE_BATCHES, (by,))
                self._db.execute(sql.TURN_BATCHES)
                self._db.execute(sql.MOVE_OUTPUTS, (by,))
                move_outboxes(self._db, by)
                self._appender.warm.clear()
                self.moves_count += 1
                self._appender.last_seq += by
                self._db.execute(sql.PUT_META, ("last_seq", self._appender.last_seq))
            self._db.execute(sql.PUT_OUTPUT, (output, cursor, None))
            return cursor

    def unregister(self, output: str) -> None:
        """Forget an output: nothing waits for it any more."""
        with self._lock, translated(self._path), transaction(self._db):
            self._db.execute(sql.DROP_OUTPUT, (output,))
            forget_outbox(self._db, output)
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

    def limit(self, *, max_bytes: int, quarantine_max_bytes: int, delivered_max_bytes: int) -> None:
        """Keep to other limits from now on; an outbox that was given before keeps those it was given with."""
        with self._lock:
            self._appender.limit(max_bytes, quarantine_max_bytes)
            self._quarantine_max_bytes, self._delivered_max_bytes = quarantine_max_bytes, delivered_max_bytes

    def outbox(self, output: str) -> Outbox:
        """What is remembered for a registered output that takes batches apart."""
        return Outbox(
            output,
            self._db,
            self._lock,
            self._path,
            self._now_ns,
            quarantine_max_bytes=self._quarantine_max_bytes,
            delivered_max_bytes=self._delivered_max_bytes,
            warm=self._appender.warm,
        )

    def advance(self, output: str, seq: int) -> None:
        """The output has taken every batch up to ``seq`` for good; batches that all have taken are deleted."""
        with self._lock, translated(self._path):
            with transaction(self._db):
                self._db.execute(sql.PUT_OUTPUT, (output, seq, self._now_ns()))
                self._db.execute(sql.DROP_BATCHES)
            shrink(self._db)

    # ---- asking --------------------------------------------------------------------------------

    def positions(self) -> list[Position]:
        """Every persisted position."""
        with self._lock, translated(self._path):
            return [decode_position(body) for (body,) in self._db.execute(sql.ALL_POSITIONS)]

    def feeds(self) -> dict[str, FeedPosition]:
        """The position of every source that is no file, by its key."""
        with self._lock, translated(self._path):
            feeds = [decode_feed(body) for (body,) in self._db.execute(sql.ALL_FEEDS)]
        return {feed.key: feed for feed in feeds}

    def at_once(self) -> AbstractContextManager[object]:
        """While this is held no other thread writes to the journal through it: what is asked meanwhile belongs together.
        To be held for questions to the journal alone: whoever else is asked may wait for it."""
        return self._lock

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
        """Quarantined entries in the order they were kept, those after number ``after``."""
        with self._lock, translated(self._path):
            return read_entries(self._db, after, limit)

    def quarantine_size(self) -> QuarantineSize:
        """How much is in the quarantine."""
        with self._lock, translated(self._path):
            return read_size(self._db)

    def drift(self) -> list[tuple[str, int, int]]:
        """What was never seen before: name, Unix time in ns of the first sight, and how often."""
        with self._lock, translated(self._path):
            return [(str(name), int(first), int(count)) for name, first, count in self._db.execute(sql.ALL_DRIFT)]

    def close(self) -> None:
        """Write the log back into the file and close it."""
        with self._lock:
            try:
                self._db.execute(sql.CHECKPOINT).fetchall()
            except sqlite3.Error as error:
                # The WAL holds everything; the next start reads it.
                log.info("%s: closed with its log not written back: %s", self._path, error)
            self._db.close()
            self._mark.close()


def _open_sound(path: Path) -> sqlite3.Connection:
    """The journal's database, proved. Raises StateDamaged and the errors of ``connect``."""
    missing = not any(file.exists() for file in (path, path.with_name(f"{path.name}-wal")))
    db = connect(path)
    if missing:  # what was made this moment is what it is
        return db
    try:
        with translated(path):
            prove(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _unpack(row: Row) -> Block:
    seq, stored_ns, count, low, high, _, records, originals, notices, *_ = row
    # Threads read at once and a codec is not for two of them; making one costs microseconds.
    codec = Codec()
    try:
        sealed = verify(row)
        found = codec.unpack_notices(notices)
        if sealed is None:
            made = codec.unpack_records(records, count)
        else:
            made = codec.decode(b"\n".join(sealed.lines()), count)
        # Where no output wanted them when the batch was written, there are none.
        lines = codec.unpack_lines(originals) or [b""] * len(made)
        return Block(seq, stored_ns, made, lines, found.gaps, found.malformed, found.settled)
    except StateDamaged as error:
        reason = f"batch {seq} of the journal, stored {from_ns(stored_ns)} with {count} events, is lost: {error}"
        log.warning("%s", reason)
        gap = Gap(SCHEMA, "journal_damaged", Source(), low, high, len(records), False, from_ns(time.time_ns()), reason)
        return Block(seq, stored_ns, [], [], [gap], [])
