"""Backfill reads whole files once, whatever they are packed in, beside a daemon or without one."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from tests.service.conftest import Service


def backfill(service: Service, *paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shipper", "backfill", "-c", str(service.config), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def archive(service: Service) -> Path:
    """A folder with the same log's older files: plain, gzip, zstd, bzip2, one inside another folder."""
    folder = service.config.parent / "archive"
    (folder / "deeper").mkdir(parents=True)
    for name, pack in (
        ("a.log", bytes),
        ("b.log.gz", gzip.compress),
        ("c.log.zst", zstandard.compress),
        ("deeper/d.log.bz2", bz2.compress),
    ):
        service.log = folder / "made"
        service.write(50)
        (folder / name).write_bytes(pack(service.log.read_bytes()))
        service.log.unlink()
    service.log = service.logs / "coderd.log"
    return folder


def conserved(service: Service) -> bool:
    import sqlite3

    db = sqlite3.connect(service.state / "journal.db")
    rows = db.execute("SELECT entries, stored + duplicates + malformed + not_ours FROM counters").fetchall()
    db.close()
    return all(entries == accounted for entries, accounted in rows)


def test_everything_is_indexed_once_however_often_it_is_run(service: Service) -> None:
    folder = archive(service)
    for _ in range(2):
        assert backfill(service, folder).returncode == 0
        assert service.indexed() == list(range(200))
    done = backfill(service, folder)
    assert done.stdout == ""
    assert "0 events stored, 0 were known, 4 files were read before" in done.stderr
    assert conserved(service)


def test_a_file_that_was_packed_between_two_runs_is_known(service: Service) -> None:
    folder = archive(service)
    assert backfill(service, folder / "a.log").returncode == 0
    (folder / "a.log.gz").write_bytes(gzip.compress((folder / "a.log").read_bytes()))
    (folder / "a.log").unlink()
    done = backfill(service, folder / "a.log.gz")
    assert "0 events stored, 0 were known, 1 files were read before" in done.stderr


def test_what_was_appended_since_the_last_run_is_read(service: Service) -> None:
    service.log = service.config.parent / "one.log"
    service.write(10)
    assert backfill(service, service.log).returncode == 0
    service.write(5)
    done = backfill(service, service.log)
    assert "5 events stored, 0 were known" in done.stderr
    assert service.indexed() == list(range(15))


def test_beside_a_running_daemon(service: Service) -> None:
    service.write(10)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 10, "the daemon's own")
    done = backfill(service, archive(service), service.logs)
    assert done.returncode == 0, done.stderr
    assert service.indexed() == list(range(210))
    assert service.end() == 0
    assert service.status()["gaps_count"] == 0


def test_the_daemon_seeks_no_file_that_was_backfilled(service: Service) -> None:
    folder = archive(service)
    assert backfill(service, folder).returncode == 0
    for path in folder.rglob("*.*"):
        path.unlink()
    service.write(10)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 210, "the daemon's own")
    assert service.end() == 0
    assert service.status()["gaps_count"] == 0


def test_killed_and_interrupted_runs_are_gone_on_with(service: Service) -> None:
    service.log = service.config.parent / "big.log"
    service.write(60_000)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "backfill", "-c", str(service.config), str(service.log)],
            stderr=subprocess.PIPE,
        )
        already, poll = len(service.indexed()), process.poll

        def goes_on(already: int = already, poll: Callable[[], int | None] = poll) -> bool:
            return len(service.indexed()) > already or poll() is not None

        service.wait_for(goes_on, "some events")
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert b"Traceback" not in said
    done = backfill(service, service.log)
    assert done.returncode == 0, done.stderr
    assert service.indexed() == list(range(60_000))
    assert conserved(service)
    import sqlite3

    db = sqlite3.connect(service.state / "journal.db")
    assert db.execute("SELECT SUM(duplicates) FROM counters").fetchone() == (0,)
    db.close()


def test_a_damaged_file_is_told_and_the_others_are_read(service: Service) -> None:
    folder = archive(service)
    packed = (folder / "b.log.gz").read_bytes()
    (folder / "b.log.gz").write_bytes(packed[: len(packed) // 2])
    done = backfill(service, folder)
    assert done.returncode == 4
    assert "b.log.gz: can't be unpacked" in done.stderr
    assert set(range(50)) | set(range(100, 200)) <= set(service.indexed())


def test_a_path_that_is_not_there_is_refused(service: Service) -> None:
    done = backfill(service, Path("/nowhere/at/all"))
    assert done.returncode == 4
    assert "/nowhere/at/all: can't be read" in done.stderr


def test_a_terminal_gets_a_bar_and_no_name_can_command_it(service: Service) -> None:
    service.log = service.config.parent / "odd\x1b[31m.log"
    service.write(20_000)
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "shipper", "backfill", "-c", str(service.config), str(service.log)],
        stderr=side,
        stdout=side,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "160"},
    )
    os.close(side)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            part = os.read(main, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait(30) == 0
    assert b" events" in shown
    assert b"MiB" in shown
    assert b"odd\x1b[31m" not in shown
    assert json.loads(json.dumps(service.indexed())) == list(range(20_000))
