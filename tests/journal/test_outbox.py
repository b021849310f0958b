"""The outbox keeps what an output did in one transaction, and the ledger tells what was delivered, within its bounds."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import StateError, StateFull, UsageError
from shipper.journal import (
    Batch,
    Change,
    Channel,
    DeliveredLedger,
    Handed,
    Journal,
    Outbox,
    Piece,
    Receipt,
    Refused,
    Span,
)
from shipper.journal import sql as journal_sql
from shipper.record import CompactRecord, Record, Source, encode_record, encoded
from shipper.timestamp import from_ns, to_ns

HOUR = 3_600_000_000_000
NOON = to_ns("2026-01-02T12:00:00.000000000Z")


def record(number: int, time: str = "2026-01-02T12:00:00.000000001Z") -> Record:
    return CompactRecord(1, str(uuid.UUID(int=number)), time, "connected")


def append(journal: Journal, *numbers: int) -> int:
    piece = Piece("/f", [encoded(record(n)) for n in numbers], [b"line"] * len(numbers), [], len(numbers))
    return journal.append(Batch((piece,))).seq or 0


def handed(*numbers: int, at: int = NOON) -> Handed:
    return Handed(b"".join(uuid.UUID(int=n).bytes for n in numbers), [from_ns(at + n).encode() for n in numbers])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    one = Journal(path)
    one.register("hec")
    yield one
    one.close()


@pytest.fixture
def outbox(journal: Journal) -> Outbox:
    return journal.outbox("hec")


def told(path: Path, since: int = NOON - HOUR, until: int = NOON + HOUR) -> list[int]:
    with closing(DeliveredLedger(path)) as ledger:
        return [uuid.UUID(bytes=event.id).int for event in ledger.events("hec", since, until)]


def test_a_parcel_holds_the_records_as_the_journal_has_them(journal: Journal, outbox: Outbox) -> None:
    seq = append(journal, 1, 2)
    parcel = outbox.after(0)
    assert parcel is not None
    assert (parcel.seq, parcel.lines) == (seq, [encode_record(record(1)), encode_record(record(2))])
    assert outbox.at(seq) == parcel
    assert outbox.after(seq) is None
    assert outbox.newest(parcel.stored_ns) == seq
    assert outbox.newest(parcel.stored_ns - 1) == 0


def test_what_was_remembered_is_there_after_a_restart(journal: Journal, outbox: Outbox, path: Path) -> None:
    first, second = append(journal, 1, 2), append(journal, 3, 4)
    channel = Channel(str(uuid.uuid4()), 0, "https://a", 7)
    receipt = Receipt(channel.channel, 7, 11, 0, (Span(first, 1, 2), Span(second, 0, 1)))
    kept = outbox.write(
        Change(taken=[Span(second, 1, 2)], handed=handed(2, 3), receipt=receipt, channel=channel, flights={0: 5, 1: 2})
    )
    outbox.write(Change(tallies={"sent": 3, "retried": 1}, flights={0: 0}))
    outbox.write(Change(tallies={"sent": 2}))
    journal.close()
    again = Journal(path)
    found = again.outbox("hec").remembered()
    assert found.taken == (Span(second, 1, 2),)
    assert found.receipts == (kept,)
    assert found.channels == (channel,)
    assert found.tallies == {"sent": 5, "retried": 1}
    assert found.flying == 2
    again.close()


def test_what_waits_for_an_acknowledgement_is_told_when_it_came(journal: Journal, outbox: Outbox, path: Path) -> None:
    seq = append(journal, 1, 2)
    kept = outbox.write(Change(handed=handed(1, 2), receipt=Receipt("c", 0, 1, 0, (Span(seq, 0, 2),))))
    assert kept is not None
    assert told(path) == []
    outbox.write(Change(confirmed=[kept], taken=[Span(seq, 0, 2)], cursor=seq))
    assert told(path) == [1, 2]
    assert outbox.remembered().receipts == ()
    assert journal.depth().batches == 0


def test_what_was_never_acknowledged_is_not_told(journal: Journal, outbox: Outbox, path: Path) -> None:
    seq = append(journal, 1)
    kept = outbox.write(Change(handed=handed(1), receipt=Receipt("c", 0, 1, 0, (Span(seq, 0, 1),))))
    assert kept is not None
    outbox.write(Change(void=[kept]))
    assert told(path) == []
    assert outbox.remembered().receipts == ()


def test_the_cursor_takes_the_spans_below_it_along(journal: Journal, outbox: Outbox) -> None:
    seqs = [append(journal, n) for n in range(3)]
    outbox.write(Change(taken=[Span(seq, 0, 1) for seq in seqs]))
    outbox.write(Change(cursor=seqs[1]))
    assert outbox.remembered().taken == (Span(seqs[2], 0, 1),)
    assert outbox.remembered().cursor == seqs[1]
    assert journal.depth().batches == 1


@given(times=st.lists(st.integers(NOON - 5 * HOUR, NOON + 5 * HOUR), min_size=1, max_size=12), cut=st.integers(1, 5))
def test_the_ledger_tells_every_event_of_the_range_and_its_hour(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "journal.db"
    with closing(Journal(path)) as journal:
        journal.register("hec")
        outbox = journal.outbox("hec")
        for at in range(0, len(times), cut):
            some = times[at : at + cut]
            ids = b"".join(uuid.UUID(int=at + place).bytes for place in range(len(some)))
            outbox.write(Change(handed=Handed(ids, [from_ns(ns).encode() for ns in some])))
        outbox.tidy(10 * 365 * 86400)
        since, until = NOON - HOUR, NOON + HOUR
        inside = [(n, ns) for n, ns in enumerate(times) if since <= ns <= until]
        with closing(DeliveredLedger(path)) as ledger:
            found = [(uuid.UUID(bytes=one.id).int, one.time_ns) for one in ledger.events("hec", since, until)]
            assert sorted(found) == inside
            hours = ledger.hours("hec", since, until)
            assert sum(hours.values()) == len(inside)
            assert set(hours) == {ns - ns % HOUR for _, ns in inside}


def test_small_rows_are_put_together_and_tell_the_same(path: Path) -> None:
    clock = [NOON]
    with closing(Journal(path, now_ns=lambda: clock[0])) as journal:
        journal.register("hec")
        outbox = journal.outbox("hec")
        for number in range(20):
            outbox.write(Change(handed=handed(number)))
        clock[0] += HOUR
        outbox.tidy(86400)
        database = sqlite3.connect(path)
        assert database.execute("SELECT COUNT(*) FROM delivered").fetchone() == (1,)
        database.close()
        assert told(path) == list(range(20))


def test_the_ledger_keeps_to_its_retention_and_to_its_bound(path: Path) -> None:
    clock = [NOON]
    with closing(Journal(path, delivered_max_bytes=4000, now_ns=lambda: clock[0])) as journal:
        journal.register("hec")
        outbox = journal.outbox("hec")
        for number in range(100):
            outbox.write(Change(handed=handed(number)))
        kept = told(path)
        assert kept == list(range(100 - len(kept), 100))
        assert 0 < len(kept) < 40
        clock[0] += 2 * HOUR
        outbox.tidy(3600)
        assert told(path) == []
        database = sqlite3.connect(path)
        assert database.execute("SELECT bytes FROM delivered_size").fetchone() == (0,)
        database.close()


def test_what_a_request_changes_is_written_by_one_statement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def kept(*args: Any, **options: Any) -> sqlite3.Connection:
        connections.append(connect(*args, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", kept)
    with closing(Journal(path)) as journal:
        journal.register("hec")
        seqs = [append(journal, n, n + 50) for n in range(3)]
        outbox = journal.outbox("hec")
        change = Change(
            taken=[Span(seqs[1], 0, 1), Span(seqs[2], 1, 2)],
            handed=handed(50, 2),
            flights={3: 7},
            tallies={"sent": 2, "requests": 1},
        )
        run: list[str] = []
        connections[-1].set_trace_callback(run.append)
        outbox.write(change)
        connections[-1].set_trace_callback(None)
        # It is told once for itself and again for each part of its trigger.
        assert len(set(run)) == 1
        outbox.write(Change(tallies={"sent": 40}))
        found = outbox.remembered()
        assert found.taken == (Span(seqs[1], 0, 1), Span(seqs[2], 1, 2))
        assert (found.flying, found.tallies) == (7, {"sent": 42, "requests": 1})
    assert sorted(told(path)) == [2, 50]


def test_large_requests_behind_many_small_ones_keep_the_ledger_to_its_bound(path: Path) -> None:
    with closing(Journal(path, delivered_max_bytes=64_000)) as journal, closing(sqlite3.connect(path)) as database:
        journal.register("hec")
        outbox = journal.outbox("hec")
        for number in range(300):
            outbox.write(Change(handed=handed(number)))
        for _ in range(30):
            outbox.write(Change(handed=handed(*range(500))))
            (bytes_,) = database.execute("SELECT bytes FROM delivered_size").fetchone()
            assert bytes_ < 64_000 + 2 * 16_000


def test_nothing_is_written_into_a_transaction_that_somebody_left_open(path: Path, journal: Journal) -> None:
    outbox = journal.outbox("hec")
    outbox._db.execute("BEGIN")
    with pytest.raises(StateError, match="transaction"):
        outbox.write(Change(tallies={"sent": 1}))


def test_the_ledger_takes_no_room_of_the_journal(path: Path) -> None:
    with closing(Journal(path, max_bytes=1 << 20)) as journal:
        journal.register("hec")
        outbox = journal.outbox("hec")
        for number in range(40):
            outbox.write(Change(handed=Handed(uuid.uuid4().bytes * 4096, [from_ns(number).encode()] * 4096)))
        assert path.stat().st_size + path.with_name("journal.db-wal").stat().st_size > 1 << 20
        append(journal, 1)


def test_events_can_be_put_back_beside_the_running_daemon(journal: Journal, outbox: Outbox, path: Path) -> None:
    lines = [encode_record(record(n)) for n in range(1500)]
    with closing(DeliveredLedger(path)) as ledger:
        assert ledger.put_back("hec", lines) == 1500
        with pytest.raises(UsageError, match="known are: hec"):
            ledger.put_back("other", lines)
    assert outbox.put_back_count() == 1500
    first = outbox.put_back(0)
    assert first is not None
    assert first.seq < 0
    second = outbox.put_back(first.seq)
    assert second is not None
    assert [*first.lines, *second.lines] == lines
    assert outbox.at(first.seq) == first
    outbox.write(Change(taken=[Span(second.seq, 0, 10)], finished=[first.seq]))
    assert outbox.put_back(0) == second
    assert outbox.remembered().taken == (Span(second.seq, 0, 10),)


def test_a_full_journal_takes_nothing_back(journal: Journal, path: Path) -> None:
    with closing(DeliveredLedger(path, journal_max_bytes=1)) as ledger, pytest.raises(StateFull, match="journal_max"):
        ledger.put_back("hec", [encode_record(record(1))])


def test_a_refused_event_goes_into_the_quarantine_or_nothing_changes(path: Path) -> None:
    raw = encode_record(record(1))
    with closing(Journal(path, quarantine_max_bytes=len(raw))) as journal:
        journal.register("hec")
        outbox = journal.outbox("hec")
        refused = Refused(raw, Source(path="/f", offset=3), None, 6, "Invalid data format")
        outbox.write(Change(refused=[refused], tallies={"quarantined": 1}))
        with pytest.raises(StateFull, match="quarantine has no room"):
            outbox.write(Change(refused=[refused], tallies={"quarantined": 1}))
        (kept,) = journal.quarantine()
        assert (kept.output, kept.code, kept.entry.raw, kept.entry.source.offset) == ("hec", 6, raw, 3)
        assert outbox.remembered().tallies == {"quarantined": 1}


def test_an_output_that_is_gone_leaves_only_what_was_delivered(journal: Journal, outbox: Outbox, path: Path) -> None:
    seq = append(journal, 1, 2)
    outbox.write(Change(taken=[Span(seq, 0, 1)], handed=handed(1), flights={0: 1}, tallies={"sent": 1}))
    journal.keep_outputs(set())
    journal.register("hec")
    found = outbox.remembered()
    assert (found.taken, found.flying, found.tallies) == ((), 0, {})
    assert told(path) == [1]


def test_batches_that_get_other_numbers_keep_their_spans(journal: Journal, outbox: Outbox) -> None:
    seqs = [append(journal, n, n + 10) for n in range(3)]
    receipt = Receipt("c", 0, 1, 0, (Span(seqs[1], 1, 2),))
    outbox.write(Change(taken=[Span(seq, 0, 1) for seq in seqs], receipt=receipt))
    journal.register("index", seqs[-1] + 1)
    assert journal.moves_count == 1
    moved = [1 + seqs[-1] + 1 + n for n in range(3)]
    assert outbox.remembered().taken == tuple(Span(seq, 0, 1) for seq in moved)
    assert outbox.remembered().receipts[0].spans == (Span(moved[1], 1, 2),)


def test_a_journal_of_the_schema_before_is_taken_over(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    for statements in journal_sql.MIGRATIONS[:3]:
        for statement in statements:
            database.execute(statement)
    database.execute("PRAGMA user_version=3")
    database.execute("INSERT INTO meta VALUES ('last_seq', 41)")
    database.execute("INSERT INTO outputs VALUES ('index', 41, NULL)")
    database.close()
    with closing(Journal(path)) as journal:
        assert [(one.name, one.cursor) for one in journal.outputs()] == [("index", 41)]
        journal.register("hec")
        assert append(journal, 1) == 42
        assert journal.outbox("hec").after(0) is not None


def test_a_damaged_journal_keeps_what_was_taken_and_delivered(journal: Journal, outbox: Outbox, path: Path) -> None:
    seqs = [append(journal, n) for n in range(30)]
    outbox.write(Change(taken=[Span(seqs[3], 0, 1)], handed=handed(3), tallies={"sent": 1}))
    journal.close()
    database = sqlite3.connect(path)
    proof = database.execute("SELECT checksum FROM batches WHERE seq = ?", (seqs[20],)).fetchone()[0]
    database.close()
    data = bytearray(path.read_bytes())
    place = data.index(proof)
    data[place : place + 16] = bytes(16)
    path.write_bytes(data)
    with closing(Journal(path)) as mended:
        assert mended.gaps()[1][0].gap == "journal_damaged"
        found = mended.outbox("hec").remembered()
        assert found.taken == (Span(seqs[3], 0, 1),)
        assert found.tallies == {"sent": 1}
    assert told(path) == [3]
