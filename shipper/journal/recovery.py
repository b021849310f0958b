"""Recovery: puts a damaged journal aside and saves what is sound of it, saying what is lost.

Positions are taken over as read from the start: events of batches that were lost are read again
where their files still exist, and ids that were saved keep the others from being doubled.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.errors import StateError
from shipper.journal import sql
from shipper.journal.proof import are_counters, decode_gap, is_sound
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
LENGTH_MAX_BYTES = 1 << 42
DAMAGED_KEPT_COUNT = 3
"""Damaged journals that are kept for whoever wants to look."""
SEQ_AHEAD_MAX_COUNT = 1 << 45
"""A number this far above those of today is itself damage."""

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
        """Write the rows into a new journal, but for those that it refuses; returns the last number in use."""
        last = base
        for row in self.batches:
            if int(str(row[0])) < base + SEQ_AHEAD_MAX_COUNT and self._add(db, sql.ADD_BATCH, row):
                last = max(last, int(str(row[0])))
            else:
                self.unsound += 1
        for row in self.outputs:
            self._add(db, sql.PUT_OUTPUT, row)
        for row in self.counters:
            self._add(db, sql.ADD_COUNTERS, row)
        for row in self.recent:
            self._add(db, sql.ADD_RECENT, (row[1],))
        for row in self.quarantine:
            # A journal of the first schema knew neither output, code nor whether the text was left out.
            self._add(db, sql.ADD_QUARANTINE, (*row[1:], None, None, 0)[:12])
        for row in self.gaps:
            self._add(db, sql.ADD_GAP, row[1:])
        for row in self.drift:
            self._add(db, sql.ADD_DRIFT, row)
        return last

    def _add(self, db: sqlite3.Connection, statement: str, row: Row) -> bool:
        try:
            db.execute(statement, row)
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            log.warning("a row of the damaged journal is no use: %s", error)
            return False
        return True

    def gap(self, newest: int) -> Gap:
        """The loss as a record of its own. ``newest`` is the last number that is known to have been written, or 0."""
        lost = self.unsound
        if self.batches:
            first, last = (int(str(self.batches[at][0])) for at in (0, -1))
            lost = max(lost, max(newest, last) + 1 - first - len(self.batches))
        reason = (
            f"the journal was damaged and is kept as {self.path.name}; {len(self.batches)} batches were taken over, "
            f"{lost} or more were lost; files are read again from their start"
        )
        log.warning("%s", reason)
        return Gap(SCHEMA, "journal_damaged", Source(), None, None, None, False, from_ns(self.now_ns), reason)


def went_back(path: Path, count: int, now_ns: int) -> Gap:
    """A journal that lacks the last ``count`` batches that were committed to it."""
    reason = (
        f"{path.name} lacks the last {count} batches that were written to it: its -wal file was lost, or it comes from "
        "a backup; files are read again from where it says, and what they no longer hold is gone"
    )
    log.warning("%s", reason)
    return Gap(SCHEMA, "journal_damaged", Source(), None, None, None, False, from_ns(now_ns), reason)


def salvage(path: Path, now_ns: int) -> Salvage:
    """Move the damaged journal at ``path`` aside and read what is sound of it. Raises StateError."""
    aside = _free_name(path, now_ns)
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
        db.text_factory = lambda text: text.decode("utf-8", "replace")
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: nothing can be read of it: %s", aside, error)
        return found
    try:
        # From both ends: a page that can't be read ends the reading of all rows behind it.
        rows = {row[0]: row for row in _rows(db, sql.SALVAGE_BATCHES) + _rows(db, sql.SALVAGE_BATCHES_BACK)}
        found.batches = sorted((row for row in rows.values() if is_sound(row)), key=lambda row: int(str(row[0])))
        found.unsound = len(rows) - len(found.batches)
        found.outputs = [row for row in _rows(db, sql.SALVAGE_OUTPUTS) if isinstance(row[1], int)]
        found.counters = [row for row in _rows(db, sql.ALL_COUNTERS) if are_counters(row)]
        found.recent = [row for row in _rows(db, sql.ALL_RECENT) if isinstance(row[1], bytes) and len(row[1]) % 16 == 0]
        found.quarantine = _rows(db, sql.SALVAGE_QUARANTINE)
        found.gaps = [row for row in _rows(db, sql.SALVAGE_GAPS) if _is_gap(row)]
        found.drift = _rows(db, sql.SALVAGE_DRIFT)
    finally:
        db.close()
    return found


def _free_name(path: Path, now_ns: int) -> Path:
    """A name for the damaged file; of earlier ones the newest are kept."""
    earlier = sorted(
        (other for other in path.parent.glob(f"{path.name}.damaged-*") if not other.name.endswith(("-wal", "-shm"))),
        key=lambda other: other.stat().st_mtime_ns,
    )
    for other in earlier[: max(0, len(earlier) + 1 - DAMAGED_KEPT_COUNT)]:
        for ending in ("", "-wal", "-shm"):
            other.with_name(other.name + ending).unlink(missing_ok=True)
    number = now_ns // 1_000_000_000
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _rows(db: sqlite3.Connection, statement: str) -> list[Row]:
    """The rows that can be read, up to the first that can't."""
    rows: list[Row] = []
    try:
        for row in db.execute(statement):
            rows.append(row)  # noqa: PERF402 - the rows before an error are what is wanted
    except (sqlite3.Error, UnicodeDecodeError) as error:
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


def _is_gap(row: Row) -> bool:
    try:
        decode_gap(row[2])  # type: ignore[arg-type]  # whatever stands there; what is no JSON is refused
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False
    return True
