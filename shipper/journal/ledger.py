"""The ledger: counters, quarantine, gaps and drift, written inside the transaction of the batch they belong to."""

from __future__ import annotations

import sqlite3

import msgspec
from msgspec import Struct

from shipper.journal import sql
from shipper.journal.batch import Batch
from shipper.journal.sift import Sifted
from shipper.value import DRIFT_OTHERS

FORMER_SOURCES = "former sources"
"""The name under which sources are counted together that no longer have a row of their own."""
COUNTERS_MAX_COUNT = 500
"""Sources, the former ones as one of them, that have a row: those whose counts changed last."""
QUARANTINE_MAX_COUNT = 100_000
"""Beyond it the oldest entries make room, and are counted."""
REASON_MAX_CHARACTERS = 1000
GAPS_MAX_COUNT = 10_000
DRIFT_MAX_COUNT = 256
"""Of one kind, of which there are four: a flood of types must not keep a new key from being told. One more stands for
all others of the kind."""
DRIFT_NAME_MAX_CHARACTERS = 120
_encode = msgspec.json.Encoder().encode


class Entered(Struct, frozen=True):
    """What the accounts made of a batch, as in ``Appended``."""

    textless: int
    trimmed: int
    drift: tuple[str, ...]


def write_ledger(
    db: sqlite3.Connection, batch: Batch, sifted: Sifted, now_ns: int, quarantine_max_bytes: int
) -> Entered:
    """Add what ``batch`` says to every account."""
    for source, counts in sifted.counts.items():
        db.execute(sql.ADD_COUNTERS, (source, *(getattr(counts, name) for name in counts.__struct_fields__), now_ns))
    if sifted.counts:
        fold_counters(db, now_ns)
    textless, trimmed = _write_quarantine(db, sifted, now_ns, quarantine_max_bytes)
    for gap in sifted.gaps:
        db.execute(sql.ADD_GAP, (now_ns, _encode(gap)))
    if sifted.gaps:
        db.execute(sql.TRIM_GAPS, (GAPS_MAX_COUNT,))
    names = [name[:DRIFT_NAME_MAX_CHARACTERS] for piece in batch.pieces for name in piece.drift]
    return Entered(textless, trimmed, _count_drift(db, names, now_ns))


def fold_counters(db: sqlite3.Connection, now_ns: int) -> None:
    """Add the counts of the sources that changed longest ago to those of the former ones: no sum over all changes."""
    surplus = int(db.execute(sql.COUNT_COUNTERS).fetchone()[0]) - COUNTERS_MAX_COUNT
    if surplus <= 0:
        return
    # One more where the row of the former sources is new.
    known = db.execute(sql.HAS_COUNTERS, (FORMER_SOURCES,)).fetchone()[0]
    for row in db.execute(sql.OLDEST_COUNTERS, (FORMER_SOURCES, surplus + (not known))).fetchall():
        db.execute(sql.ADD_COUNTERS, (FORMER_SOURCES, *row[1:], now_ns))
        db.execute(sql.DROP_COUNTERS, (row[0],))


def _write_quarantine(
    db: sqlite3.Connection, sifted: Sifted, now_ns: int, quarantine_max_bytes: int
) -> tuple[int, int]:
    """Keep the malformed entries: how many of them without text, and how many older ones made room."""
    if not sifted.malformed_entries:
        return 0, 0
    count, text_bytes, *_ = db.execute(sql.SIZE_QUARANTINE).fetchone()
    without = 0
    for source, entry in sifted.malformed_entries:
        raw, textless = entry.raw, False
        if text_bytes + len(raw) > quarantine_max_bytes:
            raw, textless = b"", True
        text_bytes, without = text_bytes + len(raw), without + textless
        where = (entry.line, entry.column, entry.length, entry.time, _encode(entry.source))
        reason = entry.reason[:REASON_MAX_CHARACTERS]
        db.execute(sql.ADD_QUARANTINE, (now_ns, source, reason, *where, raw, None, None, textless))
    surplus = count + len(sifted.malformed_entries) - QUARANTINE_MAX_COUNT
    if surplus > 0:
        db.execute(sql.TRIM_QUARANTINE, (surplus,))
        db.execute(sql.COUNT_TRIMMED, (surplus,))
    return without, max(0, surplus)


def _count_drift(db: sqlite3.Connection, names: list[str], now_ns: int) -> tuple[str, ...]:
    """Count the names, and return those that are new. They come from log lines: beyond the bound those of one kind are
    counted together."""
    fresh: dict[str, None] = {}
    for name in names:
        if db.execute(sql.UP_DRIFT, (name,)).rowcount:
            continue
        kind = name.partition(":")[0]
        taken = name
        if int(db.execute(sql.COUNT_DRIFT, (kind,)).fetchone()[0]) >= DRIFT_MAX_COUNT:
            taken = f"{kind}:{DRIFT_OTHERS}"
            if db.execute(sql.UP_DRIFT, (taken,)).rowcount:
                continue
        db.execute(sql.ADD_DRIFT, (taken, now_ns, 1))
        fresh[taken] = None
    return tuple(fresh)
