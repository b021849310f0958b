"""The quarantine: malformed entries of a journal, asked for and worked on beside the daemon that may be writing it.

It has a connection of its own and makes, migrates and recovers nothing: that is the daemon's.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.journal import sql
from shipper.journal.appender import Appender
from shipper.journal.batch import Appended, Batch, Piece
from shipper.journal.database import connect_guest, transaction, translated
from shipper.journal.delivered import put_back
from shipper.journal.ledger import REASON_MAX_CHARACTERS
from shipper.record import Malformed, Record, Source, encoded

REPLAY_SOURCE = "quarantine"
"""What was replayed is counted under this source: entries, stored, duplicates."""
PAGE_COUNT = 100
DROPPED_TOGETHER_COUNT = 1000
"""Entries that a drop removes in one transaction."""
_source_decoder = msgspec.json.Decoder(Source)


class Quarantined(Struct, frozen=True):
    """An entry as it is kept, under its number.

    ``output`` and ``code`` are those of an output that refused the event, None for a malformed entry.
    ``textless``: only its place and reason were kept, since the quarantine was full.
    """

    number: int
    stored_ns: int
    source: str
    entry: Malformed
    output: str | None = None
    code: int | None = None
    textless: bool = False


class QuarantineSize(Struct, frozen=True):
    """How much there is: ``bytes`` of text; ``textless`` entries without theirs; ``dropped`` made room, ever."""

    count: int
    bytes: int
    textless: int
    dropped: int


class Mended(Struct, frozen=True):
    """An entry that can be read now: its number, the record, and the entry as it was kept."""

    number: int
    record: Record
    entry: Malformed


class Renewed(Struct, frozen=True):
    """An entry that still can't be read: its number, and why; ``column`` is 1-based."""

    number: int
    reason: str
    column: int


def read_entries(db: sqlite3.Connection, after: int, limit: int) -> list[Quarantined]:
    """Entries in the order they were kept, those after number ``after``."""
    return [_entry(row) for row in db.execute(sql.ALL_QUARANTINE, (after, limit)).fetchall()]


def read_size(db: sqlite3.Connection) -> QuarantineSize:
    """How much there is now."""
    count, text_bytes, _, textless, dropped = db.execute(sql.SIZE_QUARANTINE).fetchone()
    return QuarantineSize(int(count), int(text_bytes), int(textless), int(dropped))


def _entry(
    row: tuple[int, int, str, str, int, int, int, str | None, bytes, bytes, str | None, int | None, int],
) -> Quarantined:
    n, stored_ns, source, reason, line, column, length, at, place, raw, output, code, textless = row
    entry = Malformed(raw, reason, line, column, _source_decoder.decode(place), length, at)
    return Quarantined(n, stored_ns, source, entry, output, code, bool(textless))


class Quarantine:
    """The quarantine of the journal at ``path``. Raises StateError where there is none or it may not be read,
    StateNewer, StateBusy, StateDamaged."""

    def __init__(self, path: Path, *, journal_max_bytes: int = 1 << 30, quarantine_max_bytes: int = 256 << 20) -> None:
        self._path = path
        self._journal_max_bytes = journal_max_bytes
        self._quarantine_max_bytes = quarantine_max_bytes
        self._db = connect_guest(path)
        self._appender: Appender | None = None

    def __iter__(self) -> Iterator[Quarantined]:
        """Every entry, in the order they were kept."""
        after = 0
        while True:
            with translated(self._path):
                page = read_entries(self._db, after, PAGE_COUNT)
            yield from page
            if not page:
                return
            after = page[-1].number

    def get(self, number: int) -> Quarantined | None:
        """The entry with this number."""
        with translated(self._path):
            row = self._db.execute(sql.ONE_QUARANTINE, (number,)).fetchone()
        return None if row is None else _entry(row)

    def size(self) -> QuarantineSize:
        """How much there is now."""
        with translated(self._path):
            return read_size(self._db)

    def drop(self, numbers: Sequence[int] | None) -> int:
        """Remove these entries, or all (None), and tell the outputs so; returns how many there were. What is removed
        stays so if a later part fails."""
        gone = 0
        entries = self if numbers is None else (one for one in map(self.get, numbers) if one is not None)
        with translated(self._path):
            for part in _parts(entries):
                with self._appending().transaction():
                    taken = [one for one in part if self._db.execute(sql.DROP_QUARANTINE, (one.number,)).rowcount]
                    settled = tuple(_bare(one.entry) for one in taken if one.output is None)
                    if settled:
                        self._appending().write(Batch(settled=settled), time.time_ns())
                gone += len(taken)
            self._db.execute(sql.SHRINK).fetchall()
        return gone

    def send_again(self, refused: Sequence[Quarantined]) -> int:
        """Put events that outputs refused back into the queues of those outputs, from which they are sent whatever the
        filter says; in one transaction with their leaving, so that each is in one place. Returns how many there were.

        An entry that somebody else took out meanwhile, and one without its text, is left out. Raises UsageError for an
        output that is no longer there, and StateFull; then nothing is changed.
        """
        count = 0
        with translated(self._path), transaction(self._db):
            for one in refused:
                if one.output is None or one.textless:
                    continue
                if self._db.execute(sql.DROP_QUARANTINE, (one.number,)).rowcount:
                    put_back(self._db, one.output, [one.entry.raw], self._journal_max_bytes)
                    count += 1
        return count

    def settle(self, mended: Sequence[Mended], renewed: Sequence[Renewed], drift: Sequence[str] = ()) -> Appended:
        """In one transaction: mended entries leave the quarantine and are appended, the others get their reason.

        An entry that somebody else took out meanwhile is left out here. Raises StateFull, having changed nothing.
        """
        with translated(self._path), self._appending().transaction():
            taken = [one for one in mended if self._db.execute(sql.DROP_QUARANTINE, (one.number,)).rowcount]
            for one in renewed:
                self._db.execute(sql.RENEW_QUARANTINE, (one.reason[:REASON_MAX_CHARACTERS], one.column, one.number))
            piece = Piece(
                REPLAY_SOURCE,
                [encoded(one.record) for one in taken],
                [one.entry.raw for one in taken],
                entries=len(taken),
                drift=list(drift),
            )
            batch = Batch((piece,), settled=tuple(_bare(one.entry) for one in taken)) if taken else Batch()
            return self._appending().write(batch, time.time_ns())

    def close(self) -> None:
        """Give the journal back."""
        self._db.close()

    def _appending(self) -> Appender:
        if self._appender is None:
            self._appender = Appender(
                self._db,
                self._path,
                max_bytes=self._journal_max_bytes,
                quarantine_max_bytes=self._quarantine_max_bytes,
            )
        return self._appender


def _bare(entry: Malformed) -> Malformed:
    """The entry without its text, and without what a wrapper told."""
    source = Source(entry.source.host, entry.source.input, entry.source.path, entry.source.offset)
    return msgspec.structs.replace(entry, raw=b"", reason="", source=source)


def _parts(entries: Iterable[Quarantined]) -> Iterator[list[Quarantined]]:
    """Entries without their text, so many together as share a transaction."""
    walk = (msgspec.structs.replace(one, entry=_bare(one.entry)) for one in entries)
    while part := list(islice(walk, DROPPED_TOGETHER_COUNT)):
        yield part
