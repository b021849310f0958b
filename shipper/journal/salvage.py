"""The salvage: copies what is sound of a damaged journal into a new one, row by row, and counts what is lost.

Positions are not copied: files are read again from their start, so that events of lost batches come again
where their files still exist. Recent ids keep the others from being doubled, and only theirs are copied: the
ids of batches that were copied, and of those that every output had taken. An id of a lost batch would make the
event that is read again a copy of nothing; an event that comes twice is one that the outputs know.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from shipper.journal import delivery_sql as dsql
from shipper.journal import sql
from shipper.journal.proof import Row, are_counters, decode_gap, is_sound
from shipper.key import ID_BYTES

log = logging.getLogger(__name__)
LENGTH_MAX_BYTES = 1 << 42
SEQ_AHEAD_MAX_COUNT = 1 << 45
"""A number this far above those of today is itself damage."""
STORED_MAX_NS = 1 << 62
_REFUSED = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


class Salvage:
    """One copying from a damaged journal into the new and empty ``new``, which is inside a transaction.

    ``newest`` is the last number that is known to have been written, or 0; ``base`` the least number that the new
    journal goes on from. Errors of ``new``, a full disk among them, pass through; those of the damaged one are told.
    """

    def __init__(self, new: sqlite3.Connection, newest: int, base: int) -> None:
        self._new = new
        self._seq_max = base + SEQ_AHEAD_MAX_COUNT
        self._newest = newest
        self._seqs: set[int] = set()
        self._stored: dict[int, int] = {}
        """When each batch that was copied had been stored, by its number."""
        self._unsound = 0
        self._idless = 0
        self.last = max(base, newest) if newest < self._seq_max else base
        """The last number that is in use."""

    @property
    def taken(self) -> int:
        """Batches that were copied."""
        return len(self._seqs)

    @property
    def lost(self) -> int:
        """Batches that are known to be lost; there may have been more."""
        if not self._seqs:
            return self._unsound
        last = max(*self._seqs, self._newest)
        return max(self._unsound, last + 1 - min(self._seqs) - self.taken)

    def span(self, now_ns: int) -> tuple[int | None, int | None]:
        """Between which times (Unix, ns) the lost batches were stored, as far as those beside them tell; the end is
        now where the newest are lost."""
        taken = sorted(self._stored)
        if not taken:
            return None, now_ns
        holes = [(a, b) for a, b in pairwise(taken) if b > a + 1]
        newest = max(taken[-1], self._newest)
        if newest > taken[-1] or not holes:
            # Where nothing is known to be missing the last ones may be.
            return self._stored[holes[0][0] if holes else taken[-1]], now_ns
        return self._stored[holes[0][0]], self._stored[holes[-1][1]]

    def run(self, old: sqlite3.Connection, now_ns: int, recent_ids_max_count: int) -> None:
        """Copy all that is sound of ``old``, and of recent ids the newest ``recent_ids_max_count`` and more."""
        self._copy_batches(old)
        for row in _rows(old, sql.SALVAGE_OUTPUTS):
            if isinstance(row[1], int):
                self._add(sql.PUT_OUTPUT, row)
        self._copy_recent(old, recent_ids_max_count)
        for row in _rows(old, sql.ALL_COUNTERS):
            if are_counters(row):
                self._add(sql.ADD_COUNTERS, (*row, now_ns))
        for row in _rows(old, sql.SALVAGE_QUARANTINE):
            # A journal of the first schema knew neither output, code nor whether the text was left out.
            self._add(sql.ADD_QUARANTINE, (*row[1:], None, None, 0)[:12])
        for row in _rows(old, sql.SALVAGE_GAPS):
            if _is_gap(row):
                self._add(sql.ADD_GAP, row[1:])
        for row in _rows(old, sql.SALVAGE_DRIFT):
            self._add(sql.ADD_DRIFT, row)
        if _has_outboxes(old):
            self._copy_outboxes(old)

    def _copy_batches(self, old: sqlite3.Connection) -> None:
        # From both ends: a page that can't be read ends the reading of all rows behind it.
        seen: set[object] = set()
        for statement in (sql.SALVAGE_BATCHES, sql.SALVAGE_BATCHES_BACK):
            for read in _rows(old, statement):
                # Before the sixth schema nothing was sealed.
                row = (*read, None, None, None)[:13]
                if row[0] in seen:
                    break
                seen.add(row[0])
                if is_sound(row) and int(str(row[0])) < self._seq_max and self._add(sql.ADD_BATCH, row):
                    self._seqs.add(int(str(row[0])))
                    if isinstance(row[1], int) and 0 <= row[1] <= STORED_MAX_NS:
                        self._stored[int(str(row[0]))] = row[1]
                    self._idless += not row[5]
                else:
                    self._unsound += 1
        self.last = max(self.last, *self._seqs) if self._seqs else self.last

    def _copy_outboxes(self, old: sqlite3.Connection) -> None:
        # Neither what was on its way nor what waits for an acknowledgement: it is sent again.
        for statement, add in dsql.SALVAGED:
            for row in _rows(old, statement):
                self._add(add, row)

    def _copy_recent(self, old: sqlite3.Connection, max_count: int) -> None:
        until = self._delivered_until(old)
        for n, ids in _rows(old, sql.ALL_RECENT):
            if isinstance(n, int) and n <= until and isinstance(ids, bytes) and len(ids) % ID_BYTES == 0:
                self._add(sql.ADD_RECENT, (ids,))
        for seq in sorted(self._seqs):
            self._new.execute(sql.RECENT_OF_BATCH, (seq,))
        count = 0
        for n, length in self._new.execute(sql.RECENT_SIZES_BACK):
            if count >= max_count:
                self._new.execute(sql.DROP_RECENT, (n,))
                break
            count += int(length) // ID_BYTES

    def _delivered_until(self, old: sqlite3.Connection) -> int:
        """The last group of recent ids of which it is sure that every output has taken its batch, or 0.

        Each batch with ids has a group, in the same order; the batches that some output lacks are the last ones.
        Whatever is unknown here makes the answer smaller: that costs events that come twice, not lost ones.
        """
        cursors: list[int] = []
        try:
            for _, cursor, _ in old.execute(sql.SALVAGE_OUTPUTS):
                cursors.append(int(cursor))
            last = int(old.execute(sql.GET_META, ("last_seq",)).fetchone()[0])
            newest_group = int(old.execute(sql.LAST_RECENT).fetchone()[0])
        except (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError):
            return 0
        last = max(last, self._newest, *self._seqs) if self._seqs else max(last, self._newest)
        if not cursors or max(cursors) > last:
            return 0
        return newest_group - (last - min(cursors) - self._idless)

    def _add(self, statement: str, row: Row) -> bool:
        try:
            self._new.execute(statement, row)
        except _REFUSED as error:
            log.warning("a row of the damaged journal is no use: %s", error)
            return False
        return True


def open_damaged(path: Path) -> sqlite3.Connection | None:
    """The damaged journal at ``path`` as far as SQLite opens it, or None."""
    try:
        _lengthen(path)
        db = sqlite3.connect(path, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        log.warning("%s: nothing can be read of it: %s", path, error)
        return None
    db.text_factory = lambda text: text.decode("utf-8", "replace")
    return db


def _rows(db: sqlite3.Connection, statement: str) -> Iterator[Row]:
    """The rows that can be read, up to the first that can't."""
    try:
        yield from db.execute(statement)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        log.warning("a table of the damaged journal ends early: %s", error)


def _has_outboxes(old: sqlite3.Connection) -> bool:
    try:
        return int(old.execute(sql.VERSION).fetchone()[0]) >= dsql.SINCE_SCHEMA
    except (sqlite3.Error, TypeError, ValueError):
        return False


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
