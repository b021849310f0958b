"""Upkeep: checks an index, merges its small blocks and gives back what it holds, for a rebuild."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from shipper.errors import ConnlogError
from shipper.index import sql
from shipper.index.block import BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX, Block, BlockCodec
from shipper.index.cell import left_of
from shipper.index.failure import damaged, translated
from shipper.index.lexicon import DAY_NS
from shipper.index.reader import IndexReader
from shipper.index.schema import KIND_COLUMNS, PLACE_COLUMNS, ROW_COLUMNS
from shipper.index.store import open_writer
from shipper.record import Record

PROBLEMS_MAX = 100
BLOCKS_TOGETHER = 256
"""Blocks looked at in one transaction, so that the daemon never waits long."""


EVENTS_TOGETHER = 4096
"""Events of a rebuild that are taken over in one transaction."""


class Compacted(Struct, frozen=True):
    """Blocks and bytes of the file before and after."""

    blocks_before: int
    blocks_after: int
    bytes_before: int
    bytes_after: int


class Stored(Struct, frozen=True):
    """The content of one block with the time it was stored; ``lost`` of its events can't be read."""

    stored_ns: int
    records: list[Record]
    originals: list[bytes]
    lost: int


def check(path: Path) -> list[str]:
    """What is wrong with the index at ``path``, a sentence each, at most ``PROBLEMS_MAX``; nothing: it is sound.

    Raises StateError where it can't be opened at all.
    """
    reader = IndexReader(path)
    try:
        with translated(path):
            database = reader.view()
            problems = [row[0] for row in database.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})") if row[0] != "ok"]
            problems += _dangling(database)
        problems += _unreadable(reader, path, database)
    finally:
        reader.close()
    return problems[:PROBLEMS_MAX]


def _dangling(database: sqlite3.Connection) -> Iterator[str]:
    """Rows that speak of something that isn't there."""
    for table, column, other in (
        ("events", "connection", "connections"),
        *((table, column, f"{column}s") for table in ("events", "connections") for column in ("kind", "place")),
        *(("kinds", column, "words") for column in KIND_COLUMNS),
        *(("places", column, "words") for column in PLACE_COLUMNS),
        *((table, column, "words") for table in ("events", "connections") for column in ROW_COLUMNS),
        ("connections", "first", "events"),
        ("connections", "second", "events"),
        ("more_events", "event", "events"),
    ):
        statement = (
            f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {other})"  # noqa: S608  # own names
        )
        count = database.execute(statement).fetchone()[0]
        if count:
            yield f"{count} rows of {table} name a {column} that is not there"
    count = database.execute(sql.MISCOUNTED_KINDS).fetchone()[0]
    if count:
        yield f"{count} kinds do not tell rightly how many connections they have"


def _unreadable(reader: IndexReader, path: Path, database: sqlite3.Connection) -> Iterator[str]:
    expected = 0
    for first, events in database.execute(sql.BLOCKS):
        try:
            block = reader.block(first)[1]
            block.originals(), block.rests()
        except ConnlogError as error:
            yield str(error)
            continue
        except ValueError as error:
            yield str(damaged(path, f"block {first}: {error}"))
            continue
        if len(block) != events:
            yield f"block {first} holds {len(block)} events, not {events}"
        expected += events
    found = database.execute("SELECT count(*) FROM events").fetchone()[0]
    covered = database.execute("SELECT coalesce(sum(events), 0) FROM blocks").fetchone()[0]
    if found != covered:
        yield f"there are {found} events, and {covered} in blocks"


def compact(path: Path) -> Compacted:
    """Merge neighbouring blocks that are small, and give the room back to the disk. Safe beside a running daemon,
    which waits meanwhile. Raises StateBusy, StateFull or StateError; what was done until then stays."""
    before = _size(path)
    database = open_writer(path)
    try:
        with translated(path):
            codec = BlockCodec(database.execute(sql.GET_DICTIONARIES).fetchone()[1])
            blocks = database.execute(sql.COUNT_BLOCKS).fetchone()[0]
            place = 0
            while True:
                database.execute("BEGIN IMMEDIATE")
                try:
                    place = _merge(database, codec, place)
                    database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        database.execute("ROLLBACK")
                    raise
                if not place:
                    break
            left = database.execute(sql.COUNT_BLOCKS).fetchone()[0]
            database.execute("PRAGMA auto_vacuum = INCREMENTAL").fetchall()  # of an index from before it was usual
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        database.close()
    return Compacted(blocks, left, before, _size(path))


def _size(path: Path) -> int:
    """Bytes of the file and of what SQLite has beside it."""
    wal = path.with_name(path.name + "-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def _merge(database: sqlite3.Connection, codec: BlockCodec, place: int) -> int:
    """Merge among the next blocks from ``place`` on; gives where to go on, 0 at the end."""
    rows = database.execute(sql.BLOCKS_FROM, (place, BLOCKS_TOGETHER)).fetchall()
    group: list[tuple[int, int, int, bytes]] = []
    last_group = 0
    for row in rows:
        if group and not _fits(group, row):
            _write(database, codec, group)
            group = []
        group.append(row)
        last_group = group[0][0]
    if len(rows) < BLOCKS_TOGETHER:
        _write(database, codec, group)
        return 0
    if group[0] is rows[0]:
        _write(database, codec, group)
        return int(rows[-1][0]) + 1
    return last_group


def _fits(group: list[tuple[int, int, int, bytes]], row: tuple[int, int, int, bytes]) -> bool:
    first, events, stored_ns, data = row
    held = sum(one[1] for one in group)
    return (
        group[0][0] + held == first
        and held + events <= BLOCK_EVENTS_MAX
        and sum(len(one[3]) for one in group) + len(data) <= BLOCK_BYTES_MAX // 16
        # What is kept a little longer than its time is kept a day longer at most.
        and group[0][2] // DAY_NS == stored_ns // DAY_NS
    )


def _write(database: sqlite3.Connection, codec: BlockCodec, group: list[tuple[int, int, int, bytes]]) -> None:
    if len(group) < 2:
        return
    try:
        blocks = [Block(codec, row[3]) for row in group]
        rests = left_of([block.record(place) for block in blocks for place in range(len(block))])
        originals = [original for block in blocks for original in block.originals()]
    except ValueError:
        return  # 'connlog index check' tells of it; merged it would take its neighbours along
    database.executemany(sql.DROP_BLOCK, [(row[0],) for row in group])
    first, stored_ns = group[0][0], max(row[2] for row in group)
    for events, data in codec.blocks(rests, originals):
        database.execute(sql.ADD_BLOCK, (first, events, stored_ns, data))
        first += events


def read_all(reader: IndexReader) -> Iterator[Stored]:
    """Everything that an index still gives, block by block, in the order of storage; raises StateDamaged where the rest
    can't even be looked for."""
    for first, events, stored_ns in reader.guarded(_blocks(reader)):
        try:
            found = list(reader.records(first, events))
        except ConnlogError:
            found = []  # counted as lost
        records, originals = [record for record, _ in found], [original for _, original in found]
        yield Stored(stored_ns, records, originals, events - len(found))


def _blocks(reader: IndexReader) -> Iterator[tuple[int, int, int]]:
    yield from reader.view().execute(sql.BLOCKS_WITH_TIME)


def together(blocks: Iterable[Stored]) -> Iterator[Stored]:
    """Neighbouring blocks that were stored at one time as one, of ``EVENTS_TOGETHER`` events or a few more."""
    held: Stored | None = None
    for one in blocks:
        if held is not None and (held.stored_ns != one.stored_ns or len(held.records) >= EVENTS_TOGETHER):
            yield held
            held = None
        if held is None:
            held = one
        else:
            held.records.extend(one.records)
            held.originals.extend(one.originals)
            held = replace(held, lost=held.lost + one.lost)
    if held is not None:
        yield held
