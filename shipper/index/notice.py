"""Notices: gaps of the log and lines that could not be read, kept so that an answer can tell of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from shipper import timestamp
from shipper.index import sql
from shipper.record import Gap, Malformed, Record

REASON_MAX_CHARACTERS = 80


def add_notices(
    database: sqlite3.Connection, gaps: Sequence[Gap], malformed: Sequence[Malformed], stored_ns: int
) -> None:
    """Add them, within the writer's transaction; of a line that could not be read only its place and kind of reason."""
    for gap in gaps:
        known = [timestamp.to_ns(text) for text in (gap.from_, gap.to, gap.detected) if text]
        ends = (known[0], known[1 if gap.from_ and gap.to else -1]) if known else (stored_ns, stored_ns)
        database.execute(sql.ADD_GAP, (stored_ns, min(ends), max(ends), msgspec.json.encode(gap)))
    for one in malformed:
        time_ns = None if one.time is None else timestamp.to_ns(one.time)
        # A reason may go on, after a colon or in quotes, with a piece of the line.
        kind = one.reason.partition(":")[0].partition('"')[0].strip()[:REASON_MAX_CHARACTERS]
        place = (one.source.host, one.source.path, one.source.offset, one.line, one.column)
        database.execute(sql.ADD_NOTICE, (stored_ns, time_ns, *place, kind))


def drop_notices(database: sqlite3.Connection, settled: Sequence[Malformed]) -> None:
    """Take back one notice for each entry that has left the quarantine, within the writer's transaction."""
    if not settled:
        return
    left: dict[tuple[object, ...], int] = {}
    for one in settled:
        time_ns = None if one.time is None else timestamp.to_ns(one.time)
        key = (one.source.path, one.source.host, one.source.offset, one.line, time_ns)
        left[key] = left.get(key, 0) + 1
    for number, *place in database.execute(sql.NOTICES).fetchall():
        count = left.get(tuple(place), 0)
        if count:
            left[tuple(place)] = count - 1
            database.execute(sql.DROP_NOTICE, (number,))


def settle_notices(database: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Take back that a line could not be read where it is among ``records`` now, within the writer's transaction.

    It is the same line where file, offset and the line's own time agree; a line at the same place of the file that
    came after it has another time. A notice without a time stays.
    """
    offsets = {row[0] for row in database.execute(sql.NOTICED_OFFSETS)}
    if not offsets:
        return
    for record in records:
        source = record.source
        if source.offset in offsets and record.log.time is not None:
            place = (source.offset, timestamp.to_ns(record.log.time), source.path, source.host)
            database.execute(sql.SETTLE_NOTICE, place)
