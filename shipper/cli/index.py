"""The command ``index``: rebuilds the local index, checks it, and makes it smaller."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper import heap  # noqa: F401  # before any that loads sqlite3
from shipper.cli import question
from shipper.cli.talk import say
from shipper.errors import InputError, StateDamaged

if TYPE_CHECKING:
    from shipper.index import IndexWriter
    from shipper.journal import Block, Journal

BATCH_EVENTS, JOINED_EVENTS = 32_768, 8192
BATCH_BYTES = 64 << 20
"""Events of a log and of batches of the journal, or bytes of their lines, that are taken in one transaction, or some more."""
BATCH_NS = 3_600_000_000_000
"""Batches of the journal become one with the latest of their times: an event is kept so much longer than its time at most."""
MEMOS_TIMES = 4
"""The memory for what was made of texts before, against that of other commands: 128 MiB. Logs of tens of thousands of
workspaces are then read in half the time."""
BAD_NEWS = 1


@click.group()
def command() -> None:
    """Rebuild, check or compact the local index."""


@command.command("check")
@question.place_options
def check_command(index: Path | None, config: Path | None) -> int:
    """Check that the index is sound, down to each block. Exits 1 when it isn't."""
    from shipper.index.upkeep import check

    path = question.find_index(index, config)
    try:
        problems = check(path)
    except StateDamaged as error:
        say(str(error))
        return BAD_NEWS
    for problem in problems:
        say(problem)
    if problems:
        say("'connlog index rebuild' makes a new index of what this one still gives, of the journal and of logs")
        return BAD_NEWS
    click.echo("the index is sound")
    return 0


@command.command("compact")
@question.place_options
def compact_command(index: Path | None, config: Path | None) -> int:
    """Merge small blocks and give unused room back to the disk. The daemon may run meanwhile."""
    from shipper.index.store import require_index
    from shipper.index.upkeep import compact

    path = question.find_index(index, config)
    require_index(path)
    done = compact(path)
    click.echo(
        f"{done.blocks_before} blocks are {done.blocks_after} now, "
        f"{done.bytes_before} bytes of the index and its log are {done.bytes_after} now"
    )
    return 0


@command.command("rebuild")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone of stamps that show none.")
@question.place_options
def rebuild_command(paths: tuple[str, ...], tz: str, index: Path | None, config: Path | None) -> int:
    """Make a new index and put it in place of the old one.

    It takes what the present index still gives, what the journal beside it still has, and the logs named by
    PATH, compressed ones too; an event that comes from several of them is there once. The daemon must not run.
    """
    path = question.find_index(index, config)
    started = time.process_time()
    added = _rebuild(path, paths, tz)
    spent = max(0.001, time.process_time() - started)
    click.echo(f"{path}: {added} events")
    say(f"{spent:.1f} CPU seconds, {added / spent:.0f} events in each")
    return 0


def _rebuild(path: Path, paths: tuple[str, ...], tz: str) -> int:
    from shipper.service.lock import StateLock

    # A lock, and not a look whether a daemon runs: none may start meanwhile.
    lock = StateLock(path.parent)
    fresh = path.with_name(path.name + ".new")
    try:
        _remove(fresh)
        try:
            added = _fill(path, fresh, paths, tz)
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            for ending in ("-wal", "-shm"):
                # Of the old one: beside the new one they would be taken for its own.
                path.with_name(path.name + ending).unlink(missing_ok=True)
            fresh.replace(path)
        except BaseException:
            with suppress(OSError):
                _remove(fresh)
            raise
    finally:
        lock.close()
    return added


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _fill(path: Path, fresh: Path, paths: tuple[str, ...], tz: str) -> int:
    """Fill a new index from all there is; gives how many events it holds."""
    from shipper.index import IndexWriter
    from shipper.memo import Cache

    writer = IndexWriter(fresh, durable=False)
    if os.geteuid() == 0:
        # The service has to be able to write it; SQLite gives its own files the owner of this one.
        folder = path.parent.stat()
        for mine in (fresh, path.with_name("lock")):
            os.chown(mine, folder.st_uid, folder.st_gid)
    added = 0
    try:
        cursor, carried = _carry_over(path, writer)
        added += carried
        with Cache.widened(MEMOS_TIMES):
            for name in paths:
                added += sum(_from_log(name, writer, tz))
        added += _from_journal(path.with_name("journal.db"), writer, cursor)
    finally:
        writer.close()
    return added


def _carry_over(path: Path, writer: IndexWriter) -> tuple[int, int]:
    """Take over what the present index still gives; gives its cursor, and how many events these were."""
    from shipper.index import IndexReader, IndexWriter
    from shipper.index.schema import MIGRATIONS
    from shipper.index.upkeep import read_all, together
    from shipper.vintage import vintage_of

    if not path.exists():
        return 0, 0
    added = lost = 0
    try:
        if 0 < vintage_of(path) < len(MIGRATIONS):
            IndexWriter(path).close()  # of an older connlog; nobody else would bring it up to date
        reader = IndexReader(path, named=False)
        try:
            cursor = reader.cursor
            for stored in together(read_all(reader)):
                added += writer.load(stored.records, stored.originals, stored_ns=stored.stored_ns).added
                lost += stored.lost
            writer.take_notices(path)
        finally:
            reader.close()
    except StateDamaged as error:
        say(str(error), f"{added} events of it were taken over; name the logs to read the rest again")
        return 0, added
    if lost:
        say(f"{lost} events of the present index can't be read; name the logs to read them again")
    return cursor, added


def _from_log(name: str, writer: IndexWriter, tz: str) -> Iterator[int]:
    from shipper.compression import read_pieces
    from shipper.extraction import Extractor, Yield
    from shipper.record import Source

    source = Source(socket.gethostname(), "file", name)
    extractor = Extractor(source, tz=tz, decoded=True)
    records, originals = [], []
    malformed = bytes_ = 0

    def take(result: Yield) -> None:
        nonlocal malformed, bytes_
        bytes_ += sum(map(len, result.originals))
        records.extend(result.records)
        originals.extend(result.originals)
        malformed += len(result.malformed)

    try:
        for piece in read_pieces(name):
            take(extractor.feed(piece))
            if len(records) >= BATCH_EVENTS or bytes_ >= BATCH_BYTES:
                yield writer.load(records, originals, stored_ns=time.time_ns()).added
                records, originals = [], []
                bytes_ = 0
    except InputError as error:
        raise InputError(f"{error}; the present index was left as it is") from error
    take(extractor.flush(final=True))
    yield writer.load(records, originals, stored_ns=time.time_ns()).added
    if malformed:
        say(f"{name}: {malformed} malformed entries were left out; 'connlog parse {name}' tells of each")


def _from_journal(path: Path, writer: IndexWriter, cursor: int) -> int:
    """Take what the journal still has, so that the daemon goes on behind it."""
    from shipper.journal import Journal

    added = 0
    if path.exists():
        journal = Journal(path)
        try:
            for block in _joined(journal, max(writer.cursor, 0), cursor):
                added += writer.add(
                    block.seq,
                    block.records,
                    block.originals,
                    gaps=block.gaps,
                    malformed=block.malformed,
                    settled=block.settled,
                    stored_ns=block.stored_ns,
                ).added
        finally:
            journal.close()
    if writer.cursor < cursor:
        writer.move(cursor)
    return added


def _joined(journal: Journal, after: int, cursor: int) -> Iterator[Block]:
    """The batches of the journal, those stored within ``BATCH_NS`` as one, of ``JOINED_EVENTS`` events or some more.

    What a batch tells beside its events was taken with the present index, if it is none after ``cursor``. An event can take
    back what a batch before it told of a line, so that such a batch is the last of those it is joined with.
    """
    from msgspec.structs import replace

    held: Block | None = None
    since_ns = bytes_ = 0
    while (block := journal.read(after)) is not None:
        after = block.seq
        if block.seq <= cursor:
            block = replace(block, gaps=[], malformed=[], settled=[])
        if held is not None and not 0 <= block.stored_ns - since_ns < BATCH_NS:
            yield held
            held = None
        if held is None:
            held, since_ns, bytes_ = block, block.stored_ns, 0
        else:
            held.records.extend(block.records)
            held.originals.extend(block.originals)
            held = replace(
                block,
                # A clock may have gone back: nothing is kept for less than its time.
                stored_ns=max(held.stored_ns, block.stored_ns),
                records=held.records,
                originals=held.originals,
                gaps=[*held.gaps, *block.gaps],
            )
        bytes_ += sum(map(len, block.originals))
        if len(held.records) >= JOINED_EVENTS or bytes_ >= BATCH_BYTES or held.malformed or held.settled:
            yield held
            held = None
    if held is not None:
        yield held
