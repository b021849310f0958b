"""Whatever journalctl does instead of its work, nothing is lost or doubled, and the status says what is wrong."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from shipper.errors import InputError
from shipper.inputs.child import Child
from shipper.inputs.lines import Lines
from tests.journald.conftest import Log, StandIn, event

JOURNAL = "a" * 32


def printed(number: int, message: bytes | None = None) -> str:
    """A line of journalctl -o json."""
    entry = {
        "__CURSOR": f"s={JOURNAL};i={number:x};b=b;m=m;t=t;x=x",
        "__REALTIME_TIMESTAMP": str(1_790_000_000_000_000 + number),
        "_SYSTEMD_UNIT": "coder.service",
        "_STREAM_ID": "s",
        "MESSAGE": (event(number) if message is None else message).decode(),
    }
    return json.dumps(entry, separators=(",", ":")) + "\n"


def serve(lines: list[str], then: str = "time.sleep(60)") -> str:
    """Print what is at the cursor and behind it, as journalctl does."""
    return f"""
lines = {lines!r}
at = next((n for n, line in enumerate(lines) if cursor and cursor in line), 0)
for line in lines[at:]:
    say(line)
{then}
"""


def trouble(log: Log) -> str:
    assert log.input is not None
    return "; ".join(log.input.view().troubles.values())


@pytest.mark.parametrize(
    "then", ["sys.exit(0)", "sys.exit(1)", "os.kill(os.getpid(), 9)", "os.close(1); time.sleep(60)"]
)
def test_a_child_that_ends_is_begun_again_behind_what_was_read(faulty: Log, stand_in: StandIn, then: str) -> None:
    lines = [printed(n) for n in range(1, 6)]
    stand_in.does(serve(lines[:3], then))
    faulty.start()
    faulty.until(lambda: len(stand_in.made()) >= 3)
    stand_in.does(serve(lines))
    faulty.until(lambda: faulty.numbers == [1, 2, 3, 4, 5])
    assert not faulty.gaps
    assert any(argument.startswith("--cursor=") for argument in stand_in.made()[1][1])


def test_a_line_cut_in_the_middle_is_read_whole_from_the_next_child(faulty: Log, stand_in: StandIn) -> None:
    one, two = printed(1), printed(2)
    stand_in.does(serve([one, two[:50]], "sys.exit(1)"))
    faulty.start()
    faulty.until(lambda: len(stand_in.made()) >= 2)
    stand_in.does(serve([one, two]))
    faulty.until(lambda: faulty.numbers == [1, 2])
    assert not faulty.malformed
    assert not faulty.gaps


def test_garbage_between_entries_is_counted_and_never_believed(faulty: Log, stand_in: StandIn) -> None:
    """A bare event on the standard output of journalctl did not come from the journal."""
    bare = event(9).decode() + "\n"
    stand_in.does(serve([printed(1), "what is this?\n", "{\n", bare, printed(2)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1, 2])
    assert len(faulty.malformed) == 1
    assert (faulty.entries, faulty.not_ours) == (5, 2)


def test_a_child_that_only_prints_garbage_is_begun_again_more_and_more_slowly(faulty: Log, stand_in: StandIn) -> None:
    stand_in.does("say('x' * 100 + chr(10)); sys.exit(3)")
    faulty.start()
    faulty.until(lambda: "ended with 3" in trouble(faulty))
    began = time.monotonic()
    faulty.until(lambda: time.monotonic() - began > 2.0)
    assert len(stand_in.made()) < 8


def test_a_cursor_that_is_refused_is_a_gap(faulty: Log, stand_in: StandIn) -> None:
    stand_in.does(serve([printed(1)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1])
    faulty.stop()
    refusing = "if cursor:\n    os.write(2, b'Failed to seek to cursor: Invalid argument\\n'); sys.exit(1)\n"
    stand_in.does(refusing + serve([printed(5)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1, 5])
    assert [gap.gap for gap in faulty.gaps] == ["cursor_lost"]


def test_a_missing_journalctl_is_told_and_tried_again(
    faulty: Log, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(stand_in.folder))
    faulty.start()
    faulty.until(lambda: "journalctl is not there; install it" in trouble(faulty))
    assert faulty.input is not None
    assert faulty.input.view().feeds[0].state == "retrying"
    stand_in.does(serve([printed(1)]))
    faulty.until(lambda: faulty.numbers == [1])
    faulty.until(lambda: trouble(faulty) == "")


@pytest.mark.parametrize(
    "said",
    [
        "No journal files were opened due to insufficient permissions.",
        "Hint: You are currently not seeing messages from other users and the system.",
    ],
)
def test_missing_permission_is_told_with_what_to_do(faulty: Log, stand_in: StandIn, said: str) -> None:
    then = "time.sleep(60)" if "Hint" in said else "sys.exit(1)"
    stand_in.does(f"print({said!r}, file=sys.stderr, flush=True); {then}")
    faulty.start()
    faulty.until(lambda: "add the daemon's user to the group systemd-journal" in trouble(faulty))


def test_complaints_without_end_fill_neither_the_log_nor_the_memory(
    faulty: Log, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shipper")
    noise = "for n in range(2000):\n    os.write(2, b'complaint \\x1b[31m %d\\n' % n)\nos.write(2, b'x' * 200_000)\n"
    stand_in.does(noise + serve([printed(1)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1])
    said = [record.getMessage() for record in caplog.records if "complaint" in record.getMessage()]
    assert 0 < len(said) <= 20
    assert not any("\x1b" in text for text in said)


def test_one_unit_that_fails_does_not_hold_the_others(faulty: Log, stand_in: StandIn) -> None:
    faulty.settings["units"] = ("broken.service", "coder.service")
    stand_in.does("if '--unit=broken.service' in arguments: sys.exit(1)\n" + serve([printed(1)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1] and "broken.service" in trouble(faulty))


def test_what_nobody_read_for_long_is_read_anew_from_the_cursor(
    faulty: Log, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal may have been vacuumed under the child that waited."""
    stand_in.does(serve([printed(1)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1])
    monkeypatch.setattr("shipper.inputs.follower.UNREAD_MAX_SECONDS", 0.0)
    faulty.turn()
    monkeypatch.undo()
    faulty.until(lambda: len(stand_in.made()) == 2)


def test_no_child_is_left_when_the_input_is_let_go_of(faulty: Log, stand_in: StandIn) -> None:
    stand_in.does("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + serve([printed(1)]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1])
    faulty.stop()
    for number, _ in stand_in.made():
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_the_child_gets_no_input_no_shell_and_no_environment_of_ours(
    faulty: Log, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNLOG_SECRET", "x")
    seen = stand_in.folder / "seen"
    stand_in.does(
        f"open({str(seen)!r}, 'w').write(json.dumps([sys.stdin.read(), dict(os.environ)]))\n" + serve([printed(1)])
    )
    faulty.settings["units"] = ("$(touch x);coder.service",)
    faulty.start()
    faulty.until(seen.exists)
    faulty.until(lambda: bool(seen.read_text()))
    given, environ = json.loads(seen.read_text())
    assert given == ""
    assert "CONNLOG_SECRET" not in environ
    assert "--unit=$(touch x);coder.service" in stand_in.made()[0][1]


def test_a_program_that_cannot_be_run_is_an_error_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    for name in (str(tmp_path / "none"), str(tmp_path / "plain")):
        with pytest.raises(InputError, match=str(tmp_path)):
            Child([name], {})


def test_lines_are_the_same_in_whatever_pieces_they_come() -> None:
    data = b"one\n\n" + b"l" * 100 + b"END\nfour\nfi"
    whole = Lines(20).feed(data)
    assert [line.length for line in whole] == [4, 1, 104, 5]
    assert [line.cut for line in whole] == [False, False, True, False]
    assert whole[2].text == b"l" * 20
    assert whole[2].end.endswith(b"END")
    for size in range(1, len(data)):
        lines = Lines(20)
        assert [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])] == whole


OTHER = "b" * 32


def placed(number: int, monotonic: int, journal: str = JOURNAL, boot: str = "c" * 32) -> str:
    """The same with a cursor that tells the boot and the time since."""
    cursor = f"s={journal};i={number:x};b={boot};m={monotonic:x};t={monotonic:x};x=ff"
    return printed(number).replace(f"s={JOURNAL};i={number:x};b=b;m=m;t=t;x=x", cursor)


MISSING = {
    "begins behind it": "for line in lines[2:]: say(line)\ntime.sleep(60)\n",
    "begins before it": "say(lines[0])\ntime.sleep(60)\n",
    "refuses it": "os.write(2, b'Failed to seek to cursor: Cannot assign requested address\\n'); sys.exit(1)\n",
}


@pytest.mark.parametrize("way", MISSING)
@pytest.mark.parametrize("times", [1, 2])
def test_an_entry_that_is_missed_now_and_there_later_is_no_gap(
    faulty: Log, stand_in: StandIn, way: str, times: int
) -> None:
    """As it may be while journald begins anew; whoever asks then for the oldest entry gets none."""
    lines = [placed(n, n) for n in range(1, 5)]
    stand_in.does(serve(lines[:2]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1, 2])
    faulty.stop()
    answer = "".join(f"    {line}\n" for line in MISSING[way].splitlines())
    missing = f"count = sum('--cursor=' in call for call in open({str(stand_in.calls)!r}))\n"
    missing += f"if not cursor: sys.exit(1)\nif count <= {times}:\n    lines = {lines!r}\n{answer}"
    stand_in.does(missing + serve(lines))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [1, 2, 3, 4])
    assert not faulty.gaps


def test_an_entry_that_only_a_look_at_the_whole_journal_finds_is_no_gap(faulty: Log, stand_in: StandIn) -> None:
    """What stands before it under another count was read before it: journald put a file away and began a new one."""
    lines = [placed(900, 5, OTHER), placed(901, 6, OTHER), placed(3, 7), placed(4, 8), placed(5, 9)]
    stand_in.does(serve(lines[:4]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [900, 901, 3, 4])
    faulty.stop()
    stand_in.does(f"if cursor:\n    say({lines[4]!r}); time.sleep(60)\n" + serve(lines))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [900, 901, 3, 4, 5])
    assert not faulty.gaps


def test_an_entry_that_stays_away_is_a_gap(faulty: Log, stand_in: StandIn) -> None:
    lines = [placed(900, 5, OTHER), placed(3, 7), placed(9, 13)]
    stand_in.does(serve(lines[:2]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [900, 3])
    faulty.stop()
    stand_in.does(serve([lines[0], lines[2]]))
    faulty.start()
    faulty.until(lambda: faulty.numbers == [900, 3, 9])
    assert [gap.gap for gap in faulty.gaps] == ["cursor_lost"]
