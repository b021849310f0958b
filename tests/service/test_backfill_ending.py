"""However a file ends, a backfill stores all of its events and each once, in whatever form the journal keeps them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.config import Config, FileInput, Output, SplunkHecOutput, State
from shipper.config.settings import IndexOutput
from shipper.journal import Appended, Batch, Journal, Position
from shipper.journal.seal import SEGMENT_MAX_COUNT
from shipper.service.backfill import Backfill, Progress, files_of
from shipper.service.intake import open_readings
from shipper.service.lock import StateLock
from tests.hec.server import HecServer
from tests.hec.token import TOKEN
from tests.service.conftest import json_line

HEC = SplunkHecOutput(endpoints=("http://127.0.0.1:9",), token_file=Path("/nowhere"))
OUTPUTS: dict[str, tuple[Output, ...]] = {"index": (IndexOutput(),), "hec": (HEC,), "both": (IndexOutput(), HEC)}
COUNTS = (0, 1, SEGMENT_MAX_COUNT - 1, SEGMENT_MAX_COUNT, SEGMENT_MAX_COUNT + 1, 3 * SEGMENT_MAX_COUNT + 2)
LINE, CUT, MANY = "a line", "a line without its end", "a field of many lines"
MANY_LINES = (
    "2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID=00000000-0000-0000-0000-{:012x}  "
    'Time="2026-09-01T10:00:00.123456789Z"  OrganizationID=00000000-0000-0000-0000-000000000007  '
    "WorkspaceID=00000000-0000-0000-0000-000000000008  WorkspaceName=dev  AgentName=main  Type=ssh  "
    "ConnectionStatus=connected ...\n    UserAgent= one\n               two\n"
)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """A backfill narrows that of its process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds the state folder in use need not wait for it."""
    monkeypatch.setattr("shipper.service.lock.WAIT_SECONDS", 0.0)


def ending_in(last: str, count: int) -> bytes:
    """``count`` events, and the last one as ``last`` says."""
    lines = [json_line(number, None) for number in range(count)]
    if last == CUT:
        lines[-1] = lines[-1].removesuffix(b"\n")
    if last == MANY:
        lines[-1] = MANY_LINES.format(count).encode()
    return b"".join(lines)


def backfill(folder: Path, outputs: tuple[Output, ...], path: Path) -> Progress:
    files = list(files_of([str(path)], folder / "state"))
    config = Config(None, State(folder / "state"), (), outputs)
    return Backfill(config, files, FileInput(paths=()), lambda _: None).run()


def stored(folder: Path) -> list[tuple[int, bool]]:
    """The numbers of the events that the journal holds, in its order, each with whether its original line is beside it."""
    found: list[tuple[int, bool]] = []
    journal, seq = Journal(folder / "state" / "journal.db"), 0
    while (block := journal.read(seq)) is not None:
        seq = block.seq
        assert (block.malformed, block.gaps) == ([], [])
        lines = block.originals or [b""] * len(block.records)
        found += [
            (int(one.id.replace("-", ""), 16) - 1, b"connection_log" in line)
            for one, line in zip(block.records, lines, strict=True)
        ]
    journal.close()
    return found


def positions(folder: Path) -> list[Position]:
    journal = Journal(folder / "state" / "journal.db")
    try:
        return journal.positions()
    finally:
        journal.close()


def wrapped(folder: Path) -> list[bool]:
    """Of each batch, whether it is kept as a collector gets it."""
    journal, seq = Journal(folder / "state" / "journal.db"), 0
    outbox, found = journal.outbox("splunk_hec"), list[bool]()
    while (parcel := outbox.after(seq)) is not None:
        seq = parcel.seq
        found.append(parcel.sealed is not None)
    journal.close()
    return found


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("last", [LINE, CUT, MANY])
@pytest.mark.parametrize("at_a_time", [4 << 20, 100_000], ids=["at once", "by parts"])
def test_all_events_are_stored_once_however_the_file_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_a_time: int, last: str, outputs: str
) -> None:
    """Where a daemon delivers them, they are in the journal; fewer than a segment that are left over are as safe as it."""
    monkeypatch.setattr("shipper.service.backfill.READ_MAX_BYTES", at_a_time)
    monkeypatch.setattr("shipper.inputs.tail.STEP_BYTES", 20_011)
    for count in COUNTS[last != LINE :]:
        folder = tmp_path / str(count)
        (folder / "state").mkdir(parents=True)
        (folder / "old.log").write_bytes(ending_in(last, count))
        daemon = StateLock(folder / "state")
        done = backfill(folder, OUTPUTS[outputs], folder / "old.log")
        assert (done.events, done.duplicates, done.malformed, done.problems) == (count, 0, 0, [])
        again = backfill(folder, OUTPUTS[outputs], folder / "old.log")
        assert (again.events, again.duplicates, again.malformed, again.problems) == (0, 0, 0, [])
        daemon.close()
        assert [one.done for one in positions(folder)] == [True] * (count > 0)  # or else a daemon would look for it
        assert stored(folder) == [(number, outputs != "hec") for number in range(count)]
        assert all(kept == (outputs != "index") for kept in wrapped(folder))


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_whole_segments_are_sealed_as_they_are_read_where_a_collector_gets_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outputs: str
) -> None:
    counts: list[tuple[int, int]] = []
    append = Journal.append

    def seen(journal: Journal, batch: Batch) -> Appended:
        counts.extend((sum(bale.count for bale in piece.bales), len(piece.encoded)) for piece in batch.pieces)
        return append(journal, batch)

    monkeypatch.setattr(Journal, "append", seen)
    (tmp_path / "state").mkdir()
    (tmp_path / "old.log").write_bytes(ending_in(CUT, 2 * SEGMENT_MAX_COUNT + 8))
    daemon = StateLock(tmp_path / "state")
    backfill(tmp_path, OUTPUTS[outputs], tmp_path / "old.log")
    daemon.close()
    whole = 2 * SEGMENT_MAX_COUNT
    assert counts == [(0, whole + 7) if outputs == "index" else (whole, 7), (0, 1)]


def test_what_is_left_over_at_the_end_reaches_a_collector_once(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    with HecServer() as server:
        output = SplunkHecOutput(endpoints=(server.url,), token_file=tmp_path / "token", batch_age_seconds=0.0)
        for number, (last, count) in enumerate(((CUT, 1), (MANY, SEGMENT_MAX_COUNT + 7), (CUT, 2 * SEGMENT_MAX_COUNT))):
            # Each begins with the events that the one before held.
            path = tmp_path / f"{number}.log"
            path.write_bytes(ending_in(last, count))
            backfill(tmp_path, (output,), path)
            assert sorted(server.store.counts().values()) == [1] * count
            assert {int(event.replace("-", ""), 16) for event in server.store.counts()} == {*range(1, count + 1)}


def test_the_end_of_a_line_is_left_to_the_daemon_that_follows_the_file(tmp_path: Path) -> None:
    """While it is stopped, what it has not read is backfilled but for a line that has no end yet, which it reads whole."""
    log = tmp_path / "coderd.log"
    config = Config(None, State(tmp_path / "state"), (FileInput(paths=(str(log),)),), ())
    (tmp_path / "state").mkdir()
    whole = ending_in(LINE, 2 * SEGMENT_MAX_COUNT)
    cut = whole.index(b"\n", len(whole) // 2) + 100

    def follow(now: float) -> None:
        journal = Journal(tmp_path / "state" / "journal.db")
        (reading,) = open_readings(config, journal, "host", lambda: None)
        source, busy = reading._make_input(), True
        while busy:
            turn = source.turn(now, woken=True)
            journal.append(turn.batch)
            busy = turn.busy
        journal.append(source.finish())
        journal.close()

    log.write_bytes(whole[: cut // 2])
    follow(0.0)
    log.write_bytes(whole[:cut])
    done = backfill(tmp_path, (), log)
    assert (done.duplicates, done.malformed, done.problems) == (0, 0, [])
    assert len(stored(tmp_path)) == whole[:cut].count(b"\n")
    log.write_bytes(whole)
    follow(1.0)
    assert [number for number, _ in stored(tmp_path)] == list(range(2 * SEGMENT_MAX_COUNT))
