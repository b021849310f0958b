"""Recovery: puts a damaged journal aside and saves what is sound of it, saying what is lost.

Positions are taken over as read from the start: events of batches that were lost are read again
where their files still exist, and ids that were saved keep the others from being doubled.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from msgspec import Struct

from shipper.errors import StateError
from shipper.journal import sql
from shipper.journal.blob import checksum
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
LENGTH_MAX_BYTES = 1 << 42

Row = tuple[object, ...]


class Salvage(Struct):
    """The sound rows of a damaged journal by table, and where the damaged file went."""

    path: Path
    now_ns: int
    batches: list[Row] = []
    outputs: list[Row] = []
    counters: list[Row] = []
    recent: list[Row] = []
    quarantine: list[Row] = []
    gaps: list[Row] = []
    drift: list[Row] = []
    unsound: int = 0

    def restore(self, db: sqlite3.Connection, base: int) -> int:
        """Write the rows into a new journal; returns the last sequence number in use."""
        last = base
        for row in self.batches:
            db.execute(sql.ADD_BATCH, row)
            last = max(last, int(str(row[0])))
        for row in self.outputs:
            db.execute(sql.PUT_OUTPUT, row)
        for row in self.counters:
            db.execute(sql.ADD_COUNTERS, row)
        for row in self.recent:
            db.execute(sql.ADD_RECENT, (row[1],))
        for row in self.quarantine:
            # A journal of the first schema knew neither output, code nor whether the text was left out.
            db.execute(sql.ADD_QUARANTINE, (*row[1:], None, None, 0)[:12])
        for row in self.gaps:
            db.execute(sql.ADD_GAP, row[1:])
        for row in self.drift:
            db.execute(sql.ADD_DRIFT, row)
        return last

    def gap(self) -> Gap:
        """The loss as a record of its own."""
        reason = (
            f"the journal was damaged and is kept as {self.path.name}; {len(self.batches)} batches were taken over, "
            f"{self.unsound} or more were lost; files are read again from their start"
        )
        log.warning("%s", reason)
        return Gap(SCHEMA, "journal_damaged", Source(), None, None, None, False, from_ns(self.now_ns), reason)


def salvage(path: Path, now_ns: int) -> Salvage:
    """Move the damaged journal at ``path`` aside and read what is sound of it. Raises StateError."""
    aside = path.with_name(f"{path.name}.damaged-{now_ns // 1_000_000_000}")
    try:
        path.rename(aside)
        for ending in ("-wal", "-shm"):
            log_file = path.with_name(path.name + ending)
            if log_file.exists():
                log_file.rename(aside.with_name(aside.name + ending))
    except OSError as error:
        raise StateError(f"{path}: damaged, and can't be put aside: {error.strerror}") from error
    found = Salvage(aside, now_ns)
    try:
        _lengthen(aside)
        db = sqlite3.connect(aside, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: nothing can be read of it: %s", aside, error)
        return found
    try:
        # From both ends: a page that can't be read ends the reading of all rows behind it.
        rows = {row[0]: row for row in _rows(db, sql.SALVAGE_BATCHES) + _rows(db, sql.SALVAGE_BATCHES_BACK)}
        found.batches = sorted((row for row in rows.values() if _sound(row)), key=lambda row: int(str(row[0])))
        found.unsound = len(rows) - len(found.batches)
        found.outputs = [row for row in _rows(db, sql.SALVAGE_OUTPUTS) if isinstance(row[1], int)]
        found.counters = [row for row in _rows(db, sql.ALL_COUNTERS) if all(isinstance(n, int) for n in row[1:])]
        found.recent = [row for row in _rows(db, sql.ALL_RECENT) if isinstance(row[1], bytes) and len(row[1]) % 16 == 0]
        found.quarantine = _rows(db, sql.SALVAGE_QUARANTINE)
        found.gaps = _rows(db, sql.SALVAGE_GAPS)
        found.drift = _rows(db, sql.SALVAGE_DRIFT)
    finally:
        db.close()
    return found


def _rows(db: sqlite3.Connection, statement: str) -> list[Row]:
    """The rows that can be read, up to the first that can't."""
    rows: list[Row] = []
    try:
        for row in db.execute(statement):
            rows.append(row)  # noqa: PERF402 - the rows before an error are what is wanted
    except sqlite3.Error as error:
        log.warning("a table of the damaged journal ends early: %s", error)
    return rows


def _lengthen(path: Path) -> None:
    """A file that was cut off is refused as a whole by SQLite; with its old length the pages that are left can be read."""
    with path.open("rb+") as file:
        header = file.read(100)
        if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
            return
        page_size = int.from_bytes(header[16:18], "big")
        length = int.from_bytes(header[28:32], "big") * (65536 if page_size == 1 else page_size)
        if path.stat().st_size < length <= LENGTH_MAX_BYTES:
            file.truncate(length)


def _sound(row: Row) -> bool:
    seq, _, count, _, _, ids, records, originals, notices, proof = row
    if not isinstance(seq, int) or not isinstance(count, int):
        return False
    blobs = (ids, records, originals, notices)
    if not all(isinstance(blob, bytes) for blob in blobs):
        return False
    return checksum((count, *(blob for blob in blobs if isinstance(blob, bytes)))) == proof
