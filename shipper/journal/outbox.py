"""The outbox: what the journal remembers for one output that takes batches apart and is done with them out of order.

All of it changes in the transaction that a ``Change`` describes: which items of which batches were taken, which
requests wait for an acknowledgement, what was on its way when the process ended, and what was delivered. A batch
is known by its number; events that were put back into the queue have numbers below 0. The one limit of its own is
that of the ledger (``delivered_max_bytes``); everything else is bounded by who writes it and by the journal's limit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateFull
from shipper.journal import delivery_sql as dsql
from shipper.journal import sql
from shipper.journal.database import shrink, transaction, translated
from shipper.journal.delivered import Handed, HandedSealed, drop_surplus, expire, fold
from shipper.journal.ledger import QUARANTINE_MAX_COUNT, REASON_MAX_CHARACTERS
from shipper.journal.parcel import Parcel, Unpacker
from shipper.journal.warm import WarmParcels
from shipper.record import Source

SURPLUS_PARTS_COUNT = 64
"""That part of its bound the ledger may grow before it is looked at: a look is a transaction more."""
_encode = msgspec.json.Encoder().encode


def _text(value: object) -> str:
    """JSON for SQLite, which takes bytes for something else."""
    return _encode(value).decode()


class Span(Struct, frozen=True):
    """Items ``first`` up to, and without, ``until`` of the batch ``seq``."""

    seq: int
    first: int
    until: int


class Receipt(Struct, frozen=True):
    """A request that was accepted and is not acknowledged: ``delivered`` is its row in the ledger, 0 for none."""

    channel: str
    ack: int
    sent_ns: int
    delivered: int
    spans: tuple[Span, ...]


class Channel(Struct, frozen=True):
    """A channel of acknowledgements: the lane that uses it, its endpoint, and the last id that came back (-1: none)."""

    channel: str
    lane: int
    endpoint: str
    last_ack: int = -1


class Refused(Struct, frozen=True):
    """An event that an output refused: the record as JSON, where it was read, and the refusal."""

    raw: bytes
    source: Source
    time: str | None
    code: int
    reason: str


class Change(Struct):
    """One transaction. ``cursor`` None leaves it; ``finished`` are numbers below 0 whose events are all taken.

    ``receipt`` is stored with ``handed``, which then counts as delivered once the receipt is among ``confirmed``;
    without a receipt ``handed`` counts at once. ``void`` receipts are forgotten. ``flights`` says for a lane how many
    events are on their way. ``tallies`` are added to.
    """

    taken: Sequence[Span] = ()
    cursor: int | None = None
    finished: Sequence[int] = ()
    handed: Handed | HandedSealed | None = None
    receipt: Receipt | None = None
    confirmed: Sequence[Receipt] = ()
    void: Sequence[Receipt] = ()
    channel: Channel | None = None
    closed: Sequence[str] = ()
    flights: Mapping[int, int] = {}
    refused: Sequence[Refused] = ()
    tallies: Mapping[str, int] = {}

    @property
    def usual(self) -> bool:
        """Whether it is what a request without acknowledgement changes, whose events were taken."""
        return not (
            self.refused
            or self.receipt is not None
            or self.confirmed
            or self.void
            or self.channel is not None
            or self.closed
            or self.finished
        )


class Remembered(Struct, frozen=True):
    """What an outbox holds when it is opened. ``flying`` events were on their way when the last process ended; something was
    delivered last at ``delivered_ns``, Unix time, as far as the ledger reaches."""

    cursor: int
    taken: tuple[Span, ...]
    receipts: tuple[Receipt, ...]
    channels: tuple[Channel, ...]
    tallies: dict[str, int]
    flying: int
    delivered_ns: int | None = None


class Outbox:
    """The outbox of ``output``, over the journal's own connection and lock; any thread may call. Raises StateError."""

    def __init__(
        self,
        output: str,
        db: sqlite3.Connection,
        lock: threading.RLock,
        path: Path,
        now_ns: Callable[[], int],
        *,
        quarantine_max_bytes: int,
        delivered_max_bytes: int,
        warm: WarmParcels,
    ) -> None:
        self.output = output
        self._db = db
        self._lock = lock
        self._path = path
        self._now_ns = now_ns
        self._quarantine_max_bytes = quarantine_max_bytes
        self._delivered_max_bytes = delivered_max_bytes
        self._warm = warm
        self._unpack = Unpacker()
        self._added_bytes = 0
        """To the ledger, since it was seen to keep to its bound."""

    def remembered(self) -> Remembered:
        """What is there now."""
        with self._lock, translated(self._path):
            row = self._db.execute(dsql.GET_CURSOR, (self.output,)).fetchone()
            last = self._db.execute(dsql.LAST_DELIVERED, (self.output,)).fetchone()
            spans: dict[tuple[str, int, int, int], list[Span]] = {}
            for channel, ack, sent_ns, delivered, *span in self._db.execute(dsql.ALL_RECEIPTS, (self.output,)):
                spans.setdefault((channel, ack, sent_ns, delivered), []).append(Span(*span))
            return Remembered(
                cursor=int(row[0]) if row is not None else 0,
                taken=tuple(Span(*span) for span in self._db.execute(dsql.ALL_TAKEN, (self.output,))),
                receipts=tuple(Receipt(*key, tuple(found)) for key, found in spans.items()),
                channels=tuple(Channel(*found) for found in self._db.execute(dsql.ALL_CHANNELS, (self.output,))),
                tallies={str(k): int(v) for k, v in self._db.execute(dsql.ALL_TALLIES, (self.output,))},
                flying=int(self._db.execute(dsql.ALL_FLIGHTS, (self.output,)).fetchone()[0]),
                delivered_ns=None if last is None else int(last[0]),
            )

    # ---- reading -------------------------------------------------------------------------------

    def after(self, seq: int) -> Parcel | None:
        """The next batch after ``seq``, or None."""
        with self._lock, translated(self._path):
            warm = self._warm.take(seq + 1)
            if warm is not None:
                return warm
            row = self._db.execute(dsql.NEXT_SEALED, (seq,)).fetchone()
            return None if row is None else self._unpack.batch(row)

    def at(self, seq: int) -> Parcel | None:
        """The batch ``seq``, or what was put back under a number below 0; None where it is gone."""
        with self._lock, translated(self._path):
            if seq < 0:
                row = self._db.execute(dsql.ONE_AGAIN, (self.output, -seq)).fetchone()
                return None if row is None else self._unpack.again(row)
            row = self._db.execute(dsql.ONE_SEALED, (seq,)).fetchone()
            return None if row is None else self._unpack.batch(row)

    def put_back(self, seq: int) -> Parcel | None:
        """What was put back next after the number ``seq`` (0 or below), or None."""
        with self._lock, translated(self._path):
            row = self._db.execute(dsql.NEXT_AGAIN, (self.output, -seq)).fetchone()
            return None if row is None else self._unpack.again(row)

    def newest(self, stored_ns: int) -> int:
        """The number of the newest batch that was stored by then, 0 where there is none."""
        with self._lock, translated(self._path):
            row = self._db.execute(dsql.LAST_STORED, (stored_ns,)).fetchone()
            return 0 if row is None else int(row[0])

    def put_back_count(self) -> int:
        """Events that were put back and are not taken."""
        with self._lock, translated(self._path):
            return int(self._db.execute(dsql.COUNT_AGAIN, (self.output,)).fetchone()[0])

    # ---- writing -------------------------------------------------------------------------------

    def write(self, change: Change) -> Receipt | None:
        """Make ``change``, whole or not at all; returns its receipt as it is kept.

        Raises StateFull, with nothing changed, where the quarantine has no room for what was refused: such an event
        is nowhere else.
        """
        with self._lock, translated(self._path):
            now_ns = self._now_ns()
            receipt = change.receipt
            # In a transaction that somebody left open nothing would be written for good: then it fails below, aloud.
            if change.usual and not self._db.in_transaction:
                if self._added_bytes >= self._delivered_max_bytes // SURPLUS_PARTS_COUNT:
                    with transaction(self._db):
                        self._drop_surplus()
                self._do(change, now_ns)
            else:
                with transaction(self._db):
                    self._quarantine(change.refused, now_ns)
                    receipt = self._acknowledge(change, now_ns)
                    for n in change.finished:
                        self._db.execute(dsql.DROP_AGAIN, (-n,))
                    self._do(change, now_ns)
                    for n in change.finished:
                        self._db.execute(dsql.DROP_TAKEN_AT, (self.output, n))
            if change.cursor is not None:
                shrink(self._db)
            return receipt

    def _do(self, change: Change, now_ns: int) -> None:
        """What every request changes. What is handed over with a receipt is in the ledger already."""
        handed = change.handed if change.receipt is None else None
        row = (None,) * 6 if handed is None or not handed.count else handed.row(self.output, now_ns)[1:]
        taken = _text([(span.seq, span.first, span.until) for span in change.taken])
        sums = (taken, _text(change.flights), _text(change.tallies))
        self._db.execute(dsql.DO, (self.output, now_ns, change.cursor, *sums, *row))
        self._added_bytes += sum(len(part) for part in row[-2:] if part is not None)

    def _drop_surplus(self) -> None:
        """Keep the ledger to its bound, inside a transaction."""
        drop_surplus(self._db, self._delivered_max_bytes)
        self._added_bytes = 0

    def landed(self) -> None:
        """Forget what was on its way: it has been counted."""
        with self._lock, translated(self._path), transaction(self._db):
            self._db.execute(dsql.DROP_FLIGHTS, (self.output,))

    def tidy(self, retention_seconds: int) -> None:
        """Drop what the ledger has kept long enough, and put its small rows together."""
        with self._lock, translated(self._path):
            now_ns = self._now_ns()
            with transaction(self._db):
                expire(self._db, now_ns - retention_seconds * 1_000_000_000)
                self._drop_surplus()
                fold(self._db, self.output, now_ns)
            self._db.execute(sql.SHRINK_MORE).fetchall()

    def _acknowledge(self, change: Change, now_ns: int) -> Receipt | None:
        """What acknowledgements change; returns the receipt as it is kept."""
        receipt = change.receipt
        if receipt is not None:
            row = 0
            if change.handed is not None and change.handed.count:
                row = int(self._db.execute(dsql.ADD_DELIVERED, change.handed.row(self.output, 0)).lastrowid or 0)
                self._drop_surplus()
            receipt = msgspec.structs.replace(receipt, delivered=row)
            for span in receipt.spans:
                where = (receipt.channel, receipt.ack, span.seq, span.first, span.until)
                self._db.execute(dsql.ADD_RECEIPT, (*where, self.output, receipt.sent_ns, row))
        for one in change.confirmed:
            self._db.execute(dsql.DROP_RECEIPT, (one.channel, one.ack))
            self._db.execute(dsql.CONFIRM_DELIVERED, (now_ns, one.delivered))
        for one in change.void:
            self._db.execute(dsql.DROP_RECEIPT, (one.channel, one.ack))
            self._db.execute(dsql.DROP_DELIVERED, (one.delivered,))
        if change.channel is not None:
            channel = change.channel
            row_values = (channel.channel, self.output, channel.lane, channel.endpoint, channel.last_ack)
            self._db.execute(dsql.PUT_CHANNEL, row_values)
        for name in change.closed:
            self._db.execute(dsql.DROP_CHANNEL, (name,))
        return receipt

    def _quarantine(self, refused: Sequence[Refused], now_ns: int) -> None:
        if not refused:
            return
        count, text_bytes, *_ = self._db.execute(sql.SIZE_QUARANTINE).fetchone()
        room = self._quarantine_max_bytes - text_bytes
        if sum(len(one.raw) for one in refused) > room or count + len(refused) > QUARANTINE_MAX_COUNT:
            raise StateFull(
                f"{self._path}: output {self.output} refused an event, and the quarantine has no room for it "
                f"({count} entries, {text_bytes} of {self._quarantine_max_bytes} bytes): see 'connlog quarantine ls', "
                "and replay or drop what is there, or raise state.quarantine_max"
            )
        for one in refused:
            where = (0, 0, len(one.raw), one.time, _encode(one.source))
            reason = one.reason[:REASON_MAX_CHARACTERS]
            row = (now_ns, one.source.path or "", reason, *where, one.raw, self.output, one.code, 0)
            self._db.execute(sql.ADD_QUARANTINE, row)


def forget_outbox(db: sqlite3.Connection, output: str) -> None:
    """Drop what is kept for an output that is no longer there; what was delivered stays in the ledger."""
    for statement in (*dsql.FORGET, dsql.FORGET_DELIVERED):
        db.execute(statement, (output,))


def move_outboxes(db: sqlite3.Connection, by: int) -> None:
    """The batches get numbers that are ``by`` higher: so do the spans of all outboxes."""
    taken = db.execute(dsql.MOVED_TAKEN).fetchall()
    receipts = db.execute(dsql.MOVED_RECEIPTS).fetchall()
    db.execute(dsql.CLEAR_TAKEN)
    db.execute(dsql.CLEAR_RECEIPTS)
    for output, seq, first, until in taken:
        db.execute(dsql.ADD_TAKEN, (output, seq + by, first, until))
    for channel, ack, seq, *rest in receipts:
        db.execute(dsql.ADD_RECEIPT, (channel, ack, seq + by, *rest))
