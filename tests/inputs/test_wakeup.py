"""Without word from the system, or with too much of it, files are found by the poll alone."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.config import FileInput
from shipper.inputs.tailer import Tailer
from shipper.inputs.wakeup import FOLDERS_MAX_COUNT, WakeUp

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


def test_wakes_when_a_file_comes(tmp_path: Path) -> None:
    woken = threading.Event()
    wake_up = WakeUp([FileInput(paths=(str(tmp_path / "*.log"),))], woken.set)
    (tmp_path / "new.log").touch()
    assert woken.wait(10)
    wake_up.close()


@pytest.mark.parametrize(
    "error", [OSError(28, "inotify watch limit reached"), OSError(24, "inotify instance limit reached")]
)
def test_out_of_inotify_it_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: OSError
) -> None:
    import watchdog.observers

    def refuse(self: object) -> None:
        raise error

    monkeypatch.setattr(watchdog.observers.Observer, "start", refuse)
    with caplog.at_level(logging.INFO):
        wake_up = WakeUp([FileInput(paths=(str(tmp_path / "*.log"),))], lambda: None)
    assert "found by polling alone" in caplog.text
    wake_up.close()


def test_more_folders_than_it_watches_and_missing_ones_are_no_error(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(FOLDERS_MAX_COUNT + 10)]
    for folder in folders[::2]:
        folder.mkdir()
    WakeUp([FileInput(paths=tuple(f"{folder}/*.log" for folder in folders))], lambda: None).close()


@pytest.mark.parametrize("pause_seconds", [1.0, 3.0, 10.0])
def test_everything_is_found_without_a_single_wake_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pause_seconds: float
) -> None:
    """The bench has no wake-up at all: what an overflow of the system's queue lost is found the same way."""
    # As long as it pauses where looking takes long.
    monkeypatch.setattr(Tailer, "_pause", lambda tailer, took_seconds: pause_seconds)
    bench.write(1)
    bench.turn()
    for number in range(50):
        bench.write(2)
        bench.rotate_numbered(keep=60)
        bench.now += 1
        for _ in range(5):
            bench.keep(bench.tailer.turn(bench.now).batch)
        assert number < 50
    bench.turn(6)
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps


def test_a_link_that_is_turned_to_the_next_file_is_followed(tmp_path: Path, bench: Bench) -> None:
    """What kubelet and some loggers do: a link to the current file, made anew at each rotation."""
    target = tmp_path / "files"
    target.mkdir()
    for number in range(4):
        one = target / f"run-{number}"
        bench.write(3, one)
        bench.log.unlink(missing_ok=True)
        bench.log.symlink_to(one)
        bench.turn()
        bench.write(2, one)
        bench.turn(1 if number % 2 else 4)
        if number == 2:
            bench.restart()
    bench.turn(5)
    assert sorted(bench.events) == list(range(bench.written))


def test_a_copy_in_a_folder_that_another_pattern_names_is_not_read_twice(tmp_path: Path, bench: Bench) -> None:
    """logrotate's olddir, by rename and by copytruncate, while it runs and while it is stopped."""
    old = tmp_path / "old"
    old.mkdir()
    bench.pattern = str(tmp_path / "**/*.log*")
    bench.restart()
    for number, stopped in enumerate((False, True, False, True)):
        bench.write(40)
        bench.turn()
        if stopped:
            bench.stop()
        bench.write(40)
        if number < 2:
            bench.log.rename(old / f"coderd.log.{number}")
        else:
            bench.copytruncate(f"old/coderd.log.{number}")
        bench.write(1)
        if stopped:
            bench.start()
        bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert all(not gap.bytes for gap in bench.gaps)


def test_permission_lost_and_regained_loses_nothing(make_bench: type[Bench]) -> None:
    mine = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bench = make_bench(Path(folder))
        bench.write(5)
        bench.turn()
        bench.stop()
        bench.write(5)
        bench.log.chmod(0)
        try:
            if mine == 0:
                os.seteuid(65534)
            bench.start()
            bench.turn(20)
        finally:
            os.seteuid(mine)
        assert bench.events == list(range(5))
        assert str(bench.log) in bench.tailer.troubles
        assert not bench.gaps
        bench.log.chmod(0o644)
        bench.turn(5)
        assert bench.whole()
        assert not bench.gaps
        bench.tailer.finish()


def test_a_first_start_that_died_before_its_first_batch_is_still_the_first(bench: Bench) -> None:
    """With read_from = "end" old lines stay unread; the flag that says so is in the batch of the first look."""
    bench.read_from, bench.first = "end", True
    bench.write(5)
    bench.start()
    bench.now += 1
    lost = bench.tailer.turn(bench.now).batch
    assert lost.began
    bench.crash()
    bench.first = True  # the journal holds nothing of it
    bench.start()
    bench.turn()
    bench.write(5)
    bench.turn()
    assert bench.events == list(range(5, 10))
