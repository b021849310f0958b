"""The quarantine keeps every malformed entry's place, its text up to a bound, and gives up only what became an event."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import StateError, StateFull, StateNewer
from shipper.journal import Batch, Journal, Mended, Piece, Quarantine, Renewed, sql
from shipper.journal import ledger as ledger_module
from shipper.journal.quarantine import REPLAY_SOURCE
from shipper.record import CompactRecord, CompactSource, Malformed, Record, Source, encoded

TIME = "2026-01-02T03:04:05.000000000Z"


def record(number: int) -> Record:
    return CompactRecord(1, str(uuid.UUID(int=number)), TIME, "connected", source=CompactSource(path="/f"))


def events(*numbers: int) -> Batch:
    return Batch(
        (Piece("/f", [encoded(record(n)) for n in numbers], [b"line %d" % n for n in numbers], [], len(numbers)),)
    )


def entry(text: bytes) -> Malformed:
    return Malformed(text, "cut", 3, 4, Source(path="/f", offset=17), len(text), TIME)


def malformed(*texts: bytes, drift: tuple[str, ...] = ()) -> Batch:
    entries = [entry(text) for text in texts]
    return Batch((Piece("/f", malformed=entries, entries=len(entries), drift=list(drift)),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    one = Journal(path, quarantine_max_bytes=100)
    one.register("index", 0)
    yield one
    one.close()


@pytest.fixture
def quarantine(journal: Journal, path: Path) -> Iterator[Quarantine]:
    one = Quarantine(path)
    yield one
    one.close()


def stored(journal: Journal) -> list[int]:
    found: list[int] = []
    after = 0
    while (block := journal.read(after)) is not None:
        found.extend(uuid.UUID(one.id).int for one in block.records)
        assert block.seq > after
        after = block.seq
    return found


def test_at_the_bound_place_and_reason_are_kept_and_only_the_text_is_left_out(
    journal: Journal, quarantine: Quarantine
) -> None:
    assert journal.append(malformed(b"a" * 60)).textless == 0
    appended = journal.append(malformed(b"b" * 60, b"c" * 40))
    assert (appended.malformed, appended.textless) == (2, 1)
    first, second, third = quarantine
    assert (first.entry.raw, second.entry.raw, third.entry.raw) == (b"a" * 60, b"", b"c" * 40)
    assert (first.textless, second.textless, third.textless) == (False, True, False)
    assert (second.entry.reason, second.entry.line, second.entry.source.offset) == ("cut", 3, 17)
    size = journal.quarantine_size()
    assert (size.count, size.bytes, size.textless, size.dropped) == (3, 100, 1, 0)
    assert journal.counters()["/f"].malformed == 3


def test_beyond_so_many_entries_the_oldest_make_room_and_are_counted(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "QUARANTINE_MAX_COUNT", 5)
    assert journal.append(malformed(*[b"%d" % n for n in range(4)])).trimmed == 0
    assert journal.append(malformed(*[b"%d" % n for n in range(4, 8)])).trimmed == 3
    assert [kept.entry.raw for kept in journal.quarantine()] == [b"3", b"4", b"5", b"6", b"7"]
    assert journal.quarantine_size().dropped == 3


def test_the_quarantine_does_not_count_against_the_journals_own_limit(path: Path) -> None:
    journal = Journal(path, max_bytes=300_000, quarantine_max_bytes=1 << 20)
    journal.register("index", 0)
    for _ in range(20):
        # Outputs are told of each, so it waits in the journal too, until they know.
        journal.advance("index", journal.append(malformed(os.urandom(40_000))).seq or 0)
    assert journal.quarantine_size().bytes == 800_000
    assert journal.append(events(1)).stored == 1
    journal.close()


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 60)),
            st.tuples(st.just("drop"), st.integers(1, 12)),
            st.tuples(st.just("renew"), st.integers(1, 12)),
            st.tuples(st.just("mend"), st.integers(1, 12)),
        ),
        max_size=15,
    )
)
def test_its_size_is_told_right_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = Journal(path, quarantine_max_bytes=150)
    quarantine = Quarantine(path)
    for what, number in steps:
        if what == "add":
            journal.append(malformed(b"x" * number))
        elif what == "drop":
            quarantine.drop([number])
        elif what == "renew":
            quarantine.settle([], [Renewed(number, "other" * number, 1)])
        else:
            quarantine.settle([Mended(number, record(number), entry(b""))], [])
    kept = list(quarantine)
    size = quarantine.size()
    assert size == journal.quarantine_size()
    assert size.count == len(kept)
    assert size.bytes == sum(len(one.entry.raw) for one in kept)
    assert size.textless == sum(one.textless for one in kept)
    told = settled = cursor = 0
    while (block := journal.read(cursor)) is not None:
        told, settled, cursor = told + len(block.malformed), settled + len(block.settled), block.seq
        assert all(not one.raw for one in block.settled)
    assert told - settled == len(kept), "what the outputs were told is what is kept"
    db = sqlite3.connect(path)
    (places,) = db.execute("SELECT place_bytes FROM quarantine_size").fetchone()
    (truth,) = db.execute(
        "SELECT COALESCE(SUM(length(reason)+length(place)+length(source)+64), 0) FROM quarantine"
    ).fetchone()
    assert places == truth
    db.close()
    quarantine.close()
    journal.close()


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["daemon", "replay", "restart", "deliver"]), st.lists(st.integers(1, 12), max_size=5)
        ),
        max_size=20,
    )
)
def test_two_writers_store_each_event_once_and_lose_none(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    """The daemon's journal and a replay beside it, in any order, with restarts and deliveries between."""
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal, quarantine = Journal(path), None
    journal.register("index", 0)
    delivered: list[int] = []
    cursor, asked = 0, set()
    for what, numbers in steps:
        if what == "daemon":
            journal.append(events(*numbers))
            asked.update(numbers)
        elif what == "replay":
            journal.append(malformed(*[b"%d" % n for n in numbers]))
            quarantine = quarantine or Quarantine(path)
            kept = list(quarantine)
            quarantine.settle([Mended(k.number, record(int(k.entry.raw)), k.entry) for k in kept], [])
            assert quarantine.size().count == 0
            asked.update(numbers)
        elif what == "restart":
            journal.close()
            journal = Journal(path)
        else:
            while (block := journal.read(cursor)) is not None:
                delivered += [uuid.UUID(one.id).int for one in block.records]
                cursor = block.seq
                journal.advance("index", cursor)
    while (block := journal.read(cursor)) is not None:
        delivered += [uuid.UUID(one.id).int for one in block.records]
        cursor = block.seq
    assert sorted(delivered) == sorted(asked)
    assert all(counters.conserved for counters in journal.counters().values())
    assert sum(counters.stored for counters in journal.counters().values()) == len(asked)
    if quarantine is not None:
        quarantine.close()
    journal.close()


def test_an_entry_that_somebody_else_took_out_is_not_appended(journal: Journal, quarantine: Quarantine) -> None:
    journal.append(malformed(b"one", b"two"))
    first, second = quarantine
    assert quarantine.drop([first.number]) == 1
    mended = [Mended(first.number, record(1), first.entry), Mended(second.number, record(2), second.entry)]
    assert quarantine.settle(mended, []).stored == 1
    assert stored(journal) == [2]
    assert journal.counters()[REPLAY_SOURCE].entries == 1


def test_a_settlement_that_fails_leaves_everything_where_it_was(journal: Journal, path: Path) -> None:
    journal.append(malformed(b"one", b"two"))
    full = Quarantine(path, journal_max_bytes=1)
    first, second = full
    with pytest.raises(StateFull):
        full.settle([Mended(first.number, record(1), first.entry)], [Renewed(second.number, "new", 1)])
    assert [kept.entry.reason for kept in full] == ["cut", "cut"]
    assert stored(journal) == []
    full.close()
    again = Quarantine(path)
    assert again.settle([Mended(first.number, record(1), first.entry)], []).stored == 1
    again.close()
    assert stored(journal) == [1]


def test_what_is_new_is_told_once_and_not_again_after_a_restart(journal: Journal, path: Path) -> None:
    assert journal.append(malformed(drift=("key:A", "type:b", "key:A"))).drift == ("key:A", "type:b")
    assert journal.append(malformed(drift=("key:A",))).drift == ()
    journal.close()
    again = Journal(path)
    assert again.append(malformed(drift=("key:A", "key:C"))).drift == ("key:C",)
    assert {name: count for name, _, count in again.drift()} == {"key:A": 4, "type:b": 1, "key:C": 1}
    again.close()


def test_what_is_asked_at_once_is_of_one_moment(journal: Journal) -> None:
    """Who asks for counts and depth while another thread writes sees all of a batch or nothing of it."""
    writer = threading.Thread(target=lambda: [journal.append(events(number)) for number in range(300)])
    writer.start()
    seen = set()
    while writer.is_alive():
        with journal.at_once():
            counters, pending = journal.counters(), [state.pending for state in journal.outputs()]
        stored = sum(counter.stored for counter in counters.values())
        assert pending == [stored]
        seen.add(stored)
    writer.join()
    assert len(seen) > 1


def test_names_of_what_is_new_are_bounded_in_number_and_length(journal: Journal) -> None:
    names = tuple(f"key:{number}{'x' * 500}" for number in range(ledger_module.DRIFT_MAX_COUNT + 100))
    told = journal.append(malformed(drift=names)).drift
    assert len(told) == ledger_module.DRIFT_MAX_COUNT + 1
    assert told[-1] == "key:(others)"
    kept = journal.drift()
    assert len(kept) == len(told)
    assert max(len(name) for name, _, _ in kept) <= ledger_module.DRIFT_NAME_MAX_CHARACTERS
    assert journal.append(malformed(drift=("key:late", "key:later"))).drift == ()
    assert {name: count for name, _, count in journal.drift()}["key:(others)"] == 102
    assert journal.append(malformed(drift=("time:late", "type:late"))).drift == ("time:late", "type:late")


def test_a_journal_of_the_first_schema_is_brought_up_to_date_with_its_quarantine(path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    for statement in sql.MIGRATIONS[0]:
        db.execute(statement)
    db.execute("PRAGMA user_version=1")
    db.execute("INSERT INTO meta VALUES ('last_seq', 5)")
    row = (1, "/f", "cut", 1, 1, 3, None, b'{"path":"/f"}', b"raw")
    db.execute(
        'INSERT INTO quarantine (stored_ns, source, reason, line, "column", length, time, place, raw)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    db.close()
    with pytest.raises(StateError, match="older connlog"):
        Quarantine(path)
    journal = Journal(path)
    assert [kept.entry.raw for kept in journal.quarantine()] == [b"raw"]
    assert (journal.quarantine_size().count, journal.quarantine_size().bytes) == (1, 3)
    journal.close()


def test_a_damaged_journal_gives_over_its_quarantine_and_what_it_met(journal: Journal, path: Path) -> None:
    journal.append(malformed(b"one", drift=("key:A",)))
    journal.append(events(1))
    journal.close()
    db = sqlite3.connect(path)
    page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'positions'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    again = Journal(path)
    assert list(path.parent.glob("journal.db.damaged-*"))
    assert [kept.entry.raw for kept in again.quarantine()] == [b"one"]
    assert again.quarantine_size().count == 1
    assert [name for name, _, _ in again.drift()] == ["key:A"]
    again.close()


def test_a_guest_makes_nothing_and_refuses_what_it_does_not_know(path: Path) -> None:
    with pytest.raises(StateError, match="no daemon has run"):
        Quarantine(path)
    assert not path.exists()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StateNewer):
        Quarantine(path)


def test_another_user_is_told_whose_it_is(journal: Journal, path: Path) -> None:
    if os.geteuid():
        path.chmod(0)
    else:
        os.seteuid(65534)
    try:
        with pytest.raises(StateError, match=r"only its owner may read .* sudo -u \w+"):
            Quarantine(path)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        path.chmod(0o600)
