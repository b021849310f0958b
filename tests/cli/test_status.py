"""``connlog status`` tells whether a daemon runs and what it does, in both forms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from shipper.cli.main import main
from shipper.inputs.input import FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.service.lock import Holder, StateLock, holder_of
from shipper.status import OLD_SECONDS, OutputStatus, Status, StatusFile, read_status

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
            pid=os.getpid(),
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


HOLD = """
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for how in (fcntl.LOCK_SH, fcntl.LOCK_EX):
    fcntl.flock(fd, how | fcntl.LOCK_NB)
fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_reader_who_locks_all_that_he_may_open_keeps_no_daemon_from_starting(state: Path) -> None:
    """What members of the group may open is ``running``: every lock on it that opening for reading allows is held."""
    StateLock(state).close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir()}
    assert modes == {"lock": 0o600, "running": 0o640}
    reader = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state / "running")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"held\n"
    lock = StateLock(state)
    assert holder_of(state) == Holder(os.getpid())
    lock.close()
    reader.communicate()
    assert holder_of(state) is None


def test_asking_takes_no_lock(state: Path) -> None:
    lock = StateLock(state)
    for _ in range(3):
        assert holder_of(state) == Holder(os.getpid())
    lock.close()
    assert holder_of(state) is None
    StateLock(state).close()


def test_a_status_that_is_none_is_an_error_without_a_traceback(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "status.json").write_text("{")
    assert main(["status"]) == 4
    assert "start the daemon again" in capsys.readouterr().err


def test_a_folder_held_without_a_status_gets_a_line(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = StateLock(state)
    assert main(["status"]) == 1
    lock.close()
    assert f"process {os.getpid()} holds" in capsys.readouterr().err


def test_a_status_that_another_daemon_left_is_not_taken_for_this_one(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(state)
    lock = StateLock(state)
    (state / "running").write_text("1\n")
    assert main(["status"]) == 1
    lock.close()
    told = capsys.readouterr()
    assert "shown is what the last daemon left" in told.err
    assert "  reading  " not in told.out


def test_a_status_that_is_not_renewed_is_told_as_old(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(state)
    then = time.time() - OLD_SECONDS - 5
    os.utime(state / "status.json", (then, then))
    lock = StateLock(state)
    assert main(["status"]) == 1
    lock.close()
    told = capsys.readouterr()
    assert "not renewed since" in told.err
    assert "  reading  " not in told.out


def test_the_process_of_somebody_else_is_no_daemon(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status names a process that lives, and the lock can't be opened: that is said, not guessed."""
    write_status(state)
    (state / "running").symlink_to("running")
    assert main(["status"]) == 4
    assert "whether a daemon runs is not known" in capsys.readouterr().err


def test_the_lock_of_an_older_connlog_is_closed_to_the_group(state: Path) -> None:
    (state / "lock").touch(mode=0o640)
    StateLock(state).close()
    assert (state / "lock").stat().st_mode & 0o777 == 0o600


def test_an_unchanged_status_is_touched(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipper.status.HEARTBEAT_SECONDS", 0.0)
    write_status(state)
    status = read_status(state)
    assert status is not None
    file = StatusFile(state)
    file.write(status)
    os.utime(state / "status.json", (1, 1))
    file.write(status)
    assert (state / "status.json").stat().st_mtime > 1


def test_without_room_for_a_second_one_the_status_is_written_over(state: Path) -> None:
    write_status(state)
    status = read_status(state)
    assert status is not None
    inode = (state / "status.json").stat().st_ino
    (state / "status.json.new").symlink_to("/dev/full")
    many = [FileState(f"{n}.log", f"{n}.log", 1024, 4096, 3072, "current") for n in range(500)]
    full = msgspec.structs.replace(status, state="paused", paused="no room", files=many, files_count=500)
    StatusFile(state).write(full)
    found = read_status(state)
    assert found is not None
    assert (found.state, found.paused, found.files_count) == ("paused", "no room", 500)
    assert 0 < len(found.files) < 500
    assert (state / "status.json").stat().st_ino == inode


def test_a_configuration_that_was_made_invalid_hides_no_daemon(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That is when a reload is refused, and its status says so; without a folder it is the error alone."""
    config = Path(os.environ["CONNLOG_CONFIG"])
    write_status(state)
    config.write_text(config.read_text() + "surprise = 1\n")
    assert main(["status"]) == 3
    said = capsys.readouterr()
    assert "/var/log/coder/coderd.log" in said.out
    assert "surprise: is not known" in said.err
    config.write_text(f'[state]\ndir = "{state}-none"\nsurprise = 1\n')
    assert main(["status"]) == 3
    assert capsys.readouterr().out == ""
    config.write_text('[state\ndir = "x"\n')
    assert main(["status"]) == 3
    assert "is not valid TOML" in capsys.readouterr().err
