"""The reader: answers questions from the index, beside a running daemon or without one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, starmap
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from shipper import timestamp
from shipper.directory.lookup import Directory
from shipper.errors import StateDamaged
from shipper.index import sql
from shipper.index.answer import Answer, Missing, Rows
from shipper.index.block import Block, BlockCache, BlockCodec
from shipper.index.cell import RowCells, with_cells
from shipper.index.condition import CONNECTIONS, EVENTS, Compiler
from shipper.index.connection import Connection, build_connection
from shipper.index.ending import Ending, read_ending, started_anew
from shipper.index.failure import damaged, translated
from shipper.index.identifier import pack_id, unpack_id
from shipper.index.naming import Named, with_names
from shipper.index.order import order_by, time_range
from shipper.index.schema import COLUMNS, KEY_BYTES, ONGOING, STATE_NAMES, UNKNOWN
from shipper.index.segment import segments
from shipper.index.store import open_reader
from shipper.index.stored import Stored
from shipper.query.filter import Filter
from shipper.record import Gap, Record

WORDS_CACHED_MAX = 65_536
ROWS_MAX = 2**62
"""Larger limits are as good as this one, and SQLite counts in 64 bits."""

_decode_gap = msgspec.json.Decoder(Gap).decode


class Everything(Iterator[int]):
    """The numbers of all events. ``blocks`` gives those of whole blocks instead, of those whose numbers were not asked for."""

    def __init__(self, blocks: Iterator[range]) -> None:
        self.blocks = blocks
        self._numbers = chain.from_iterable(blocks)

    def __next__(self) -> int:
        return next(self._numbers)


class IndexReader:
    """The index opened for reading only. For one thread."""

    def __init__(self, path: Path, *, named: bool = True) -> None:
        """Raises StateError where there is no index at ``path`` or it can't be read, StateNewer, StateDamaged.

        Without ``named`` rows are as they were stored, without what the directory knows of names."""
        self._path = path
        self._named = named
        self._cache = BlockCache()
        self._words: dict[int, str] = {}
        self._version = 0
        self._ending = Ending()
        self._database = open_reader(path)
        self._identity = self._look()
        self._directory = Directory(self._database)
        with translated(path):
            self._codec = BlockCodec(self._database.execute(sql.GET_DICTIONARIES).fetchone()[1])

    def search(
        self,
        filter_: Filter,
        *,
        events: bool,
        limit: int,
        sort: str,
        since_ns: int | None,
        until_ns: int | None,
        now_ns: int,
    ) -> Answer:
        """The events or connections that meet ``filter_``, with a time from ``since_ns`` to ``until_ns``, both included.

        ``limit`` 0: all. ``sort``: ``time``, or another column, a minus before it for descending; rows
        without a value come last. Raises UsageError for an unknown column, QueryError for an unknown type.
        """
        target = EVENTS if events else CONNECTIONS
        order_by(sort, events)  # what can't be is refused before anything is read
        with translated(self._path):
            self._begin(now_ns)
            order = order_by(sort, events, self._ending.state)
            condition = Compiler(self._database, target, now_ns, self._directory).compile(filter_, since_ns, until_ns)
            statement = sql.select_rows(condition.source, condition.text, order)
            bound = min(limit, ROWS_MAX) + 1 if limit else -1
            ids = [row[0] for row in self._database.execute(statement, (*condition.parameters, bound))]
        cut = 0 < limit < len(ids)
        missing = self.missing(filter_, since_ns, until_ns)
        return Answer(Rows(self, ids[:limit] if cut else ids, events), cut, tuple(condition.notes), *missing)

    def missing(self, filter_: Filter, since_ns: int | None, until_ns: int | None) -> Missing:
        """What is known to be missing from the range of time that a question is about, in the view of the last answer."""
        low, high = time_range(filter_, since_ns, until_ns)
        with translated(self._path):
            return Missing(self._count(sql.COUNT_GAPS, low, high), self._count(sql.COUNT_NOTICES, low, high))

    def gaps(
        self, filter_: Filter, *, since_ns: int | None, until_ns: int | None, limit: int
    ) -> tuple[list[Gap], bool]:
        """The gaps that reach into a range of time, the latest first, and whether ``limit`` (0: all) left some out."""
        low, high = time_range(filter_, since_ns, until_ns)
        bound = min(limit, ROWS_MAX) + 1 if limit else -1
        with translated(self._path):
            self._begin()
            bodies = [row[0] for row in self._database.execute(sql.GAPS, (low, high, bound))]
        cut = 0 < limit < len(bodies)
        try:
            return [_decode_gap(body) for body in (bodies[:limit] if cut else bodies)], cut
        except msgspec.MsgspecError as error:
            raise damaged(self._path, f"a gap: {error}") from error

    def latest(self, filter_: Filter, *, count: int, now_ns: int) -> tuple[Rows, int, tuple[str, ...]]:
        """The last ``count`` events stored that meet ``filter_``, oldest first, the place to follow from, and notes."""
        with translated(self._path):
            self._begin(now_ns)
            last = int(self._database.execute(sql.LAST_EVENT).fetchone()[0])
            condition = Compiler(self._database, EVENTS, now_ns, self._directory).compile(filter_, None, None)
            statement = sql.select_rows(condition.source, condition.text, "id DESC")
            ids = [row[0] for row in self._database.execute(statement, (*condition.parameters, min(count, ROWS_MAX)))]
        return Rows(self, ids[::-1], True), last, tuple(condition.notes)

    def after(self, filter_: Filter, place: int, *, limit: int, now_ns: int) -> tuple[Rows, int]:
        """At most ``limit`` events stored after ``place`` that meet ``filter_``, and the place to follow from."""
        self._refresh()
        with translated(self._path):
            self._begin(now_ns)
            last = int(self._database.execute(sql.LAST_EVENT).fetchone()[0])
            if last < place:
                place = 0  # another index lies there now
            condition = Compiler(self._database, EVENTS, now_ns, self._directory).compile(filter_, None, None)
            statement = sql.select_rows(condition.source, f"{condition.text} AND id > ?", "id")
            ids = [
                row[0]
                for row in self._database.execute(statement, (*condition.parameters, place, min(limit, ROWS_MAX)))
            ]
        return Rows(self, ids, True), ids[-1] if len(ids) == limit else last

    def walk(
        self, filter_: Filter, *, since_ns: int | None, until_ns: int | None, now_ns: int, again: bool = False
    ) -> tuple[Iterator[int], tuple[str, ...]]:
        """The numbers of all events that meet ``filter_``, in the order in which they were stored, and notes.

        Valid as the rows of an answer are; may be walked while rows are read. ``again``: in the view of the last answer.
        """
        with translated(self._path):
            if not again:
                self._begin(now_ns)
            condition = Compiler(self._database, EVENTS, now_ns, self._directory).compile(filter_, since_ns, until_ns)
            if not condition.parameters and condition.text == "1":
                # All there are: the blocks tell, without a look at each event.
                blocks = self._database.execute(sql.BLOCKS)
                return Everything(starmap(_numbers, self.guarded(blocks))), tuple(condition.notes)
            statement = sql.select_rows(condition.source, condition.text, "id")
            numbers = self._database.execute(statement, (*condition.parameters, -1))
        return map(itemgetter(0), self.guarded(numbers)), tuple(condition.notes)

    def guarded(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Rows of the database as they come; what SQLite refuses meanwhile is an error of connlog's."""
        with translated(self._path):
            for row in rows:  # noqa: UP028  # 'yield from' would close a cursor of a database that is closed already
                yield row

    def original_of(self, event: int) -> bytes:
        """The entry of an event by its number, as it was read."""
        first, block = self.block(event)
        try:
            return block.original(event - first)
        except ValueError as error:
            raise damaged(self._path, f"block {first}: {error}") from error

    def row(self, number: int, events: bool) -> Record | Connection:
        """One row of an answer, by its number in the index."""
        with translated(self._path):
            if events:
                return self._name(self._record(number))
            numbers = self._events_of(number)
            records = [self._record(event) for event in numbers]
            return self._name(self._ended(number, build_connection(records)))

    def _ended(self, number: int, one: Connection) -> Connection:
        """The connection, unknown where it seems to go on and its end can't come any more."""
        if one.state != STATE_NAMES[ONGOING]:
            return one
        anew_ns = None if one.agent_id is None else started_anew(self._database, number)
        reason = self._ending.reason(timestamp.to_ns(one.connect_time), anew_ns)
        return one if reason is None else replace(one, state=STATE_NAMES[UNKNOWN], state_reason=reason)

    def _name(self, row: Named) -> Named:
        return with_names(self._directory, row) if self._named else row

    def _events_of(self, connection: int) -> list[int]:
        """The events of a connection in the order in which they were stored."""
        row = self._database.execute(sql.FIRST_EVENTS, (connection,)).fetchone()
        if row is None:
            raise damaged(self._path, f"connection {connection} is missing")
        more = [row[0] for row in self._database.execute(sql.ALL_MORE_EVENTS, (connection,))] if row[1] else []
        return sorted(event for event in (*row, *more) if event is not None)

    def records(self, first: int, events: int) -> Iterator[tuple[Record, bytes]]:
        """The events of one block, by the number of the first, with their originals; those that are damaged are left
        out. Raises StateDamaged where all of them are."""
        block = self.block(first)[1]
        with translated(self._path):
            rows = self._database.execute(sql.BLOCK_CELLS, (first, first + events - 1)).fetchall()
        for number, *row in rows:
            try:
                yield self._build(row, block, number - first), block.original(number - first)
            except (ValueError, StateDamaged):
                continue

    def record(self, event_id: str) -> Record | None:
        """The record of an event by its id, or None."""
        found = self._find(event_id)
        if found is None:
            return None
        with translated(self._path):
            return self._name(self._record(found))

    def original(self, event_id: str) -> bytes | None:
        """The entry as it was read, wrappers taken off, by the event's id, or None."""
        found = self._find(event_id)
        if found is None:
            return None
        return self.original_of(found)

    @property
    def cursor(self) -> int:
        """The number of the journal's last batch that is in the index; 0: none."""
        with translated(self._path):
            row = self._database.execute(sql.GET_FACT, ("cursor",)).fetchone()
        return 0 if row is None else int(row[0])

    def names(self, column: str, begun: str, limit: int) -> list[str]:
        """Texts of a column of words that begin with ``begun``, which is lower case, in their order."""
        bit = 1 << COLUMNS.index(column)
        with translated(self._path):
            return [row[0] for row in self._database.execute(sql.WORDS_BEGINNING, (bit, begun, begun, limit))]

    @property
    def directory(self) -> Directory:
        """The directory of names, in the view of the last answer."""
        return self._directory

    def view(self, now_ns: int | None = None) -> sqlite3.Connection:
        """The database in a new view, for those who ask it something else; valid as the rows of an answer are."""
        with translated(self._path):
            self._begin(now_ns)
        return self._database

    def release(self) -> None:
        """Let go of the view of the last answer, whose rows can't be read any more.

        A view that is held keeps the writer from emptying its -wal; who waits should hold none.
        """
        if self._database.in_transaction:
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Close it; rows of its answers can't be read any more."""
        self._database.close()

    def _begin(self, now_ns: int | None = None) -> None:
        """A new view of the database: all that one answer says is of one moment."""
        self.release()
        self._database.execute("BEGIN")
        self._ending = read_ending(self._database, time.time_ns() if now_ns is None else now_ns)
        self._directory.refresh()
        version = int(self._database.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            # What expired may have left its number to something new.
            self._forget()
            self._version = version

    def _forget(self) -> None:
        self._cache.clear()
        self._words.clear()

    def _refresh(self) -> None:
        """Open anew where another file lies there now, or a writer came to one that was read as it lay."""
        if self._look() != self._identity:
            fresh = open_reader(self._path)
            self._database.close()
            self._database = fresh
            self._directory = Directory(fresh)
            self._identity = self._look()
            self._forget()

    def _look(self) -> tuple[int, int, bool]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self._identity
        return found.st_dev, found.st_ino, self._path.with_name(self._path.name + "-wal").exists()

    def _count(self, statement: str, low: int, high: int) -> int:
        return int(self._database.execute(statement, (low, high)).fetchone()[0])

    def _find(self, event_id: str) -> int | None:
        with translated(self._path):
            packed = pack_id(event_id) or b""
            among = segments(self._database, "events")
            found = self._database.execute(sql.FIND_EVENT, (among, packed[:KEY_BYTES], packed)).fetchone()
        return None if found is None else int(found[0])

    def block(self, event: int) -> tuple[int, Block]:
        """The block that holds an event, behind the number of its first event."""
        known = self._cache.holding(event)
        if known is not None:
            return known
        with translated(self._path):
            row = self._database.execute(sql.BLOCK_OF_EVENT, (event,)).fetchone()
        if row is None:
            raise damaged(self._path, f"the block of event {event} is missing")
        try:
            block = Block(self._codec, row[1])
        except ValueError as error:
            raise damaged(self._path, f"block {row[0]}: {error}") from error
        self._cache.put(row[0], block)
        return row[0], block

    def block_at(self, first: int) -> Block:
        """The block whose first event has this number, of which only what is needed is read."""
        known = self._cache.holding(first)
        if known is not None:
            return known[1]
        try:
            with translated(self._path):
                block = Block(self._codec, Stored(self._database, first))
        except ValueError as error:
            raise damaged(self._path, f"block {first}: {error}") from error
        self._cache.put(first, block)
        return block

    def _record(self, event: int) -> Record:
        with translated(self._path):
            row = self._database.execute(sql.EVENT_CELLS, (event,)).fetchone()
            if row is None:
                raise damaged(self._path, f"event {event} is missing")
        first, block = self.block(event)
        try:
            return self._build(row, block, event - first)
        except ValueError as error:
            raise damaged(self._path, f"block {first}: {error}") from error

    def _build(self, row: Sequence[Any], block: Block, place: int) -> Record:
        id_, connection_id, time_ns, ended, code, *words = row
        with translated(self._path):
            texts = tuple(None if word is None else self._word(word) for word in words)
        cells = RowCells(unpack_id(id_) or "", unpack_id(connection_id), time_ns, bool(ended), code, texts)
        return with_cells(block.record(place), cells)

    def _word(self, number: int) -> str:
        text = self._words.get(number)
        if text is None:
            row = self._database.execute(sql.GET_WORD, (number,)).fetchone()
            if row is None:
                raise damaged(self._path, f"word {number} is missing")
            if len(self._words) >= WORDS_CACHED_MAX:
                self._words.clear()
            text = self._words[number] = str(row[0])
        return text


def _numbers(first: int, events: int) -> range:
    return range(first, first + events)
