"""A real daemon with a HEC output, a log that is written to meanwhile, and HEC servers that do what a test says."""

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
from typing import Any

import pytest

from shipper.journal import sql
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.service.conftest import json_line

DEADLINE_SECONDS = 60.0
QUICK: dict[str, object] = {
    "index": "main",
    "ack": "off",
    "ack_poll": "100ms",
    "ack_timeout": "2s",
    "backoff_max": "200ms",
    "batch_age": "50ms",
}


def event_id(number: int) -> str:
    """The id of the event with that number."""
    return str(uuid.UUID(int=number + 1))


def ids(numbers: range) -> dict[str, int]:
    """What a store counts that has each of these events once."""
    return {event_id(number): 1 for number in numbers}


class Shipper:
    """A daemon on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "coderd.log"
        self.state = folder / "state"
        self.token_file = folder / "hec-token"
        self.set_token(TOKEN)
        self._config = folder / "connlog.toml"
        self._said = folder / "stderr"
        self._process: subprocess.Popen[bytes] | None = None
        self.written = 0

    def set_token(self, value: str) -> None:
        """Writes the token's file anew, by rename."""
        new = self.folder / "hec-token.new"
        new.touch(0o600)
        new.write_text(value + "\n")
        new.rename(self.token_file)

    def configure(self, *servers: HecServer, with_index: bool = False, tables: str = "", **options: Any) -> None:
        """One HEC output with these endpoints; what is not given is as quick as can be. ``tables`` is TOML behind it."""
        given = {"endpoints": [server.url for server in servers], "token_file": str(self.token_file)}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in {**given, **QUICK, **options}.items())
        index = '[[output]]\ntype = "index"\n' if with_index else ""
        self._config.write_text(
            f'[state]\ndir = "{self.state}"\n'
            f'[[input]]\ntype = "file"\npaths = ["{self.log}"]\npoll = "50ms"\n'
            f'{index}[[output]]\ntype = "splunk_hec"\n{lines}\n{tables}\n'
            '[metrics]\nlisten = ""\n'
        )

    def start(self) -> None:
        """Runs the daemon."""
        with self._said.open("ab") as said:
            command = [sys.executable, "-m", "shipper", "run", "-c", str(self._config)]
            self._process = subprocess.Popen(command, stderr=said, stdout=said)

    def stop(self) -> None:
        """Ends it as systemd does."""
        self._signal(signal.SIGTERM)
        assert self._wait() == 0, self.said()

    def reload(self) -> None:
        """Has it read its configuration again."""
        self._signal(signal.SIGHUP)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._signal(signal.SIGKILL)
        self._wait()

    def write(self, count: int, agent: str | None = None) -> range:
        """Logs events; their numbers."""
        first = self.written
        with self.log.open("ab") as file:
            for number in range(first, first + count):
                file.write(json_line(number, agent))
        self.written += count
        return range(first, self.written)

    def status(self) -> dict[str, Any]:
        """What the daemon says of itself; nothing before it has."""
        try:
            found: dict[str, Any] = json.loads((self.state / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def output(self) -> dict[str, Any]:
        """The status of the HEC output."""
        outputs = [each for each in self.status().get("outputs", []) if each["name"] == "splunk_hec"]
        return dict(outputs[0]) if outputs else {}

    def settled(self) -> bool:
        """Is everything that was written delivered, by the journal's own word? The status is only made once a second."""
        stored, pending = self._journal()
        return stored == self.written and pending == 0

    def pending(self) -> int:
        """Events in the journal that the output has not delivered."""
        return self._journal()[1]

    def _journal(self) -> tuple[int, int]:
        """How many events were stored, and how many of them the output has not delivered."""
        try:
            db = sqlite3.connect(f"file:{self.state / 'journal.db'}?mode=ro", uri=True, timeout=60)
        except sqlite3.OperationalError:
            return -1, -1
        try:
            stored = db.execute("SELECT COALESCE(SUM(stored), 0) FROM counters").fetchone()[0]
            pending = {row[0]: row[3] for row in db.execute(sql.PENDING)}
        except sqlite3.OperationalError:
            return -1, -1
        finally:
            db.close()
        return int(stored), int(pending.get("splunk_hec", -1))

    def wait_settled(self) -> None:
        """Waits until all is delivered."""
        self.wait_for(self.settled, "all delivered")

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for a condition; fails loudly where it does not come."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self._process is None or self._process.poll() is None, f"it ended: {self.said()}"
            assert time.monotonic() < deadline, f"waited in vain: {what}; {self.output()}; it said: {self.said()}"
            time.sleep(0.02)

    def waits_with(self, *words: str) -> Callable[[], bool]:
        """Does the output say that it waits, in these words?"""
        return lambda: all(word in str(self.output().get("last_error")) for word in words)

    def quarantine(self) -> list[dict[str, Any]]:
        """What ``connlog quarantine ls`` lists."""
        command = [sys.executable, "-m", "shipper", "quarantine", "ls", "-c", str(self._config), "--output", "ndjson"]
        done = subprocess.run(command, capture_output=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def refused(self) -> dict[str, int]:
        """Code by id of the events that the output refused."""
        return {str(entry["event_id"]): int(entry["code"]) for entry in self.quarantine()}

    def tally(self, name: str) -> int:
        """What the output has counted, over all its lives."""
        with sqlite3.connect(f"file:{self.state / 'journal.db'}?mode=ro", uri=True, timeout=60) as db:
            row = db.execute("SELECT value FROM tallies WHERE name = ?", (name,)).fetchone()
        db.close()
        return 0 if row is None else int(row[0])

    def said(self) -> str:
        """The daemon's own log."""
        return self._said.read_text() if self._said.exists() else ""

    def close(self) -> None:
        """Ends what still runs."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _wait(self) -> int:
        assert self._process is not None
        code = self._process.wait(DEADLINE_SECONDS)
        self._process = None
        return code


@pytest.fixture
def shipper(tmp_path: Path) -> Iterator[Shipper]:
    """A daemon that is configured and started by the test."""
    one = Shipper(tmp_path)
    yield one
    one.close()


@pytest.fixture
def server() -> Iterator[HecServer]:
    """A HEC without acks, where the indexes main and security are."""
    with HecServer(Token(), indexes={"main", "security"}) as server:
        yield server


@pytest.fixture
def acking() -> Iterator[HecServer]:
    """A HEC whose token uses acks."""
    with HecServer(Token(use_ack=True)) as server:
        yield server
