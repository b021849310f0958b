"""A recovery may be killed at any moment, loses nothing that is sound, and keeps no id of an event that it lost."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.errors import StateFull
from shipper.journal import Batch, Journal, Piece
from shipper.journal.ledger import COUNTERS_MAX_COUNT, FORMER_SOURCES
from shipper.record import CompactRecord, encoded

BATCHES_COUNT = 24
DELIVERED_COUNT = 8
STEPS = {"execute", "rename", "unlink", "fsync"}
"""What changes a file, or is about to."""
KILLED = 9


def line(number: int) -> bytes:
    """A line that is found again in the file, since it can't be compressed."""
    return random.Random(number).randbytes(900)


def batch(number: int) -> Batch:
    record = CompactRecord(1, str(uuid.UUID(int=number)), "2026-01-02T03:04:05.000000000Z", "connected")
    return Batch((Piece("/f", [encoded(record)], [line(number)], [], 1),))


def numbers(journal: Journal) -> list[int]:
    found: list[int] = []
    after = 0
    while (block := journal.read(after)) is not None:
        found.extend(uuid.UUID(record.id).int for record in block.records)
        after = block.seq
    return found


@pytest.fixture(scope="module")
def half_delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal whose first events every output has taken."""
    path = tmp_path_factory.mktemp("half") / "journal.db"
    journal = Journal(path)
    journal.register("index", 0)
    journal.register("other", 0)
    for number in range(BATCHES_COUNT):
        seq = journal.append(batch(number)).seq
        assert seq is not None
        if number < DELIVERED_COUNT:
            journal.advance("index", seq)
            journal.advance("other", seq)
    journal.close()
    return path


def spoil(path: Path, lost: set[int]) -> None:
    """Change a byte in the lines of these events."""
    data = bytearray(path.read_bytes())
    for number in lost:
        # The end of a line lies on the last page of its batch.
        at = data.find(line(number)[:60])
        assert at > 0
        data[at] ^= 0xFF
    path.write_bytes(data)


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do ``work`` in a process that ends by itself before step number ``step`` of a recovery: whether it came to that."""
    child = os.fork()
    if child == 0:
        left, begun = step, False

        def watch(frame: FrameType, event: str, called: object) -> None:
            nonlocal left, begun
            begun = begun or frame.f_code.co_name == "recover"
            if begun and event == "c_call" and getattr(called, "__name__", "") in STEPS:
                left -= 1
                if left == 0:
                    os._exit(KILLED)

        sys.setprofile(watch)
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing may run on in the copy of the test's process
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def test_a_recovery_that_is_killed_at_any_step_loses_nothing_that_is_sound(
    tmp_path: Path, half_delivered: Path
) -> None:
    step, asides = 0, set()
    while True:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(half_delivered.parent, folder)
        path = folder / "journal.db"
        spoil(path, {12})
        killed = killed_at(step, lambda path=path: Journal(path).close())  # type: ignore[misc]
        asides.add(len(list(folder.glob("journal.db.damaged-*"))))
        journal = Journal(path)
        assert numbers(journal) == [n for n in range(DELIVERED_COUNT, BATCHES_COUNT) if n != 12]
        count, gaps = journal.gaps()
        assert count == 1
        assert "15 batches were taken over, 1 or more were lost" in gaps[0].reason
        assert not journal.fresh
        assert len(list(folder.glob("journal.db.damaged-*"))) == 1
        assert not list(folder.glob("journal.db.new*"))
        journal.close()
        shutil.rmtree(folder)
        if not killed:
            break
    assert step > 30
    assert asides == {0, 1}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lost=st.sets(st.integers(DELIVERED_COUNT, BATCHES_COUNT - 1), max_size=6).filter(bool))
def test_an_event_that_was_lost_is_taken_when_it_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, half_delivered: Path, lost: set[int]
) -> None:
    path = tmp_path_factory.mktemp("lost") / "journal.db"
    shutil.copy(half_delivered, path)
    spoil(path, lost)
    journal = Journal(path)
    again = {number for number in range(BATCHES_COUNT) if journal.append(batch(number)).stored}
    journal.close()
    assert again == lost
    shutil.rmtree(path.parent)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pages=st.sets(st.integers(1, 30), min_size=1, max_size=4))
def test_no_id_is_known_of_an_event_that_is_neither_delivered_nor_there(
    tmp_path_factory: pytest.TempPathFactory, half_delivered: Path, pages: set[int]
) -> None:
    """Whichever pages are gone, those of the recent ids and the cursors among them."""
    path = tmp_path_factory.mktemp("pages") / "journal.db"
    data = bytearray(half_delivered.read_bytes())
    for page in pages:
        data[page * 4096 : (page + 1) * 4096] = bytes(len(data[page * 4096 : (page + 1) * 4096]))
    path.write_bytes(data)
    shutil.copy(half_delivered.with_name("journal.mark"), path.parent)
    journal = Journal(path)
    there = set(numbers(journal))
    again = {number for number in range(DELIVERED_COUNT, BATCHES_COUNT) if journal.append(batch(number)).stored}
    journal.close()
    assert there | again == set(range(DELIVERED_COUNT, BATCHES_COUNT))
    assert not there & again
    shutil.rmtree(path.parent)


def full(path: Path, max_bytes: int) -> None:
    """Fill a journal up to its limit."""
    journal = Journal(path, max_bytes=max_bytes)
    journal.register("index", 0)
    number = 0
    while journal._appender._used_bytes() < max_bytes:
        journal.append(batch(number))
        number += 1
    with pytest.raises(StateFull):
        journal.append(batch(number))
    journal.close()


def test_a_journal_at_its_limit_starts_when_the_mark_is_ahead(tmp_path: Path) -> None:
    path, max_bytes = tmp_path / "journal.db", 256 << 10
    full(path, max_bytes)
    mark = tmp_path / "journal.mark"
    mark.write_text(f"{int(mark.read_text()) + 2:020d}")
    journal = Journal(path, max_bytes=max_bytes)
    (gap,) = journal.gaps()[1]
    assert " 2 batches" in gap.reason
    with pytest.raises(StateFull):
        journal.append(batch(20_000))
    journal.close()


def test_a_damaged_journal_at_its_limit_starts(tmp_path: Path) -> None:
    path, max_bytes = tmp_path / "journal.db", 256 << 10
    full(path, max_bytes)
    spoil(path, {3})
    journal = Journal(path, max_bytes=max_bytes // 2)
    assert journal.gaps()[0] == 1
    assert 3 not in numbers(journal)
    journal.close()


def test_recent_ids_keep_their_bound(tmp_path: Path, half_delivered: Path) -> None:
    path = tmp_path / "journal.db"
    shutil.copy(half_delivered, path)
    spoil(path, {12})
    Journal(path, recent_ids_max_count=5).close()
    database = sqlite3.connect(path)
    assert 5 <= database.execute("SELECT SUM(length(ids)) FROM recent").fetchone()[0] / 16 <= 6
    database.close()


def test_a_journal_that_vanished_beside_a_half_built_one_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "journal.db.new").write_bytes(b"SQLite format 3\0 and not much more")
    journal = Journal(tmp_path / "journal.db")
    assert journal.fresh
    assert not list(tmp_path.glob("*.new*"))
    journal.close()


def test_sources_that_are_gone_are_counted_together_and_no_count_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    for number in range(0, 3 * COUNTERS_MAX_COUNT, 100):
        pieces = [
            Piece(f"/pod-{n:05d}", [], [], [], n + 2, n + 2, 1, lines=3, bytes=n) for n in range(number, number + 100)
        ]
        journal.append(Batch((*pieces, Piece("/always", [], [], [], 1, 1))))
    counters = journal.counters()
    assert len(counters) == COUNTERS_MAX_COUNT
    count = 3 * COUNTERS_MAX_COUNT
    assert sum(one.entries for one in counters.values()) == count * (count - 1) // 2 + 2 * count + count // 100
    assert sum(one.bytes for one in counters.values()) == count * (count - 1) // 2
    assert sum(one.lookalikes for one in counters.values()) == count
    assert all(one.conserved for one in counters.values())
    assert counters["/always"].entries == count // 100
    assert f"/pod-{count - 1:05d}" in counters
    assert "/pod-00000" not in counters
    assert counters[FORMER_SOURCES].lines == 3 * (count - (COUNTERS_MAX_COUNT - 2))
    journal.close()


def test_a_journal_of_before_with_countless_sources_is_cut_down_when_something_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    database = sqlite3.connect(path)
    database.executemany(
        "INSERT INTO counters VALUES (?, 1, 1, 1, 0, 0, 0, 1, 0, 0)", [(f"/old-{n}",) for n in range(2000)]
    )
    database.commit()
    database.close()
    journal = Journal(path)
    journal.append(Batch((Piece("/new", [], [], [], 1, 1),)))
    counters = journal.counters()
    assert len(counters) == COUNTERS_MAX_COUNT
    assert sum(one.entries for one in counters.values()) == 2001
    assert "/new" in counters
    journal.close()
