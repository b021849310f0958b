"""A journal of every older version is brought up to date with all that it holds, whenever that is cut off."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import uuid
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from shipper.journal import Batch, Journal, Piece, Position, sql
from shipper.journal.position import encode_position
from shipper.record import SCHEMA, CompactRecord, Gap, Source, encoded

COUNT = 5
KILLED = 9
TIME = "2026-01-02T03:04:05.000000000Z"
VERSIONS = range(1, sql.SCHEMA_VERSION)
PLACE = Position("k", "/f", "/f", 1, 2, 0, 3, b"h" * 16, 0, b"m" * 16, 77, 6, b"", 99, 0, 0)
GAP = Gap(SCHEMA, "rotated_unread", Source(path="/f"), None, None, 12, False, TIME, "gone")


def batch(number: int) -> Batch:
    record = CompactRecord(1, str(uuid.UUID(int=number)), TIME, "connected")
    return Batch((Piece("/f", [encoded(record)], [b"line %d" % number], entries=1, lines=1, bytes=7),))


def older(path: Path, version: int) -> None:
    """A journal of that version, with rows in every table that the first one had, as a closed daemon leaves it.

    Batches and ids are those that today's journal writes: their form has been the same since the first version.
    """
    today = path.with_name("today.db")
    journal = Journal(today, now_ns=lambda: 1_800_000_000_000_000_000)
    for number in range(COUNT):
        journal.append(batch(number))
    journal.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA auto_vacuum=INCREMENTAL")
    database.execute("PRAGMA journal_mode=WAL").fetchall()
    for statements in sql.MIGRATIONS[:version]:
        for statement in statements:
            database.execute(statement)
    database.execute(f"PRAGMA user_version={version}")
    database.execute("ATTACH ? AS today", (str(today),))
    for table in ("batches", "recent", "meta"):
        columns = [row[1] for row in database.execute(f"PRAGMA main.table_info({table})")]
        names = ", ".join(columns)
        database.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM today.{table}")
    database.execute("INSERT INTO outputs (name, cursor, advanced_ns) SELECT 'index', MIN(seq), 5 FROM main.batches")
    database.execute("INSERT INTO positions (key, body) VALUES ('k', ?)", (encode_position(PLACE),))
    database.execute(
        "INSERT INTO counters (source, lines, bytes, entries, stored, duplicates, malformed, not_ours, lookalikes)"
        " VALUES ('/f', 9, 90, 9, 5, 1, 1, 2, 1)"
    )
    database.execute(
        'INSERT INTO quarantine (stored_ns, source, reason, line, "column", length, time, place, raw)'
        " VALUES (1, '/f', 'cut', 1, 1, 3, NULL, '{}', x'726177')"
    )
    database.execute("INSERT INTO gaps (stored_ns, body) VALUES (1, ?)", (msgspec.json.encode(GAP),))
    database.execute("INSERT INTO drift (name, first_ns, count) VALUES ('key:A', 1, 2)")
    database.execute("DETACH today")
    database.close()
    for one in path.parent.glob("today*"):
        one.unlink()


def holds_all(path: Path) -> None:
    journal = Journal(path)
    assert journal.register("index") > 0
    found: list[int] = []
    after = journal.register("index") - 1
    while (block := journal.read(after)) is not None:
        found.extend(uuid.UUID(record.id).int for record in block.records)
        after = block.seq
    assert found == list(range(COUNT))
    assert journal.append(batch(COUNT - 1)).duplicates == 1
    assert journal.positions() == [PLACE]
    counts = journal.counters()["/f"]
    assert (counts.entries, counts.stored, counts.duplicates, counts.malformed, counts.not_ours) == (10, 5, 2, 1, 2)
    assert counts.conserved
    assert journal.gaps() == (1, [GAP])
    assert [kept.entry.raw for kept in journal.quarantine()] == [b"raw"]
    assert journal.quarantine_size().bytes == 3
    assert journal.drift() == [("key:A", 1, 2)]
    assert journal.append(batch(1000)).stored == 1
    journal.close()
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone()[0] == sql.SCHEMA_VERSION
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    database.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_journal_of_every_older_version_is_taken_over(tmp_path: Path, version: int) -> None:
    older(tmp_path / "journal.db", version)
    holds_all(tmp_path / "journal.db")


def killed_at(step: int, path: Path) -> bool:
    """Open the journal in a process that ends before its statement number ``step``: whether it came to that."""
    child = os.fork()
    if child == 0:
        left = step

        def watch(frame: FrameType, event: str, called: object) -> None:
            nonlocal left
            if event == "c_call" and getattr(called, "__name__", "") == "execute":
                left -= 1
                if left == 0:
                    os._exit(KILLED)

        sys.setprofile(watch)
        try:
            Journal(path)
        except BaseException:  # noqa: BLE001 - nothing may run on in the copy of the test's process
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def test_a_migration_that_is_killed_at_any_statement_goes_on_at_the_next_start() -> None:
    """In memory where there is such a disk: what is committed counts here, not what reaches a plate."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="connlog-migration-", dir=where) as folder:
        kill_at_every_statement(Path(folder))


def kill_at_every_statement(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    older(made / "journal.db", 1)
    step, versions = 0, set()
    while True:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(made, folder)
        killed = killed_at(step, folder / "journal.db")
        database = sqlite3.connect(folder / "journal.db")
        versions.add(database.execute("PRAGMA user_version").fetchone()[0])
        database.close()
        holds_all(folder / "journal.db")
        shutil.rmtree(folder)
        if not killed:
            break
    assert versions == set(range(1, sql.SCHEMA_VERSION + 1))
    assert step > sum(map(len, sql.MIGRATIONS[1:]))
