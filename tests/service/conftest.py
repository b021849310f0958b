"""A real daemon in a process of its own, and a log that is written to meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conservation import assert_journal, journals_in

DEADLINE_SECONDS = 60.0


def json_line(number: int, agent: str | None) -> bytes:
    """A connection event as coderd logs it in its JSON form; its id tells its number."""
    stamp = "2026-09-01T10:00:00.123456789Z"
    fields = {
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": stamp,
        "OrganizationID": str(uuid.UUID(int=7)),
        "WorkspaceID": str(uuid.UUID(int=8)),
        "WorkspaceName": "dev",
        "AgentName": "main",
        "Type": "ssh",
        "ConnectionID": str(uuid.UUID(int=number + 10**9)),
        "ConnectionStatus": "connected",
        "Ip": "10.0.0.1",
        "UserAgent": f"{agent}{number}" if agent else None,
    }
    line = {
        "ts": stamp,
        "level": "INFO",
        "msg": "connection_log",
        "caller": "x.go:1",
        "func": "f",
        "logger_names": ["coderd"],
        "fields": fields,
    }
    return json.dumps(line).encode() + b"\n"


class Service:
    """A daemon on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.log = self.logs / "coderd.log"
        self.state = folder / "state"
        self.config = folder / "connlog.toml"
        self.configure()
        self.errors = folder / "stderr"
        self.process: subprocess.Popen[bytes] | None = None
        self.written = 0

    def configure(self, *, state: str = "", inputs: str = "", listen: str = "") -> None:
        self.config.write_text(
            f'[state]\ndir = "{self.state}"\n{state}\n'
            f'[[input]]\ntype = "file"\npaths = ["{self.logs}/*.log"]\n{inputs}\n'
            f'[metrics]\nlisten = "{listen}"\n'
        )

    def start(self) -> None:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shipper", "run", "-c", str(self.config)], stderr=errors, stdout=errors
            )

    def wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(DEADLINE_SECONDS)
        self.process = None
        return code

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def write(self, count: int, big: bool = False) -> None:
        with self.log.open("ab") as file:
            for _ in range(count):
                file.write(json_line(self.written, os.urandom(2000).hex() if big else None))
                self.written += 1

    def status(self) -> dict[str, object]:
        try:
            found: dict[str, object] = json.loads((self.state / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def indexed(self) -> list[int]:
        """The numbers of the events in the index, one for each row."""
        if not (self.state / "index.db").exists():
            return []
        db = sqlite3.connect(f"file:{self.state / 'index.db'}?mode=ro", uri=True, timeout=60)
        try:
            return sorted(int.from_bytes(row[0], "big") - 1 for row in db.execute("SELECT event FROM events"))
        except sqlite3.OperationalError as error:
            assert "no such table" in str(error) or "locked" in str(error)  # it is being made just now
            return []
        finally:
            db.close()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Poll until it holds; fail loudly when it does not in time."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}; the daemon said: {self.said()}"
            time.sleep(0.02)

    def said(self) -> str:
        return self.errors.read_text()


@pytest.fixture(autouse=True)
def conserved(tmp_path: Path) -> Iterator[None]:
    """Whatever a test did, no journal that it leaves has lost count of an entry."""
    yield
    for path in journals_in(tmp_path):
        assert_journal(path)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    one = Service(tmp_path)
    yield one
    if one.process is not None:
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()
