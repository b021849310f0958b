"""A damaged journal always opens: what is sound is taken over, what is lost is told, and the next start is clean."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.journal import Batch, Journal, Piece, Position
from shipper.record import CompactRecord, Gap, encoded
from shipper.timestamp import from_ns

BATCHES_COUNT = 40
PAGE_BYTES = 4096
HEADER_BYTES = 100
STRIDE_BYTES = int(os.environ.get("CONNLOG_STRIDE", "67"))
"""Every so many bytes a cut is tried; 1 tries all of them. Of a journal with small pages all are tried always."""
SMALL_COUNT, SMALL_PAGE_BYTES = 8, 512
SMALL_BEGAN_NS = 1_790_000_000_000_000_000


def batch(number: int) -> Batch:
    """One event with an incompressible line, and a position that says that it was read."""
    record = CompactRecord(1, str(uuid.UUID(int=number)), "2026-01-02T03:04:05.000000000Z", "connected")
    piece = Piece("/f", [encoded(record)], [random.Random(number).randbytes(900)], [], 1)
    where = Position("k", "/f", "/f", 1, 2, 0, 3, b"h", 0, b"m", number + 1, 1, b"", number + 1, 0, 0)
    return Batch((piece,), (where,))


def numbers(journal: Journal) -> list[int]:
    found: list[int] = []
    after = 0
    while (block := journal.read(after)) is not None:
        found.extend(uuid.UUID(record.id).int for record in block.records)
        after = block.seq
    return found


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a journal that was closed."""
    path = tmp_path_factory.mktemp("closed") / "journal.db"
    journal = Journal(path)
    journal.register("index", 0)
    for number in range(BATCHES_COUNT):
        journal.append(batch(number))
    journal.close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def closed_file(tmp_path_factory: pytest.TempPathFactory, closed: bytes) -> Path:
    """The same, for a test that shows its arguments."""
    path = tmp_path_factory.mktemp("kept") / "journal.db"
    path.write_bytes(closed)
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal whose process was killed: half of it is in the file, half in the -wal."""
    folder = tmp_path_factory.mktemp("killed")
    journal = Journal(folder / "journal.db")
    journal.register("index", 0)
    for number in range(BATCHES_COUNT):
        journal.append(batch(number))
        if number == BATCHES_COUNT // 2:
            journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    copy = folder / "copy"
    copy.mkdir()
    for path in folder.glob("journal*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, copy)
    journal.close()
    return copy


def opens(path: Path, whole: bool = False) -> list[int]:
    """Open the journal twice: the first time may find damage, the second may not. Gives the events in it."""
    journal = Journal(path)
    found = numbers(journal)
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(BATCHES_COUNT))
    damaged = any(gap.gap == "journal_damaged" for gap in journal.gaps()[1])
    assert damaged or found == list(range(BATCHES_COUNT))
    if damaged:
        # Everything is read again whose batch may be lost.
        assert all(position.offset <= len(found) for position in journal.positions())
        assert not journal.fresh
    gaps = journal.gaps()[0]
    assert journal.append(batch(1000)).stored == 1
    journal.close()
    again = Journal(path)
    assert again.gaps()[0] == gaps
    assert numbers(again) == [*found, 1000]
    again.close()
    return found


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder whose files never come to a disk, where there is one: thousands of journals are opened in it."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="connlog-damage-", dir=where) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def small(memory: Path) -> Path:
    """The folder of a small journal of small pages, so that its last pages have few bytes; its process was killed."""
    folder = memory / "small"
    folder.mkdir()
    database = sqlite3.connect(folder / "journal.db", isolation_level=None)
    for pragma in (f"page_size={SMALL_PAGE_BYTES}", "auto_vacuum=INCREMENTAL", "journal_mode=WAL", "user_version=0"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("CREATE TABLE passing (a)")
    database.execute("DROP TABLE passing")
    database.close()
    clock = itertools.count(SMALL_BEGAN_NS, 1_000_000_000)
    journal = Journal(folder / "journal.db", now_ns=lambda: next(clock))
    journal.register("index", 0)
    for number in range(SMALL_COUNT):
        journal.append(batch(number))
        if number == SMALL_COUNT - 3:
            journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    copy = memory / "small-killed"
    shutil.copytree(folder, copy)
    journal.close()
    assert int.from_bytes((folder / "journal.db").read_bytes()[16:18], "big") == SMALL_PAGE_BYTES
    return copy


@pytest.fixture(scope="module")
def small_files(small: Path) -> dict[str, bytes]:
    """Its files as they were when the process was killed."""
    return {path.name: path.read_bytes() for path in small.glob("journal*")}


@pytest.fixture(scope="module")
def small_closed(memory: Path, small_files: dict[str, bytes]) -> tuple[bytes, bytes]:
    """The one file that is left of it when it was closed, and its mark."""
    folder = memory / "small-closed"
    folder.mkdir()
    for name, data in small_files.items():
        (folder / name).write_bytes(data)
    Journal(folder / "journal.db").close()
    return (folder / "journal.db").read_bytes(), (folder / "journal.mark").read_bytes()


def opened(folder: Path, files: dict[str, bytes]) -> tuple[list[int], list[Gap], int]:
    """Open a journal of these files: its events, its gaps, and how many batches they say are lost."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    journal = Journal(folder / "journal.db")
    found, (count, gaps) = numbers(journal), journal.gaps()
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(SMALL_COUNT))
    assert count == len(gaps) <= 1
    if gaps:
        assert gaps[0].gap == "journal_damaged"
        assert all(position.offset <= len(found) for position in journal.positions())
    assert journal.append(batch(1000)).stored == 1
    journal.close()
    shutil.rmtree(folder)
    told = re.search(r"(\d+) or more were lost|lacks the last (\d+) batches", gaps[0].reason) if gaps else None
    return found, gaps, int(told[1] or told[2]) if told else 0


def test_cut_at_every_byte_of_its_last_pages(memory: Path, small_closed: tuple[bytes, bytes]) -> None:
    """All that is sound is taken over, the number of lost batches is told to the one, and their time with it."""
    data, mark = small_closed
    worst = 0
    for cut in range(1, 3 * SMALL_PAGE_BYTES + 1):
        found, gaps, lost = opened(memory / "cut", {"journal.db": data[:-cut], "journal.mark": mark})
        assert gaps or found == list(range(SMALL_COUNT))
        assert lost == SMALL_COUNT - len(found)
        if lost:
            assert gaps[0].from_ is not None
            assert gaps[0].to is not None
            # The batch before the lost ones was stored a second before, by the clock of the fixture.
            assert gaps[0].from_ >= from_ns(SMALL_BEGAN_NS)
        worst = max(worst, lost)
    assert worst > 0


def test_bytes_all_over_its_last_pages_flipped(memory: Path, small_closed: tuple[bytes, bytes]) -> None:
    data, mark = small_closed
    for at in range(len(data) - 2 * SMALL_PAGE_BYTES, len(data), 3):
        changed = bytearray(data)
        changed[at] ^= 0x11
        found, gaps, lost = opened(memory / "flip", {"journal.db": bytes(changed), "journal.mark": mark})
        assert gaps or found == list(range(SMALL_COUNT))
        assert lost == SMALL_COUNT - len(found)


def test_a_wal_cut_at_every_byte_of_its_last_frames(memory: Path, small_files: dict[str, bytes]) -> None:
    """Whole batches with their positions; what the mark knows to be missing is told to the one."""
    wal = small_files["journal.db-wal"]
    frame = SMALL_PAGE_BYTES + 24
    for keep in range(len(wal) - 2 * frame, len(wal)):
        found, gaps, lost = opened(memory / "wal", small_files | {"journal.db-wal": wal[:keep]})
        assert found == list(range(len(found)))
        assert lost == SMALL_COUNT - len(found)
        assert bool(gaps) == bool(lost)


@pytest.mark.parametrize(
    ("gone", "lost"), [({"journal.db-shm"}, 0), ({"journal.db-wal"}, 2), ({"journal.db-wal", "journal.db-shm"}, 2)]
)
def test_a_lost_wal_or_shm(memory: Path, small_files: dict[str, bytes], gone: set[str], lost: int) -> None:
    left = {name: data for name, data in small_files.items() if name not in gone}
    found, gaps, told = opened(memory / "gone", left)
    assert found == list(range(SMALL_COUNT - lost))
    assert told == lost
    assert bool(gaps) == bool(lost)


@pytest.mark.parametrize("name", ["journal.db-wal", "journal.db-shm", "journal.mark"])
def test_flipped_bytes_beside_the_journal(memory: Path, small_files: dict[str, bytes], name: str) -> None:
    """In a -wal file everything from the flipped frame on is lost; the others are only helps."""
    data = small_files[name]
    for at in range(0, len(data), max(1, len(data) // 150)):
        changed = bytearray(data)
        changed[at] ^= 0x55
        found, _, told = opened(memory / "beside", small_files | {name: bytes(changed)})
        if name == "journal.db-wal":
            assert told == SMALL_COUNT - len(found)
        else:
            assert found == list(range(SMALL_COUNT))


def test_cut_anywhere_in_its_last_pages(tmp_path: Path, closed: bytes) -> None:
    for cut in range(1, 3 * PAGE_BYTES + 2, STRIDE_BYTES):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "journal.db").write_bytes(closed[:-cut])
        assert len(opens(folder / "journal.db")) >= BATCHES_COUNT // 4
        shutil.rmtree(folder)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 99, 100, 101, 511, 512, PAGE_BYTES - 1, PAGE_BYTES, 2 * PAGE_BYTES])
def test_cut_to_almost_nothing(tmp_path: Path, closed: bytes, length: int) -> None:
    (tmp_path / "journal.db").write_bytes(closed[:length])
    journal = Journal(tmp_path / "journal.db")
    assert journal.append(batch(1)).stored == 1
    journal.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=6))
def test_flipped_bytes_anywhere(
    tmp_path_factory: pytest.TempPathFactory, closed_file: Path, flips: list[tuple[float, int]]
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    data = bytearray(closed_file.read_bytes())
    for where, bits in flips:
        data[int(where * len(data))] ^= bits
    (folder / "journal.db").write_bytes(data)
    survives(folder / "journal.db")
    shutil.rmtree(folder)


def test_a_flipped_byte_in_its_header_or_schema(tmp_path: Path, closed: bytes) -> None:
    for at in [*range(HEADER_BYTES), *range(HEADER_BYTES, PAGE_BYTES, 23)]:
        if 60 <= at < 64:
            continue  # the version of the schema: a newer one is refused, untouched
        folder = tmp_path / str(at)
        folder.mkdir()
        data = bytearray(closed)
        data[at] ^= 0x41
        (folder / "journal.db").write_bytes(data)
        survives(folder / "journal.db")
        shutil.rmtree(folder)


def survives(path: Path) -> None:
    """The journal opens, gives nothing that was never in it, takes new events, and opens again."""
    journal = Journal(path)
    found = numbers(journal)
    assert len(set(found)) == len(found)
    assert set(found) <= set(range(BATCHES_COUNT))
    journal.positions(), journal.counters(), journal.outputs(), journal.gaps(), journal.depth()
    assert journal.append(batch(1000)).stored == 1
    journal.close()
    again = Journal(path)
    assert 1000 in numbers(again)
    again.close()


def test_a_wal_cut_anywhere_gives_whole_batches_with_their_positions(tmp_path: Path, killed: Path) -> None:
    wal = (killed / "journal.db-wal").read_bytes()
    for keep in range(0, len(wal), 7 * STRIDE_BYTES + 1):
        folder = tmp_path / str(keep)
        folder.mkdir()
        shutil.copy(killed / "journal.db", folder)
        (folder / "journal.db-wal").write_bytes(wal[:keep])
        journal = Journal(folder / "journal.db")
        found = numbers(journal)
        assert found == list(range(len(found)))
        assert len(found) > BATCHES_COUNT // 2
        assert [position.offset for position in journal.positions()] == [len(found)]
        journal.close()
        shutil.rmtree(folder)


def test_a_wal_that_was_lost_with_all_that_there_was_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    for number in range(3):
        journal.append(batch(number))
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(tmp_path / "journal.db", state)
    shutil.copy(tmp_path / "journal.mark", state)
    journal.close()
    again = Journal(state / "journal.db")
    count, (gap,) = again.gaps()
    assert (count, gap.gap, gap.bytes, gap.exact) == (1, "journal_damaged", None, False)
    assert "its -wal file was lost" in gap.reason
    again.close()
    third = Journal(state / "journal.db")
    assert third.gaps()[0] == 1
    third.close()


def test_a_lost_wal_is_told_with_what_was_in_it(tmp_path: Path, killed: Path) -> None:
    shutil.copytree(killed, tmp_path / "lost")
    path = tmp_path / "lost" / "journal.db"
    (tmp_path / "lost" / "journal.db-wal").unlink()
    journal = Journal(path)
    found = numbers(journal)
    lost = BATCHES_COUNT - len(found)
    (gap,) = journal.gaps()[1]
    assert gap.gap == "journal_damaged"
    assert f" {lost} batches" in gap.reason
    assert [position.offset for position in journal.positions()] == [len(found)]
    journal.close()
    again = Journal(path)
    assert again.gaps()[0] == 1
    again.close()


def test_a_killed_process_loses_nothing_and_tells_nothing(tmp_path: Path, killed: Path) -> None:
    shutil.copytree(killed, tmp_path / "copy")
    journal = Journal(tmp_path / "copy" / "journal.db")
    assert numbers(journal) == list(range(BATCHES_COUNT))
    assert not journal.gaps()[0]
    journal.close()


def test_a_folder_full_of_earlier_damage_is_no_obstacle(tmp_path: Path, closed: bytes) -> None:
    path = tmp_path / "journal.db"
    for _ in range(3):
        path.write_bytes(closed[: len(closed) // 2])
        journal = Journal(path, now_ns=lambda: 1_800_000_000_000_000_000)
        assert journal.gaps()[1][0].gap == "journal_damaged"
        journal.close()
    assert len(list(tmp_path.glob("journal.db.damaged-*"))) >= 2


def test_a_damaged_journal_says_how_many_events_were_taken_over(tmp_path: Path, closed: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(closed)
    database = sqlite3.connect(path)
    last = database.execute("SELECT MAX(seq) FROM batches").fetchone()[0]
    leaves = database.execute(
        "SELECT pageno - 1 FROM dbstat WHERE name = 'batches' AND pagetype = 'leaf' ORDER BY path"
    ).fetchall()
    leaf = leaves[len(leaves) // 2][0]
    database.close()
    (tmp_path / "journal.mark").write_text(f"{last:020d}")
    data = bytearray(path.read_bytes())
    data[leaf * PAGE_BYTES : (leaf + 1) * PAGE_BYTES] = bytes(PAGE_BYTES)
    path.write_bytes(data)
    journal = Journal(path)
    taken = len(numbers(journal))
    assert 0 < taken < BATCHES_COUNT
    gap = journal.gaps()[1][0]
    assert f"{taken} batches were taken over" in gap.reason
    found = re.search(r"(\d+) or more were lost", gap.reason)
    assert found is not None
    assert 0 < int(found[1]) <= BATCHES_COUNT - taken
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    journal.close()
