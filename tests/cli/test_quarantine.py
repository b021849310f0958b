"""``connlog quarantine`` lists, shows, replays and drops what could not be read."""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.extraction import Extractor
from shipper.journal import Batch, Change, Journal, Piece, Refused
from shipper.journal.quarantine import REPLAY_SOURCE
from shipper.record import CompactRecord, Malformed, Source, encode_record

STAMP = "2026-09-01T10:00:00.123456789Z"


def line(number: int, **more: object) -> bytes:
    """An event as coderd logs it in its JSON form."""
    fields = {"ID": str(uuid.UUID(int=number)), "Time": STAMP, "Type": "ssh", "ConnectionStatus": "connected", **more}
    top = {"ts": STAMP, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(top).encode()


def entry(raw: bytes, reason: str = "an older parser knew it not", length: int | None = None) -> Malformed:
    source = Source("h", "file", "/var/log/coder/coderd.log", 100, "c=1", {"unit": "coder"})
    return Malformed(raw, reason, 7, 1, source, len(raw) if length is None else length, None)


class State:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"

    def fill(self, *entries: Malformed) -> None:
        journal = Journal(self.path)
        journal.register("index", 0)
        journal.append(Batch((Piece("/var/log/coder/coderd.log", malformed=list(entries), entries=len(entries)),)))
        journal.close()

    def events(self) -> list[tuple[str, bytes]]:
        journal = Journal(self.path)
        found: list[tuple[str, bytes]] = []
        after = 0
        while (block := journal.read(after)) is not None:
            found += zip([r.id for r in block.records], block.originals, strict=True)
            after = block.seq
        journal.close()
        return found

    def numbers(self) -> list[int]:
        db = sqlite3.connect(self.path)
        found = [int(row[0]) for row in db.execute("SELECT n FROM quarantine ORDER BY n")]
        db.close()
        return found


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    folder = tmp_path / "state"
    folder.mkdir()
    config = tmp_path / "connlog.toml"
    config.write_text(f'[state]\ndir = "{folder}"\n')
    monkeypatch.setenv("CONNLOG_CONFIG", str(config))
    return State(folder)


def test_ls_tells_id_event_place_and_reason(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    state.fill(entry(line(5)), entry(b"junk", "no \x1b[31mgood\n"))
    assert main(["quarantine", "ls"]) == 0
    shown = capsys.readouterr().out
    for fact in ("1  ", str(uuid.UUID(int=5)), "/var/log/coder/coderd.log:7 @100", "malformed", r"no \x1b[31mgood\x0a"):
        assert fact in shown
    assert "\x1b" not in shown
    assert main(["quarantine", "ls", "--output", "ndjson"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["id"], first["event_id"], first["offset"], first["output"]) == (1, str(uuid.UUID(int=5)), 100, None)
    assert (second["id"], second["event_id"], second["reason"]) == (2, None, "no \x1b[31mgood\n")
    assert main(["quarantine", "ls", "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in document["quarantine"]] == [1, 2]
    assert document["count"] == 2


def test_ls_of_nothing_says_so(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    state.fill()
    assert main(["quarantine", "ls"]) == 0
    assert "is empty" in capsys.readouterr().err
    assert main(["quarantine", "ls", "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["quarantine"] == []


def test_show_marks_the_place_and_raw_gives_the_bytes(state: State, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    raw = b"a \xff\x1b[2J \x00 b\nc"
    state.fill(entry(raw))
    assert main(["quarantine", "show", "1", "--raw"]) == 0
    assert capfdbinary.readouterr().out == raw
    assert main(["quarantine", "show", "1"]) == 0
    shown = capfdbinary.readouterr().out
    assert b"/var/log/coder/coderd.log:7:1: an older parser knew it not\n    a " in shown
    assert b"\n    ^\n" in shown


def test_show_on_a_terminal_escapes_every_control_character(
    state: State, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state.fill(entry(b"a \xff\x1b[2J \xc2\x9b b\nc"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["quarantine", "show", "1"]) == 0
    shown = capsys.readouterr().out
    assert r"\x1b[2J" in shown
    assert all(c == "\n" or c.isprintable() for c in shown)


def test_replay_makes_events_of_what_can_be_read_now_and_keeps_the_rest(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = line(8)[:-30]
    state.fill(entry(line(1)), entry(cut), entry(line(2)), entry(line(1)))
    assert main(["quarantine", "replay", "--all"]) == 1
    assert capsys.readouterr().out == "2 replayed, 1 known already, 1 still malformed\n"
    assert state.events() == [(str(uuid.UUID(int=n)), line(n)) for n in (1, 2)]
    assert state.numbers() == [2]
    journal = Journal(state.path)
    (kept,) = journal.quarantine()
    counters = journal.counters()[REPLAY_SOURCE]
    journal.close()
    assert kept.entry.raw == cut
    assert kept.entry.reason not in ("", "an older parser knew it not")
    assert counters.conserved
    assert (counters.entries, counters.stored, counters.duplicates) == (3, 2, 1)
    assert main(["quarantine", "replay", "--all"]) == 1
    assert len(state.events()) == 2


def test_replay_of_everything_readable_exits_0_and_keeps_where_it_was_read(state: State) -> None:
    state.fill(entry(line(1)))
    assert main(["quarantine", "replay", "1"]) == 0
    journal = Journal(state.path)
    block = journal.read(0)
    while block is not None and not block.records:
        block = journal.read(block.seq)
    journal.close()
    assert block is not None
    source = block.records[0].source
    assert (source.host, source.path, source.offset, source.cursor, source.meta) == (
        "h",
        "/var/log/coder/coderd.log",
        100,
        "c=1",
        {"unit": "coder"},
    )


def test_what_was_cut_is_never_taken_for_a_shorter_event(state: State) -> None:
    """A human line cut behind a whole field would read as an event; nobody logged that one."""
    human = (
        f"2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID={uuid.UUID(int=3)}  Time={STAMP}  "
        "ConnectionStatus=connected  Type=ssh  UserAgent=" + "x" * 8192 + "\n"
    ).encode()
    extractor = Extractor(Source("h", "file", "/f"), line_max_bytes=4096)
    (cut,) = extractor.feed(human).malformed + extractor.flush(final=True).malformed
    assert len(cut.raw) == 4096
    state.fill(cut)
    assert main(["quarantine", "replay", "--all"]) == 1
    assert state.events() == []
    assert state.numbers() == [1]


def test_replay_reads_as_the_input_of_the_file_says(state: State, tmp_path: Path) -> None:
    human = f"2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID={uuid.UUID(int=3)}  Time={STAMP}  ConnectionStatus=connected  Type=ssh"
    state.fill(entry(human.encode()))
    with (tmp_path / "connlog.toml").open("a") as file:
        file.write('[[input]]\ntype = "file"\npaths = ["/var/log/coder/*.log"]\ntz = "Asia/Tokyo"\n')
    assert main(["quarantine", "replay", "--all"]) == 0
    journal = Journal(state.path)
    after, times = 0, []
    while (block := journal.read(after)) is not None:
        times += [one.log.time for one in block.records]
        after = block.seq
    journal.close()
    assert times == ["2026-09-01T01:00:00.123000000Z"]


def test_drop_removes_what_is_named_and_all_only_when_that_is_meant(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    state.fill(*(entry(b"%d" % n) for n in range(5)))
    assert main(["quarantine", "drop", "2", "4", "2"]) == 0
    assert capsys.readouterr().out == "2 dropped\n"
    assert main(["quarantine", "drop", "2", "3"]) == 1
    said = capsys.readouterr()
    assert said.out == "1 dropped\n"
    assert "not in the quarantine: 2;" in said.err
    assert main(["quarantine", "drop", "--all"]) == 2
    assert state.numbers() == [1, 5]
    assert main(["quarantine", "drop", "--all", "--yes"]) == 0
    assert state.numbers() == []


@pytest.mark.parametrize(
    "words", [["replay"], ["drop"], ["replay", "1", "--all"], ["show"], ["show", "x"], ["drop", "0"]]
)
def test_an_unclear_wish_is_wrong_usage(state: State, words: list[str]) -> None:
    state.fill(entry(b"x"))
    assert main(["quarantine", *words]) == 2
    assert state.numbers() == [1]


def test_an_unknown_id_is_bad_news(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    state.fill(entry(b"x"))
    assert main(["quarantine", "show", "77"]) == 1
    assert main(["quarantine", "replay", "77"]) == 1
    assert "77" in capsys.readouterr().err


def test_without_a_journal_it_says_what_to_do(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quarantine", "ls"]) == 4
    assert "no daemon has run" in capsys.readouterr().err
    assert not state.path.exists()


def test_an_event_that_an_output_refused_is_shown_and_goes_back_into_its_queue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    config = tmp_path / "c.toml"
    config.write_text(f'[state]\ndir = "{folder}"\n')
    raw = encode_record(CompactRecord(1, str(uuid.UUID(int=1)), "2026-01-02T03:04:05.000000000Z", "connected"))
    journal = Journal(folder / "journal.db")
    journal.register("splunk")
    outbox = journal.outbox("splunk")
    outbox.write(Change(refused=[Refused(raw, Source(path="/log", offset=7), None, 6, "Invalid data format")]))
    assert main(["quarantine", "ls", "-c", str(config)]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[3:] == ["splunk", "6", str(uuid.UUID(int=1)), "/log", "@7", "Invalid", "data", "format"]
    assert main(["quarantine", "show", "-c", str(config), "1"]) == 0
    shown = capsys.readouterr().out
    assert "Invalid data format" in shown
    assert not re.search("^(line|column) ", shown, re.MULTILINE)  # it is no line of a file
    assert main(["quarantine", "replay", "-c", str(config), "1"]) == 0
    assert "1 queued for the output that refused them" in capsys.readouterr().out
    assert not journal.quarantine()
    parcel = outbox.put_back(0)
    assert parcel is not None
    assert parcel.lines == [raw]
    journal.close()
