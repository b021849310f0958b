"""The ledger: counters, quarantine, gaps and drift, written inside the transaction of the batch they belong to."""

from __future__ import annotations

import sqlite3

import msgspec

from shipper.journal import sql
from shipper.journal.batch import Batch
from shipper.journal.sift import Sifted

QUARANTINE_MAX_COUNT = 100_000
QUARANTINE_MAX_BYTES = 64 << 20
"""At either bound the oldest entries make room; how many is counted under the name quarantine_dropped."""
GAPS_MAX_COUNT = 10_000
DRIFT_MAX_COUNT = 1024
_encode = msgspec.json.Encoder().encode


def write_ledger(db: sqlite3.Connection, batch: Batch, sifted: Sifted, now_ns: int) -> None:
    """Add what ``batch`` says to every account."""
    for source, counts in sifted.counts.items():
        db.execute(sql.ADD_COUNTERS, (source, *(getattr(counts, name) for name in counts.__struct_fields__)))
    for source, entry in sifted.malformed_entries:
        place = _encode(entry.source)
        where = (entry.line, entry.column, entry.length, entry.time)
        db.execute(sql.ADD_QUARANTINE, (now_ns, source, entry.reason, *where, place, entry.raw))
    if sifted.malformed_entries:
        _bound_quarantine(db)
    for gap in sifted.gaps:
        db.execute(sql.ADD_GAP, (now_ns, _encode(gap)))
    if sifted.gaps:
        db.execute(sql.TRIM_GAPS, (GAPS_MAX_COUNT,))
    for name in [name for piece in batch.pieces for name in piece.drift]:
        _count_drift(db, name, now_ns)


def _bound_quarantine(db: sqlite3.Connection) -> None:
    count, size = db.execute(sql.SIZE_QUARANTINE).fetchone()
    dropped = 0
    while count > QUARANTINE_MAX_COUNT or size > QUARANTINE_MAX_BYTES:
        number, length = db.execute(sql.OLDEST_QUARANTINE).fetchone()
        db.execute(sql.DROP_QUARANTINE, (number,))
        count, size, dropped = count - 1, size - length, dropped + 1
    if dropped:
        row = db.execute(sql.GET_META, ("quarantine_dropped",)).fetchone()
        db.execute(sql.PUT_META, ("quarantine_dropped", dropped + (int(row[0]) if row is not None else 0)))


def _count_drift(db: sqlite3.Connection, name: str, now_ns: int) -> None:
    """Names come from log lines: the table is bounded, and at the bound only known names are counted on."""
    if int(db.execute(sql.COUNT_DRIFT).fetchone()[0]) < DRIFT_MAX_COUNT:
        db.execute(sql.ADD_DRIFT, (name, now_ns))
    else:
        db.execute(sql.UP_DRIFT, (name,))
