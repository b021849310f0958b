"""``connlog index``: a rebuild keeps all that can be had, a check finds what is wrong, compacting changes no answer."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.journal import Batch, Journal, Piece
from shipper.record import Gap, Log, Malformed, Record, Source, encoded
from shipper.service.lock import StateLock


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.000000000Z",
        status="connected",
        type="ssh",
    )
    return replace(made, **fields)


def line(number: int) -> bytes:
    fields = {"ID": event(number).id, "Time": event(number).time, "Type": "ssh", "ConnectionStatus": "connected"}
    whole = {
        "ts": event(number).time,
        "level": "INFO",
        "msg": "connection_log",
        "logger_names": ["coderd"],
        "fields": fields,
    }
    return json.dumps(whole).encode() + b"\n"


def found(capsys: pytest.CaptureFixture[str], path: Path) -> list[str]:
    main(["search", "--index", str(path), "--events", "--limit", "0", "--output", "ndjson"])
    return capsys.readouterr().out.splitlines()


def numbers(capsys: pytest.CaptureFixture[str], path: Path) -> list[int]:
    capsys.readouterr()
    return sorted(int(json.loads(row)["id"][:8], 16) for row in found(capsys, path))


def test_a_rebuild_takes_the_old_index_the_journal_and_logs_each_event_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    gap = Gap(1, "truncated_unread", Source(path="/log"), detected="2026-01-01T00:00:00.000000000Z")
    writer.add(1, [event(1), event(2)], [b"one", b"two"], gaps=[gap], stored_ns=1)
    writer.close()
    journal = Journal(tmp_path / "journal.db")
    journal.register("index")
    last = None
    for number in (2, 3):
        piece = Piece(source="a", encoded=[encoded(event(number))], originals=[b"x"])
        last = journal.append(Batch((piece,))).seq
    journal.close()
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(b"".join(map(line, (3, 4, 5))) + b"noise\n")
    packed.write_bytes(gzip.compress(b"".join(map(line, (5, 6)))))
    assert main(["index", "rebuild", "--index", str(path), str(plain), str(packed)]) == 0
    assert "6 events" in capsys.readouterr().out
    assert numbers(capsys, path) == [1, 2, 3, 4, 5, 6]
    assert main(["search", "--index", str(path), "--output", "ndjson"]) == 0
    assert "1 gap of the log" in capsys.readouterr().err
    again = IndexWriter(path)
    assert again.cursor == last  # the daemon goes on behind it
    again.close()
    assert not list(tmp_path.glob("index.db.new*"))


def test_small_batches_of_a_journal_are_taken_together_and_tell_what_each_told(tmp_path: Path) -> None:
    hour = 3_600_000_000_000
    times = [0, 1, 2, 3, 4, 5, 6, 7, hour - 1, hour, hour + 1, 3 * hour, 2 * hour, 2 * hour + 1]
    clock = iter([0, *times, 9 * hour])
    now = [0]
    journal = Journal(tmp_path / "journal.db", now_ns=lambda: now[0])
    journal.register("index")
    place = Source(path="/log", offset=70)
    lost = Gap(1, "truncated_unread", Source(path="/log"), detected="2026-01-01T00:00:00.000000000Z")
    broken = [Malformed(b"x", "cut", 1, 1, replace(place, offset=offset), 1, event(0).time) for offset in (70, 80, 90)]
    for number, now[0] in zip(range(len(times)), clock, strict=False):
        made = event(number, source=replace(place, offset=number), log=Log(time=event(number).time))
        if number == 5:
            made = event(number, source=place, log=Log(time=event(0).time))  # the first of those broken, now read
        piece = Piece("a", [encoded(made)], [b"line %d" % number], malformed=broken if number == 4 else [])
        piece.entries = len(piece.encoded) + len(piece.malformed)
        settled = tuple(broken[1:2]) if number == 7 else ()
        journal.append(Batch((piece,), gaps=(lost,) if number in (2, 9) else (), settled=settled))
    by_one = IndexWriter(tmp_path / "by_one.db")
    while (block := journal.read(by_one.cursor)) is not None:
        by_one.add(
            block.seq,
            block.records,
            block.originals,
            gaps=block.gaps,
            malformed=block.malformed,
            settled=block.settled,
            stored_ns=block.stored_ns,
        )
    journal.close()
    by_one.close()
    assert main(["index", "rebuild", "--index", str(tmp_path / "index.db")]) == 0
    asked = (
        "SELECT id, event FROM events",
        "SELECT from_ns, to_ns, body FROM gaps",
        "SELECT path, offset FROM quarantine",
    )
    answers, stored = [], []
    for name in ("by_one.db", "index.db"):
        database = sqlite3.connect(tmp_path / name)
        answers.append([database.execute(one).fetchall() for one in asked])
        stored = database.execute("SELECT events, stored_ns FROM blocks").fetchall()
        database.close()
    assert answers[0] == answers[1]
    assert [row[1] for row in answers[0][2]] == [90]
    assert sum(row[0] for row in stored) == len(times)
    assert len(stored) < len(times)
    late = [at for events, at in stored for _ in range(events)]
    assert all(0 <= at - true < hour for at, true in zip(late, [0, *times], strict=False) if true in times[1:])


def test_a_rebuild_that_fails_leaves_the_index_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b"one"], stored_ns=1)
    writer.close()
    before = path.read_bytes()
    assert main(["index", "rebuild", "--index", str(path), str(tmp_path / "missing.log")]) == 4
    assert "the present index was left as it is" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("index.db.*"))


def test_a_rebuild_is_refused_while_a_daemon_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = StateLock(tmp_path)
    try:
        assert main(["index", "rebuild", "--index", str(tmp_path / "index.db")]) == 4
    finally:
        lock.close()
    assert "stop it" in capsys.readouterr().err


def test_a_damaged_block_is_found_and_a_rebuild_reads_its_events_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, log = tmp_path / "index.db", tmp_path / "a.log"
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b"one"], stored_ns=1)
    writer.add(2, [event(2)], [b"two"], stored_ns=1)
    writer.close()
    assert main(["index", "check", "--index", str(path)]) == 0
    database = sqlite3.connect(path)
    database.execute("UPDATE blocks SET data = zeroblob(9) WHERE id = 1")
    database.commit()
    database.close()
    capsys.readouterr()
    assert main(["index", "check", "--index", str(path)]) == 1
    assert "block 1" in capsys.readouterr().err
    log.write_bytes(line(1))
    assert main(["index", "rebuild", "--index", str(path), str(log)]) == 0
    assert "1 events of the present index can't be read" in capsys.readouterr().err
    assert numbers(capsys, path) == [1, 2]
    assert main(["index", "check", "--index", str(path)]) == 0


def test_a_file_that_is_no_index_is_told_and_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, log = tmp_path / "index.db", tmp_path / "a.log"
    path.write_bytes(b"no database at all " * 1000)
    log.write_bytes(line(1))
    assert main(["index", "check", "--index", str(path)]) == 1
    assert "damaged" in capsys.readouterr().err
    assert main(["index", "rebuild", "--index", str(path), str(log)]) == 0
    assert numbers(capsys, path) == [1]


def test_rows_that_name_what_is_not_there_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b"one"], stored_ns=1)
    writer.close()
    database = sqlite3.connect(path)
    database.execute("DELETE FROM words")
    database.commit()
    database.close()
    assert main(["index", "check", "--index", str(path)]) == 1
    assert "1 rows of kinds name a type that is not there" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("arguments", [["index", "compact"], ["index", "rebuild"], ["names", "import", "{names}"]])
def test_who_may_not_write_the_index_is_told_who_may(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    state, names = tmp_path / "state", tmp_path / "names.csv"
    state.mkdir()
    names.write_text("kind,id,username\nuser,d56adf3a-0120-4219-8c98-eab357185c74,bob\n")
    path = state / "index.db"
    IndexWriter(path).close()
    for place in (tmp_path, *tmp_path.parents[:3]):
        place.chmod(place.stat().st_mode | 0o011)
    names.chmod(0o644)
    state.chmod(0o750)
    os.chown(state, 0, 65534)
    os.chown(path, 0, 65534)
    asked = [one.format(names=names) for one in arguments]
    (tmp_path / "mine").mkdir()
    IndexWriter(tmp_path / "mine" / "index.db").close()
    # Once as root, so that everything is imported that the other may not read.
    assert main([*asked, "--index", str(tmp_path / "mine" / "index.db")]) == 0
    os.setegid(65534)
    os.seteuid(65534)
    try:
        code = main([*asked, "--index", str(path)])
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert code == 4
    assert ": sudo -u root connlog …" in capsys.readouterr().err


def test_compacting_merges_small_blocks_and_changes_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    for number in range(600):
        writer.add(number + 1, [event(number)], [f"line {number}".encode()], stored_ns=number)
    before = found(capsys, path)
    assert main(["index", "compact", "--index", str(path)]) == 0  # with the writer open beside it
    said = capsys.readouterr().out
    assert said.startswith("600 blocks are 3 now, ")
    numbers = [int(word) for word in said.split() if word.isdigit()]
    assert numbers[2] > numbers[3], "what SQLite keeps beside the index counts"
    assert found(capsys, path) == before
    writer.add(601, [event(601)], [b"more"], stored_ns=601)
    writer.close()
    assert len(found(capsys, path)) == 601
    assert main(["index", "check", "--index", str(path)]) == 0


def test_no_index_is_said_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("check", "compact"):
        assert main(["index", name, "--index", str(tmp_path / "none.db")]) == 4
        assert "start 'connlog run'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
