"""The daemon follows the journal beside files: killed at any moment it goes on, and leaves no journalctl behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.journald.conftest import Log, event, export
from tests.service.conftest import Service


@pytest.fixture
def service(tmp_path: Path, log: Log) -> Iterator[Service]:
    (tmp_path / "daemon").mkdir()
    one = Service(tmp_path / "daemon")
    text = one.config.read_text()
    one.config.write_text(
        text + f'\n[[input]]\ntype = "journald"\nunits = ["coder.service"]\ndirectory = "{log.folder}"\n'
    )
    yield one
    if one.process is not None:
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()


def journalctls(log: Log) -> list[int]:
    """The processes that follow this journal."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if arguments[0] == b"journalctl" and f"--directory={log.folder}".encode() in arguments:
                found.append(int(process.name))
    return found


@pytest.mark.fault
def test_a_killed_daemon_leaves_no_child_and_goes_on_where_it_was(service: Service, log: Log) -> None:
    log.write(*(export(event(n), n) for n in range(1001, 1011)))
    service.write(5)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 15, "the events of journal and file")
    assert len(journalctls(log)) == 1
    service.end(signal.SIGKILL)
    service.wait_for(lambda: not journalctls(log), "the end of journalctl")
    log.write(*(export(event(n), n) for n in range(1011, 1021)))
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 25, "the events of the journal since then")
    assert service.end() == 0
    assert not journalctls(log)
    status = service.status()
    assert status["gaps_count"] == 0
    counters = status["sources"][f"journald:coder.service in {log.folder}"]  # type: ignore[index]
    assert counters["entries"] == counters["stored"] == 20
    assert f"'journald:coder.service in {log.folder}'" in str(status["feeds"])


@pytest.mark.fault
def test_a_journal_that_cannot_be_read_does_not_hold_the_files(service: Service, log: Log) -> None:
    log.folder.rmdir()
    service.write(5)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 5, "the events of the file")
    service.wait_for(lambda: "No such file" in str(service.status().get("troubles")), "the trouble")
    log.folder.mkdir()
    log.write(export(event(100), 1))
    service.wait_for(lambda: len(service.indexed()) == 6, "the event of the journal")
    assert service.end() == 0
