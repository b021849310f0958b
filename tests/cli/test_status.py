"""``connlog status`` tells whether a daemon runs and what it does, in both forms."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.inputs.tailer import FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.service.lock import StateLock
from shipper.status import OutputStatus, Status, StatusFile

TIME = "2026-01-02T03:04:05.000000000Z"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    config = tmp_path / "connlog.toml"
    config.write_text(f'[state]\ndir = "{folder}"\n[[input]]\ntype = "file"\npaths = ["{tmp_path}/*.log"]\n')
    monkeypatch.setenv("CONNLOG_CONFIG", str(config))
    return folder


def write_status(folder: Path, path: str = "/var/log/coder/coderd.log") -> None:
    StatusFile(folder).write(
        Status(
            version="0.1",
            pid=1,
            started=TIME,
            updated=TIME,
            state="reading",
            paused=None,
            files=[FileState(path, path, 1024, 4096, 3072, "current")],
            files_count=1,
            lag_bytes=3072,
            troubles={},
            sources={path: Counters(entries=10, stored=4, duplicates=1, malformed=2, not_ours=3)},
            journal=Depth(2, 30, 400, None),
            journal_max_bytes=1 << 30,
            outputs=[OutputStatus("index", 7, 30, TIME, "the disk is full")],
            gaps_count=0,
            gaps=[],
            quarantine=QuarantineSize(2, 40, 1, 0),
            quarantine_max_bytes=1 << 20,
            drift=[],
        )
    )


def test_without_a_daemon_it_exits_1_and_says_so(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert "no daemon runs" in capsys.readouterr().err


def test_with_a_daemon_it_shows_inputs_journal_and_outputs(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state)
    lock = StateLock(state)
    assert main(["status"]) == 0
    lock.close()
    shown = capsys.readouterr().out
    for fact in ("reading", "/var/log/coder/coderd.log", "3.0 KiB", "30 events in 2 batches", "the disk is full"):
        assert fact in shown


def test_json_has_every_fact(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state)
    assert main(["status", "--output", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["running"] is False
    assert found["status"]["sources"]["/var/log/coder/coderd.log"]["not_ours"] == 3
    assert found["status"]["outputs"][0]["pending"] == 30


def test_a_hostile_file_name_does_not_reach_the_terminal(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state, "/tmp/\x1b[31m\x07.log")
    main(["status"])
    assert "\x1b" not in capsys.readouterr().out


def test_asking_does_not_keep_a_daemon_from_starting(state: Path) -> None:
    asking = (state / "lock").open("w")
    fcntl.flock(asking, fcntl.LOCK_SH)
    asking.close()
    StateLock(state).close()


def test_a_status_that_is_none_is_an_error_without_a_traceback(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "status.json").write_text("{")
    assert main(["status"]) == 4
    assert "start the daemon again" in capsys.readouterr().err
