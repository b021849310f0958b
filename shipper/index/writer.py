"""The writer: takes batches of the journal into the index, each exactly once, and lets old ones go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper import timestamp
from shipper.index import sql
from shipper.index.block import BlockCodec, group_blocks
from shipper.index.connection import Cell, Part, merge_cells, part, span
from shipper.index.failure import translated
from shipper.index.schema import COLUMNS
from shipper.index.store import open_writer
from shipper.index.word import DAY_NS, Words, pack_id, request_number, texts_of
from shipper.record import Gap, Malformed, Record

REASON_MAX_CHARACTERS = 80
EXPIRE_BLOCKS_MAX = 64
"""Blocks deleted in one transaction, so that expiry never holds the database for long."""

_WORKSPACE = 2 + COLUMNS.index("workspace")
_AGENT_NAME = 2 + COLUMNS.index("agent_name")
_TYPE, _METHOD = 2 + COLUMNS.index("type"), 2 + COLUMNS.index("method")
_NAMES = [2 + COLUMNS.index(column) for column in COLUMNS if column.startswith("name_")]

Key = tuple[Cell, Cell, Cell]


class Added(Struct, frozen=True):
    """What one batch gave: events that are new, and those whose id was there before."""

    added: int
    duplicates: int


class IndexWriter:
    """The index opened for writing, made where it is missing. For one thread at a time."""

    def __init__(self, path: Path, *, retention_seconds: int | None = None) -> None:
        """Raises StateNewer, StateBusy, StateDamaged, StateFull or StateError."""
        self._path = path
        self._retention_ns = None if retention_seconds is None else retention_seconds * 1_000_000_000
        self._closed = False
        self._database = open_writer(path)
        with translated(path):
            primer = self._database.execute(sql.GET_DICTIONARIES).fetchone()[1]
            self._codec = BlockCodec(primer)
            self._words = Words(self._database)
            self._cursor = self._fact("cursor")

    @property
    def cursor(self) -> int:
        """The number of the last batch taken; 0 at first."""
        return self._cursor

    def add(
        self,
        seq: int,
        records: Sequence[Record],
        originals: Sequence[bytes],
        *,
        gaps: Sequence[Gap] = (),
        malformed: Sequence[Malformed] = (),
        stored_ns: int,
    ) -> Added:
        """Take batch ``seq`` in one transaction that also moves the cursor; a batch taken before is left alone.

        ``originals`` runs beside ``records``. After an error nothing of the batch is there, and the same
        call may be made again.
        """
        if seq <= self._cursor:
            return Added(0, 0)
        with self._transaction():
            new = self._new_events(records, originals)
            self._add_events(new, stored_ns)
            self._add_notices(gaps, malformed, stored_ns)
            self._database.execute(sql.SET_FACT, ("cursor", seq))
        self._cursor = seq
        return Added(len(new), len(records) - len(new))

    def expire(self, now_ns: int) -> int:
        """Delete what was stored longer ago than the retention; gives the number of events deleted."""
        if self._retention_ns is None:
            return 0
        before = now_ns - self._retention_ns
        deleted = 0
        while True:
            with self._transaction():
                blocks = self._database.execute(sql.OLD_BLOCKS, (before, EXPIRE_BLOCKS_MAX)).fetchall()
                for first, last in blocks:
                    deleted += self._drop_block(first, last, now_ns)
                if len(blocks) < EXPIRE_BLOCKS_MAX:
                    self._database.execute(sql.DROP_GAPS, (before,))
                    self._database.execute(sql.DROP_NOTICES, (before,))
                    if deleted:
                        self._database.execute(sql.DROP_SHAPES, (before - DAY_NS,))
                        self._database.execute(sql.DROP_WORDS, (before - DAY_NS,))
            if len(blocks) < EXPIRE_BLOCKS_MAX:
                break
        if deleted:
            self._words.forget()
        return deleted

    def close(self) -> None:
        """Write everything back into the one file, so that no -wal is left, and close. May be called again."""
        if self._closed:
            return
        self._closed = True
        try:
            with translated(self._path):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # A full disk may have rolled back by itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._words.forget()
                raise

    def _fact(self, name: str) -> int:
        row = self._database.execute(sql.GET_FACT, (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def _last(self, statement: str) -> int:
        return int(self._database.execute(statement).fetchone()[0])

    def _new_events(self, records: Sequence[Record], originals: Sequence[bytes]) -> list[tuple[Record, bytes]]:
        new: list[tuple[Record, bytes]] = []
        seen: set[str] = set()
        for record, original in zip(records, originals, strict=True):
            if record.id not in seen:
                seen.add(record.id)
                if self._database.execute(sql.HAS_EVENT, (pack_id(record.id),)).fetchone() is None:
                    new.append((record, original))
        return new

    def _add_events(self, new: Sequence[tuple[Record, bytes]], stored_ns: int) -> None:
        if not new:
            return
        first = self._last(sql.LAST_EVENT) + 1
        self._add_blocks(new, first, stored_ns)
        connection_id = self._last(sql.LAST_CONNECTION)
        rows: list[tuple[object, ...]] = []
        points: list[tuple[object, ...]] = []
        paired: dict[Key, list[int]] = {}
        parts: list[Part] = []
        named = False
        for event_id, (record, _) in enumerate(new, first):
            cells: tuple[Cell, ...] = (
                record.code,
                pack_id(record.client_session_id),
                *self._words.ids(texts_of(record), stored_ns),
            )
            named = named or any(cells[column] is not None for column in _NAMES)
            ended = record.status == "disconnected"
            one = part(ended, timestamp.to_ns(record.time), _id_bytes(record.id), cells)
            if record.connection_id is None:
                connection_id += 1
                points.append(self._connection_row(connection_id, None, [one], stored_ns))
            else:
                key: Key = (pack_id(record.connection_id), cells[_WORKSPACE], cells[_AGENT_NAME])
                paired.setdefault(key, []).append(len(rows))
            parts.append(one)
            folded = self._words.fold_shape(cells[2:], stored_ns)
            request = request_number(record.request_id)
            rows.append((event_id, one.id, one.time_ns, ended, connection_id, request, *cells[:2], *folded))
        for identity, members in paired.items():
            found = self._database.execute(sql.FIND_CONNECTION, identity).fetchone()
            together = [parts[member] for member in members]
            if found is None:
                connection_id += 1
                number = connection_id
            else:
                number = found[0]
                together += self._parts(number)
            points.append(self._connection_row(number, identity[0], sorted(together), stored_ns))
            for member in members:
                row = rows[member]
                rows[member] = (*row[:4], number, *row[5:])
        self._database.executemany(sql.ADD_EVENT, rows)
        self._database.executemany(sql.PUT_CONNECTION, points)
        if named:
            self._database.execute(sql.SET_FACT, ("named", 1))

    def _add_blocks(self, new: Sequence[tuple[Record, bytes]], first: int, stored_ns: int) -> None:
        for items in group_blocks([record for record, _ in new], [original for _, original in new]):
            events = len(items) // 2
            self._database.execute(sql.ADD_BLOCK, (first, events, stored_ns, self._codec.pack(items)))
            first += events

    def _parts(self, connection: int) -> list[Part]:
        rows = self._database.execute(sql.PARTS_OF_CONNECTION, (connection,))
        return [part(bool(ended), time_ns, event, tuple(cells)) for ended, time_ns, event, *cells in rows]

    def _connection_row(self, number: int, key: Cell, parts: Sequence[Part], stored_ns: int) -> tuple[object, ...]:
        cells = merge_cells(parts)
        web = cells[_TYPE] in self._words.web_ids or cells[_METHOD] in self._words.web_ids
        folded = self._words.fold_shape(cells[2:], stored_ns)
        return (number, key, *span(parts, web, key is not None), *cells[:2], *folded)

    def _add_notices(self, gaps: Sequence[Gap], malformed: Sequence[Malformed], stored_ns: int) -> None:
        for gap in gaps:
            known = [timestamp.to_ns(text) for text in (gap.from_, gap.to, gap.detected) if text]
            ends = (known[0], known[1 if gap.from_ and gap.to else -1]) if known else (stored_ns, stored_ns)
            self._database.execute(sql.ADD_GAP, (stored_ns, min(ends), max(ends), msgspec.json.encode(gap)))
        for one in malformed:
            time_ns = None if one.time is None else timestamp.to_ns(one.time)
            # A reason may go on, after a colon or in quotes, with a piece of the line.
            kind = one.reason.partition(":")[0].partition('"')[0].strip()[:REASON_MAX_CHARACTERS]
            place = (one.source.host, one.source.path, one.source.offset, one.line, one.column)
            self._database.execute(sql.ADD_NOTICE, (stored_ns, time_ns, *place, kind))

    def _drop_block(self, first: int, last: int, now_ns: int) -> int:
        """Delete a block and its events; connections keep what their other events say."""
        touched = [row[0] for row in self._database.execute(sql.CONNECTIONS_OF_BLOCK, (first, last))]
        deleted = self._database.execute(sql.DROP_EVENTS_OF_BLOCK, (first, last)).rowcount
        self._database.execute(sql.DROP_BLOCK, (first,))
        for number in touched:
            parts = sorted(self._parts(number))
            if parts:
                key = self._database.execute(sql.CONNECTION_KEY, (number,)).fetchone()[0]
                self._database.execute(sql.PUT_CONNECTION, self._connection_row(number, key, parts, now_ns))
            else:
                self._database.execute(sql.DROP_CONNECTION, (number,))
        return deleted


def _id_bytes(text: str) -> bytes:
    packed = pack_id(text)
    return packed if isinstance(packed, bytes) else str(packed).encode()
