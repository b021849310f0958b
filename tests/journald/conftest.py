"""Journal files of our own making, read by the real journalctl, and a stand-in for the faults it does not show."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipper.config import JournaldInput
from shipper.inputs.journald import Journald
from shipper.journal import Batch, FeedPosition
from shipper.record import Gap, Malformed, Record
from tests.conservation import assert_piece

WRITER = Path("/lib/systemd/systemd-journal-remote")
DEADLINE_SECONDS = 60.0
BOOT = "1" * 32
START_US = 1_790_000_000_000_000


def event(number: int, agent: str = "x") -> bytes:
    """A connection event as coderd logs it; its id tells its number."""
    fields = {
        "ID": f"00000000-0000-0000-0000-{number:012d}",
        "Time": "2026-09-01T10:00:00Z",
        "Type": "ssh",
        "ConnectionStatus": "connected",
        "UserAgent": agent,
    }
    line = {"ts": "2026-09-01T10:00:00Z", "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"]}
    return json.dumps({**line, "fields": fields}, ensure_ascii=False).encode()


def export(message: bytes, number: int, boot: str = BOOT, **fields: str) -> bytes:
    """One entry in systemd's export format."""
    at = START_US + number * 1_000_000
    usual = {
        "__REALTIME_TIMESTAMP": str(at),
        "__MONOTONIC_TIMESTAMP": str(number * 1_000_000 + 5),
        "_BOOT_ID": boot,
        "_SYSTEMD_UNIT": "coder.service",
        "_TRANSPORT": "stdout",
        "SYSLOG_IDENTIFIER": "coder",
        "PRIORITY": "6",
        "_PID": "77",
        "_STREAM_ID": "f" * 32,
    }
    lines = b"".join(f"{key}={value}\n".encode() for key, value in {**usual, **fields}.items())
    return lines + b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n\n"


class Log:
    """A folder of journal files that is written to, and a journald input on it; what it gives is kept as a journal
    would keep it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "log"
        self.folder.mkdir()
        self.positions: dict[str, FeedPosition] = {}
        self.records: list[Record] = []
        self.malformed: list[Malformed] = []
        self.gaps: list[Gap] = []
        self.entries = self.not_ours = 0
        self.settings: dict[str, object] = {"units": ("coder.service",), "directory": str(self.folder)}
        self.input: Journald | None = None

    def write(self, *entries: bytes, file: str = "system.journal") -> None:
        subprocess.run(
            [WRITER, "-o", self.folder / file, "-"], input=b"".join(entries), check=True, capture_output=True
        )

    def start(self, counted: tuple[str, ...] = ()) -> None:
        watch = JournaldInput(**self.settings)  # type: ignore[arg-type]
        self.input = Journald(watch, self.positions, counted, "here")

    def keep(self, batch: Batch) -> None:
        for piece in batch.pieces:
            self.records += [found.record() for found in piece.encoded]
            self.malformed += piece.malformed
            self.entries += piece.entries
            self.not_ours += piece.not_ours
            assert_piece(piece)
        self.positions.update({feed.key: feed for feed in batch.feeds})
        self.gaps += batch.gaps

    def turn(self, seconds: float = 0.05) -> None:
        assert self.input is not None
        self.keep(self.input.turn(time.monotonic(), woken=False).batch)
        self.input.rest(seconds)

    def until(self, condition: Callable[[], bool]) -> None:
        """Read until it holds; fail loudly when it does not in time."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self.input is not None
            assert time.monotonic() < deadline, (self.numbers, self.gaps, self.input.view())
            self.turn()

    def stop(self) -> None:
        assert self.input is not None
        self.keep(self.input.finish())
        self.input = None

    def crash(self) -> None:
        """End without a word: what was not kept is forgotten."""
        assert self.input is not None
        self.input.finish()
        self.input = None

    @property
    def numbers(self) -> list[int]:
        return [int(record.id[-12:]) for record in self.records]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    if shutil.which("journalctl") is None or not WRITER.exists():
        pytest.skip("needs journalctl and systemd-journal-remote; apt-get install systemd-journal-remote")
    one = Log(tmp_path)
    yield one
    if one.input is not None:
        one.input.finish()


class StandIn:
    """An executable named journalctl that does what a script says, in place of the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.path = folder / "journalctl"

    def does(self, body: str) -> None:
        """Run ``body``, Python with ``arguments``, ``cursor`` (None without one) and ``say(line)``, at each call."""
        text = f"""#!{sys.executable} -S
import json, os, sys, time
arguments = sys.argv[1:]
cursor = next((a.partition("=")[2] for a in arguments if a.startswith("--cursor=")), None)
with open({str(self.calls)!r}, "a") as file:
    file.write(json.dumps([os.getpid(), arguments]) + "\\n")
def say(data):
    os.write(1, data.encode() if isinstance(data, str) else data)
"""
        beside = self.path.with_suffix(".new")
        beside.write_text(text + body)
        beside.chmod(stat.S_IRWXU)
        beside.replace(self.path)

    def made(self) -> list[tuple[int, list[str]]]:
        """Process number and arguments of every call."""
        if not self.calls.exists():
            return []
        return [(number, arguments) for number, arguments in map(json.loads, self.calls.read_text().splitlines())]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return StandIn(folder)


@pytest.fixture
def faulty(tmp_path: Path, stand_in: StandIn) -> Iterator[Log]:
    """An input that reads from the stand-in."""
    one = Log(tmp_path)
    one.settings = {"units": ("coder.service",)}
    yield one
    if one.input is not None:
        one.input.finish()
