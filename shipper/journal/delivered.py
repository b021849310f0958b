"""The ledger of what was delivered: the ids and times of every batch that an output took for good, within bounds.

``connlog splunk verify`` compares it with what Splunk holds. A row stands for one request: 16 bytes for each id, and
the times as they were sent, compressed in one frame or several. Rows whose request waits for an acknowledgement have ``delivered_ns`` 0 and
are not told. Retention is ``state.delivered_retention``, the bound on bytes ``state.delivered_max``; at either the
oldest rows go. Events that were put back are sent again by the running daemon, or by the next one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import zstandard
from msgspec import Struct

from shipper.errors import StateDamaged, StateFull, UsageError
from shipper.journal import delivery_sql as dsql
from shipper.journal import sql
from shipper.journal.database import connect_guest, transaction, translated
from shipper.journal.parcel import Unpacker, pack_lines
from shipper.key import ID_BYTES
from shipper.timestamp import from_ns, to_ns

HOUR_NS = 3_600_000_000_000
TIME_BYTES = 30
"""A time as it was sent: canonical text."""
FOLD_COUNT = 1024
"""Rows with fewer events than that are put together."""
FOLD_ROWS = 64
FOLD_AGE_NS = 60_000_000_000
PUT_BACK_COUNT = 1000
"""Events that are put back in one row."""
_TIMES_MAX_BYTES = 1 << 30


class Handed(Struct, frozen=True):
    """The events of one request: ``ids`` 16 bytes each, ``times`` canonical texts in the same order."""

    ids: bytes
    times: Sequence[bytes]

    @property
    def count(self) -> int:
        return len(self.times)

    def row(self, output: str, delivered_ns: int) -> tuple[str, int, str, str, int, bytes, bytes]:
        """The row of the ledger."""
        packed = zstandard.ZstdCompressor(level=1).compress(b"".join(self.times))
        low, high = min(self.times).decode(), max(self.times).decode()
        return output, delivered_ns, low, high, self.count, self.ids, packed


class HandedSealed(Struct, frozen=True):
    """The same with the times compressed already, in any number of frames; ``low`` is the least of them, ``high`` the
    greatest."""

    ids: bytes
    times: bytes
    low: str
    high: str
    count: int

    def row(self, output: str, delivered_ns: int) -> tuple[str, int, str, str, int, bytes, bytes]:
        """The row of the ledger."""
        return output, delivered_ns, self.low, self.high, self.count, self.ids, self.times


class Delivered(NamedTuple):
    """One event that was delivered: its 16 bytes, its time as it was sent (Unix time in ns), and when it was taken."""

    id: bytes
    time_ns: int
    delivered_ns: int


class LedgerSummary(Struct, frozen=True):
    """What the ledger holds of an output. ``waiting`` events were sent and not acknowledged; ``since_ns``: of what was
    delivered before then nothing is kept (None: nothing was delivered)."""

    output: str
    delivered: int
    waiting: int
    since_ns: int | None


class DeliveredLedger:
    """The ledger of the journal at ``path``, beside the daemon that may be writing it.

    Use it as ``with closing(DeliveredLedger(state_dir / "journal.db")) as ledger``. Raises StateError where there is
    no journal or it may not be read, StateNewer, StateBusy, StateDamaged.
    """

    def __init__(self, path: Path, *, journal_max_bytes: int = 1 << 30) -> None:
        self._path = path
        self._journal_max_bytes = journal_max_bytes
        self._db = connect_guest(path)

    def outputs(self) -> list[LedgerSummary]:
        """Every registered output (those that keep no ledger have no events), by name."""
        with translated(self._path):
            return [LedgerSummary(*row) for row in self._db.execute(dsql.DELIVERED_SUMMARY)]

    def events(self, output: str, since_ns: int, until_ns: int) -> Iterator[Delivered]:
        """Events of ``output`` whose time lies in the range, both ends belonging to it, in the order of delivery.
        An event that was delivered twice comes twice."""
        bounds = (output, from_ns(since_ns), from_ns(until_ns))
        with translated(self._path):
            for delivered_ns, ids, packed in self._db.execute(dsql.DELIVERED_IN, bounds):
                for place, at_ns in enumerate(_times(packed)):
                    if since_ns <= at_ns <= until_ns:
                        yield Delivered(ids[place * ID_BYTES : (place + 1) * ID_BYTES], at_ns, delivered_ns)

    def hours(self, output: str, since_ns: int, until_ns: int) -> dict[int, int]:
        """How many events of the range lie in each hour, by the hour's first nanosecond; hours without any are left out."""
        counts: dict[int, int] = {}
        for event in self.events(output, since_ns, until_ns):
            hour = event.time_ns - event.time_ns % HOUR_NS
            counts[hour] = counts.get(hour, 0) + 1
        return dict(sorted(counts.items()))

    def put_back(self, output: str, records: Iterable[bytes]) -> int:
        """Put events, as compact JSON (``encode_record`` of a ``CompactRecord``), into the queue of ``output``, from
        which they are sent whatever its filter says; returns how many. Raises UsageError for an output that the
        journal doesn't know, and StateFull at ``state.journal_max``: then those before are in the queue."""
        count = 0
        walk = iter(records)
        with translated(self._path):
            while lines := list(islice(walk, PUT_BACK_COUNT)):
                with transaction(self._db):
                    put_back(self._db, output, lines, self._journal_max_bytes)
                count += len(lines)
        return count

    def queued(self, output: str) -> Iterator[bytes]:
        """The events that were put back into the queue of ``output`` and are not sent yet, as compact JSON."""
        unpack = Unpacker()
        number = 0
        with translated(self._path):
            while row := self._db.execute(dsql.NEXT_AGAIN, (output, number)).fetchone():
                number = int(row[0])
                yield from unpack.again(row).lines

    def close(self) -> None:
        """Give the journal back."""
        self._db.close()


def put_back(db: sqlite3.Connection, output: str, lines: Sequence[bytes], journal_max_bytes: int) -> None:
    """Put events into the queue of an output, inside a transaction. Raises UsageError and StateFull."""
    if not db.execute(dsql.HAS_OUTPUT, (output,)).fetchone()[0]:
        known = ", ".join(str(row[0]) for row in db.execute(dsql.DELIVERED_SUMMARY))
        raise UsageError(f"output {output}: the journal knows none of that name; known are: {known or 'none'}")
    free = int(db.execute(sql.FREE_COUNT).fetchone()[0])
    used = (int(db.execute(sql.PAGE_COUNT).fetchone()[0]) - free) * int(db.execute(sql.PAGE_SIZE).fetchone()[0])
    if used - int(db.execute(dsql.DELIVERED_BYTES).fetchone()[0]) >= journal_max_bytes:
        raise StateFull("the journal has reached state.journal_max, so nothing can be put back into the queue now")
    db.execute(dsql.ADD_AGAIN, (output, time.time_ns(), len(lines), pack_lines(lines)))


def drop_surplus(db: sqlite3.Connection, max_bytes: int) -> None:
    """Drop the oldest rows beyond the bound."""
    while int(db.execute(dsql.DELIVERED_BYTES).fetchone()[0]) > max_bytes:
        if not db.execute(dsql.DROP_OLDEST_DELIVERED, (16,)).rowcount:
            return


def expire(db: sqlite3.Connection, before_ns: int) -> None:
    """Drop rows that were delivered before then, a thousand at most."""
    db.execute(dsql.EXPIRE_DELIVERED, (before_ns,))


def fold(db: sqlite3.Connection, output: str, now_ns: int) -> None:
    """Put the oldest small rows of an output together as one: with few events a request, most of a row is its frame."""
    rows = db.execute(dsql.SMALL_DELIVERED, (output, 0, FOLD_COUNT, now_ns - FOLD_AGE_NS, FOLD_ROWS)).fetchall()
    if len(rows) < 2:
        return
    ids = b"".join(row[5] for row in rows)
    texts = b"".join(_unpack(row[6]) for row in rows)
    last = max(row[1] for row in rows)
    low, high = min(row[2] for row in rows), max(row[3] for row in rows)
    for row in rows:
        db.execute(dsql.DROP_DELIVERED, (row[0],))
    packed = zstandard.ZstdCompressor(level=3).compress(texts)
    db.execute(dsql.ADD_DELIVERED, (output, last, low, high, len(ids) // ID_BYTES, ids, packed))


def sent_times(packed: bytes) -> list[bytes]:
    """Times as they were sent, canonical texts, out of what is kept of them. Raises StateDamaged."""
    text = _unpack(packed)
    return [text[at : at + TIME_BYTES] for at in range(0, len(text), TIME_BYTES)]


def _times(packed: bytes) -> Iterator[int]:
    text = _unpack(packed).decode("ascii", "replace")
    return (to_ns(text[at : at + TIME_BYTES]) for at in range(0, len(text), TIME_BYTES))


def _unpack(packed: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read(_TIMES_MAX_BYTES)
    except zstandard.ZstdError as error:
        raise StateDamaged(f"a row of the ledger can't be unpacked: {error}") from error
