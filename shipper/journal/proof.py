"""The proof: whether an opened journal is sound in all that SQLite's own check can't know."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import cast

import msgspec

from shipper.errors import StateDamaged
from shipper.journal import sql
from shipper.journal.blob import Row as Batch
from shipper.journal.blob import verify
from shipper.journal.position import decode_position
from shipper.record import Gap

Row = tuple[object, ...]


def prove(db: sqlite3.Connection, path: Path) -> None:
    """Read everything once. Raises StateDamaged where a table, a batch or a position isn't what was written."""
    try:
        if not _expected_schema() <= _schema(db):
            raise StateDamaged(f"{path}: the journal is damaged (its tables are not those that were made)")
        for row in db.execute(sql.SALVAGE_BATCHES):
            if not is_sound(row):
                raise StateDamaged(f"{path}: the journal is damaged (batch {row[0]} does not fit its checksum)")
        for (body,) in db.execute(sql.ALL_POSITIONS):
            decode_position(body)
        for row in db.execute(sql.ALL_COUNTERS):
            if not are_counters(row):
                raise StateDamaged(f"{path}: the journal is damaged (a counter is no number)")
        for name, cursor, _ in db.execute(sql.SALVAGE_OUTPUTS):
            if not isinstance(name, str) or not isinstance(cursor, int):
                raise StateDamaged(f"{path}: the journal is damaged (an output's cursor is no number)")
        for _, _, body in db.execute(sql.SALVAGE_GAPS):
            decode_gap(body)
        last = db.execute(sql.GET_META, ("last_seq",)).fetchone()
        if last is not None and not isinstance(last[0], int):
            raise StateDamaged(f"{path}: the journal is damaged (its last number is none)")
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, UnicodeError) as error:
        raise StateDamaged(f"{path}: the journal is damaged ({error})") from error
    except sqlite3.OperationalError as error:
        # An error of Python's own has no code: text that is not UTF-8.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise StateDamaged(f"{path}: the journal is damaged ({error})") from error
        raise


decode_gap = msgspec.json.Decoder(Gap).decode


def is_sound(row: Row) -> bool:
    """Whether a batch is what was written."""
    seq, _, count, _, _, *blobs = row[:9]
    if not isinstance(seq, int) or not isinstance(count, int) or not all(isinstance(blob, bytes) for blob in blobs):
        return False
    wrap, *sealed = row[10:]
    if wrap is not None and not (isinstance(wrap, str) and all(isinstance(blob, bytes) for blob in sealed)):
        return False
    try:
        verify(cast("Batch", row))
    except StateDamaged:
        return False
    return True


def are_counters(row: Row) -> bool:
    """Whether a row of counters holds a name and numbers."""
    return isinstance(row[0], str) and all(isinstance(number, int) for number in row[1:])


def _schema(db: sqlite3.Connection) -> set[Row]:
    return set(db.execute(sql.SCHEMA))


def _expected_schema() -> set[Row]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statements in sql.MIGRATIONS:
            for statement in statements:
                db.execute(statement)
        return _schema(db)
    finally:
        db.close()
