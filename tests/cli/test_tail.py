"""``connlog tail``: the newest events, and those that come."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.record import Record
from shipper.resource import root


def event(number: int, reason: str | None = None) -> Record:
    return Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T00:00:{60 - number:02d}.000000000Z",
        status="connected",
        type="ssh",
        workspace_name=f"w{number}",
        disconnect_reason=reason,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def test_the_newest_come_last_in_the_order_of_storage(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = IndexWriter(path)
    writer.add(1, [event(number) for number in range(1, 21)], [b""] * 20, stored_ns=0)
    writer.close()
    found = {}
    for options in ([], ["-n", "2"], ["-n3"], ["-n", "2", "workspace:w1,w2,w3"], ["-w20", "-n1"], ["-n0"]):
        code = main(["tail", "--index", str(path), "--output", "ndjson", *options])
        found[" ".join(options)] = (
            code,
            [json.loads(line)["workspace_name"] for line in capsys.readouterr().out.splitlines()],
        )
    assert found == {
        "": (0, [f"w{number}" for number in range(11, 21)]),
        "-n 2": (0, ["w19", "w20"]),
        "-n3": (0, ["w18", "w19", "w20"]),
        "-n 2 workspace:w1,w2,w3": (0, ["w2", "w3"]),
        "-w20 -n1": (0, ["w19"]),
        "-n0": (1, []),
    }


def test_a_line_holds_no_control_character(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = IndexWriter(path)
    writer.add(1, [event(1, "\x1b]0;owned\x07\n")], [b""], stored_ns=0)
    writer.close()
    assert main(["tail", "--index", str(path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split() == ["2026-01-01", "00:00:59", "connected", "ssh", "w1", r"\x1b]0;owned\x07\n"]


def test_following_shows_what_is_stored_from_now_on_and_ends_with_ctrl_c(path: Path) -> None:
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b"first"], stored_ns=0)
    command = [sys.executable, "-m", "shipper", "tail", "-fn1", "--index", str(path), "--output", "raw", "-w3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root()) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline()]
        writer.add(2, [event(2), event(3)], [b"second", b"not this"], stored_ns=0)
        lines.append(process.stdout.readline())
        writer.add(3, [event(4)], [b"third"], stored_ns=0)
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        said = process.stderr.read().decode()
    writer.close()
    assert lines == [b"first\n", b"second\n", b"third\n"]
    assert said == f"connlog: no daemon runs on {path.parent}, so nothing new comes until one does; waiting\n"


def test_a_missing_index_names_the_next_step(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tail", "--index", str(path)]) == 4
    assert "start 'connlog run'" in capsys.readouterr().err
