"""The journal keeps a batch and its positions together or not at all, counts everything, and hands over in order."""

from __future__ import annotations

import os
import sqlite3
import stat
import uuid
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import StateFull, StateNewer
from shipper.journal import Batch, Counters, Journal, Piece, Position, sql
from shipper.record import CompactRecord, CompactSource, Gap, Malformed, Record, Source, Yield, encoded

TIME = "2026-01-02T03:04:05.000000000Z"


def record(number: int) -> Record:
    return CompactRecord(1, str(uuid.UUID(int=number)), TIME, "connected", code=0, source=CompactSource(path="/f"))


def batch(*numbers: int, source: str = "/f", offset: int = 0, not_ours: int = 0) -> Batch:
    records = [record(number) for number in numbers]
    piece = Piece(
        source,
        [encoded(one) for one in records],
        [b"line %d" % n for n in numbers],
        [],
        len(numbers) + not_ours,
        not_ours,
    )
    return Batch((piece,), (position(offset),))


def position(offset: int, key: str = "k") -> Position:
    return Position(key, "/f", "/f", 1, 2, 0, 3, b"h", 0, b"m", offset, 1, b"", offset, 0, 0)


def garbled(number: int) -> Malformed:
    return Malformed(b"\xff\x00raw %d" % number, "cut", 1, 2, Source(path="/f"), 9, TIME)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    one = Journal(path)
    one.register("index", 0)
    yield one
    one.close()


def numbers(journal: Journal, after: int = 0) -> list[int]:
    found: list[int] = []
    while (block := journal.read(after)) is not None:
        found.extend(uuid.UUID(record.id).int for record in block.records)
        after = block.seq
    return found


def test_what_is_read_is_what_was_appended(journal: Journal) -> None:
    gap = Gap(1, "truncated_unread", Source(path="/f"), None, TIME, 7, False, TIME, "why")
    piece = Piece(
        "/f", [encoded(record(1)), encoded(record(2))], [b"one\n\x00", b""], [garbled(1)], 3, drift=["type:new"]
    )
    journal.append(Batch((piece,), gaps=(gap,)))
    block = journal.read(0)
    assert block is not None
    assert [msgspec.to_builtins(r) for r in block.records] == [
        msgspec.to_builtins(msgspec.convert(msgspec.to_builtins(record(n)), Record)) for n in (1, 2)
    ]
    assert block.originals == [b"one\n\x00", b""]
    assert block.gaps == [gap]
    assert block.malformed == [garbled(1)]
    assert journal.gaps() == (1, [gap])
    assert [q.entry for q in journal.quarantine()] == [garbled(1)]
    assert journal.drift()[0][0] == "type:new"


def test_it_is_still_there_after_it_was_closed(journal: Journal, path: Path) -> None:
    journal.append(batch(1, 2, offset=10))
    journal.close()
    again = Journal(path)
    assert numbers(again) == [1, 2]
    assert again.positions() == [position(10)]
    assert not again.fresh
    again.close()


def test_only_its_owner_may_read_it(journal: Journal, path: Path) -> None:
    journal.append(batch(1))
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600


def test_a_batch_is_deleted_when_every_output_has_taken_it(journal: Journal) -> None:
    journal.register("other", 0)
    seqs = [journal.append(batch(n)).seq or 0 for n in range(3)]
    journal.advance("index", seqs[2])
    assert journal.depth().batches == 3
    journal.advance("other", seqs[1])
    assert journal.depth().batches == 1
    assert numbers(journal) == [2]
    assert {o.name: o.pending for o in journal.outputs()} == {"index": 0, "other": 1}
    journal.keep_outputs({"index"})
    assert journal.depth().batches == 0


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["/a", "/b"]), st.lists(st.integers(0, 20), max_size=8), st.integers(0, 3)),
        max_size=8,
    )
)
def test_entries_are_conserved_and_each_event_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int], int]]
) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal.db")
    for source, ids, not_ours in steps:
        journal.append(batch(*ids, source=source, not_ours=not_ours))
    counters = journal.counters().values()
    assert all(count.conserved for count in counters)
    every = {number for _, ids, _ in steps for number in ids}
    assert sorted(numbers(journal)) == sorted(every)
    assert sum(count.stored for count in counters) == len(every)
    assert sum(count.entries for count in counters) == sum(len(ids) + extra for _, ids, extra in steps)
    journal.close()


def test_copies_are_known_after_a_restart_and_after_delivery(journal: Journal, path: Path) -> None:
    seq = journal.append(batch(1, 2)).seq
    journal.advance("index", seq or 0)
    journal.close()
    again = Journal(path)
    assert again.append(batch(1, 2)).duplicates == 2
    assert again.counters()["/f"] == Counters(entries=4, stored=2, duplicates=2)
    again.close()


def test_the_window_of_recent_ids_is_bounded(path: Path) -> None:
    journal = Journal(path, recent_ids_max_count=10)
    for number in range(0, 100, 5):
        journal.append(batch(*range(number, number + 5)))
    assert journal.append(batch(*range(90, 100))).duplicates == 10
    assert journal.append(batch(1)).duplicates == 0
    journal.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT SUM(length(ids)) FROM recent").fetchone()[0] <= 16 * (10 + 5)  # and a batch
    db.close()


def test_at_the_size_limit_nothing_is_written_until_there_is_room(path: Path) -> None:
    journal = Journal(path, max_bytes=400_000)
    journal.register("index", 0)
    taken: list[int] = []
    number = 0
    refused, one = False, batch(0)
    while not refused:
        one = batch(number, offset=number)
        one.pieces[0].originals[0] = os.urandom(20_000)
        try:
            journal.append(one)
        except StateFull as error:
            refused = "journal_max" in str(error)
        else:
            taken.append(number)
            number += 1
    before = journal.positions()
    assert before == [position(number - 1)]
    assert numbers(journal) == taken
    journal.advance("index", 1 << 62)
    assert journal.append(one).stored == 1
    journal.close()


def test_a_failed_transaction_changes_nothing_and_can_be_repeated(journal: Journal, path: Path) -> None:
    journal.append(batch(1, offset=1))
    other = sqlite3.connect(path)
    other.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON positions WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    other.close()
    poisoned = Batch((batch(2).pieces[0],), (position(2), position(3, key="bad")))
    with pytest.raises(Exception, match="no"):
        journal.append(poisoned)
    assert numbers(journal) == [1]
    assert journal.positions() == [position(1)]
    assert journal.append(batch(2, offset=2)).stored == 1


def test_a_journal_made_anew_skips_nothing_for_an_output_with_a_higher_cursor(path: Path) -> None:
    journal = Journal(path)
    for number in range(5):
        journal.append(batch(number))
    far = (journal.append(batch(5)).seq or 0) + 1000
    journal.register("other", 0)
    assert journal.register("index", far) == far
    assert numbers(journal, far) == [0, 1, 2, 3, 4, 5]
    assert {o.name: o.pending for o in journal.outputs()} == {"index": 6, "other": 6}
    assert (journal.append(batch(6)).seq or 0) > far
    journal.close()


def test_numbers_of_a_later_journal_lie_above_those_of_an_earlier_one(tmp_path: Path) -> None:
    now = 1_800_000_000_000_000_000
    early = Journal(tmp_path / "a", now_ns=lambda: now)
    late = Journal(tmp_path / "b", now_ns=lambda: now + 1_000_000_000)
    last = 0
    for number in range(100):
        last = early.append(batch(number)).seq or 0
    assert (late.append(batch(1)).seq or 0) > last
    early.close()
    late.close()


def test_a_newer_journal_is_refused_untouched(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={sql.SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StateNewer, match="newer connlog"):
        Journal(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_pieces_without_originals_are_stored_beside_those_with_them(journal: Journal) -> None:
    bare, more = batch(1, 2).pieces[0], batch(3, 3, 4, source="/g").pieces[0]
    bare.originals = []
    journal.append(Batch((bare, more)))
    block = journal.read(0)
    assert block is not None
    assert [uuid.UUID(one.id).int for one in block.records] == [1, 2, 3, 4]
    assert block.originals == [b"", b"", b"line 3", b"line 4"]


def test_a_piece_has_an_original_of_each_record_or_none(journal: Journal) -> None:
    with_them, without = (
        Yield(encoded=list(batch(n).pieces[0].encoded), originals=[b"line"] * kept, entries=1)
        for n, kept in ((1, 1), (2, 0))
    )
    for order in ([with_them, without], [without, with_them], [without, without], [with_them, with_them]):
        piece = Piece("/f")
        for one in order:
            piece.add(one)
        assert len(piece.encoded) == 2
        assert piece.originals == ([b"line"] * 2 if without not in order else [])


def test_a_batch_with_a_checksum_of_before_schema_7_is_read(journal: Journal, path: Path) -> None:
    journal.append(batch(1, 2))
    other = sqlite3.connect(path)
    count, *parts, proof = other.execute(
        "SELECT count, ids, records, originals, notices, checksum FROM batches"
    ).fetchone()
    assert len(proof) == 17
    older = blake2b(digest_size=16)
    for part in (count.to_bytes(9, "little"), *parts):
        older.update(len(part).to_bytes(4, "little") + part)
    proofs: list[tuple[object, list[int]]] = [(older.digest(), [1, 2]), (b"\x01" + bytes(16), [])]
    proofs += [(other_kind, []) for other_kind in (bytes(16), b"", 5, 1.5, "text")]
    for stored, found in proofs:
        other.execute("UPDATE batches SET checksum = ?", (stored,))
        other.commit()
        assert numbers(journal) == found
    other.close()


def test_a_damaged_batch_comes_as_a_gap_and_the_next_ones_whole(journal: Journal, path: Path) -> None:
    for number in range(3):
        journal.append(batch(number))
    other = sqlite3.connect(path)
    other.execute("UPDATE batches SET originals = zeroblob(40) WHERE seq = (SELECT MIN(seq) + 1 FROM batches)")
    other.commit()
    other.close()
    assert numbers(journal) == [0, 2]
    first = journal.read(0)
    assert first is not None
    second = journal.read(first.seq)
    assert second is not None
    assert [gap.gap for gap in second.gaps] == ["journal_damaged"]


@pytest.mark.parametrize("damage", ["cut", "flip", "zero", "text", "empty-header"])
def test_a_damaged_file_is_put_aside_and_what_is_sound_is_taken_over(path: Path, damage: str) -> None:
    journal = Journal(path)
    journal.register("index", 0)
    for number in range(200):
        one = batch(number)
        one.pieces[0].originals[0] = os.urandom(2000)
        journal.append(one)
    journal.close()
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 + 1000 :]
    elif damage == "flip":
        for at in range(8192, len(data), 9000):
            data[at] ^= 0xFF
    elif damage == "zero":
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    elif damage == "text":
        data[:] = b"this is no database at all\n" * 100
    else:
        data[:100] = bytes(100)
    path.write_bytes(data)
    again = Journal(path)
    found = numbers(again)
    assert sorted(set(found)) == sorted(found)
    assert set(found) <= set(range(200))
    if damage in ("cut", "zero"):
        assert found
    if set(found) != set(range(200)):
        assert again.gaps()[1][0].gap == "journal_damaged"
        assert list(path.parent.glob("journal.db.damaged-*"))
        assert again.positions() == []
        assert not again.fresh
    assert again.append(batch(1000)).stored == 1
    again.close()


def test_a_full_disk_changes_nothing_and_the_same_batch_goes_in_later(journal: Journal) -> None:
    journal.append(batch(1, offset=1))
    # SQLite's own limit makes it report a full disk as the system would.
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    one = batch(2, 3, offset=2)
    one.pieces[0].originals[0] = os.urandom(100_000)
    with pytest.raises(StateFull, match="make room"):
        journal.append(one)
    assert numbers(journal) == [1]
    assert journal.positions() == [position(1)]
    journal._db.execute("PRAGMA max_page_count=1000000")
    assert journal.append(one).stored == 2
    assert numbers(journal) == [1, 2, 3]
