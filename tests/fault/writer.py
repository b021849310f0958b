"""The writer: logs numbered events into several files, rotates them in every usual way, and keeps a ledger.

The ledger has a JSON line for each thing done: what was written, and what was destroyed when and how,
before it is done. It runs as a process of its own: ``python -m tests.fault.writer FOLDER LEDGER SEED RATE``,
until SIGTERM, and then ends with whole lines.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

KEEP_COUNT = 12
"""Rotated files that are kept of a log; older ones are deleted, read or not."""


def json_line(number: int) -> bytes:
    """An event as coderd logs it in its JSON form; its id tells its number."""
    fields = {
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": "2026-09-01T10:00:00.123456789Z",
        "WorkspaceID": str(uuid.UUID(int=8)),
        "AgentName": "main",
        "Type": "ssh",
        "ConnectionID": str(uuid.UUID(int=number + 10**9)),
        "ConnectionStatus": "connected",
        "Ip": "10.0.0.1",
    }
    line = {
        "ts": "2026-09-01T10:00:00.123456789Z",
        "level": "INFO",
        "msg": "connection_log",
        "logger_names": ["coderd"],
        "fields": fields,
    }
    return json.dumps(line).encode() + b"\n"


def human_line(number: int) -> bytes:
    """The same in the human form."""
    return (
        f"2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID={uuid.UUID(int=number + 1)}  "
        f"WorkspaceID={uuid.UUID(int=8)}  WorkspaceName=dev  AgentName=main  Type=ssh  Code=<nil>  Ip=10.0.0.1  "
        f'UserAgent=""  UserID=<nil>  ConnectionID={uuid.UUID(int=number + 10**9)}  DisconnectReason=""  '
        f'Time="2026-09-01T10:00:00.123456789Z"  ConnectionStatus=connected\n'
    ).encode()


def stackdriver_line(number: int) -> bytes:
    """The same in the form for Google's logging."""
    line = {
        "logging.googleapis.com/severity": "INFO",
        "severity": "INFO",
        "message": "connection_log",
        "timestampSeconds": 1788256800,
        "timestampNanos": 123456789,
        "logging.googleapis.com/sourceLocation": {"file": "a.go", "line": "1", "function": "f"},
        "logging.googleapis.com/operation": {"producer": "coderd"},
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": "2026-09-01T10:00:00.123456789Z",
        "WorkspaceID": str(uuid.UUID(int=8)),
        "AgentName": "main",
        "Type": "ssh",
        "ConnectionID": str(uuid.UUID(int=number + 10**9)),
        "ConnectionStatus": "connected",
        "Ip": "10.0.0.1",
    }
    return json.dumps(line).encode() + b"\n"


def docker_line(number: int) -> bytes:
    """A JSON event as Docker's json-file driver wraps it."""
    wrapped = {"log": json_line(number).decode(), "stream": "stderr", "time": "2026-09-01T10:00:00.2Z"}
    return json.dumps(wrapped, separators=(",", ":")).encode() + b"\n"


def cri_line(number: int) -> bytes:
    """A human event as a Kubernetes runtime wraps it, in two pieces now and then."""
    stamp, line = b"2026-09-01T10:00:00.2Z stderr ", human_line(number)[:-1]
    if number % 5:
        return stamp + b"F " + line + b"\n"
    return stamp + b"P " + line[:200] + b"\n" + stamp + b"F " + line[200:] + b"\n"


class Ledger:
    """What was done, one JSON line each, flushed so that a reader sees all of it."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("a", encoding="ascii")
        self._inodes: set[int] = set()

    def made(self, path: Path) -> None:
        """A file was made: has the file system given it an inode that another one had?"""
        inode = path.stat().st_ino
        if inode in self._inodes:
            self._file.write(json.dumps({"what": "reused"}) + "\n")
        self._inodes.add(inode)

    def note(self, what: str, log: str, numbers: list[int], how: str = "", born_ns: int = 0) -> None:
        now_ns = time.time_ns()
        entry = {
            "what": what,
            "log": log,
            "how": how,
            "numbers": _ranges(numbers),
            "time_ns": now_ns,
            "born_ns": born_ns,
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


class Log:
    """One log with its way of being rotated: numbered, dated, lumberjack, copytruncate or recreate."""

    def __init__(self, folder: Path, name: str, way: str, line: Callable[[int], bytes], ledger: Ledger) -> None:
        self.name = name
        self._path = folder / f"{name}.log"
        self._way = way
        self._line = line
        self._ledger = ledger
        self._current: list[int] = []
        self._rotated: list[tuple[Path, list[int], int]] = []
        self._made = 0
        self._born_ns = 0

    def write(self, numbers: list[int], halves: bool) -> None:
        """Append the events; with ``halves`` the last line comes in two parts, some time apart."""
        self._ledger.note("written", self.name, numbers)
        data = b"".join(map(self._line, numbers))
        born = not self._current
        self._current += numbers
        fresh = not self._path.exists()
        with self._path.open("ab", buffering=0) as file:
            if halves:
                file.write(data[:-40])
                time.sleep(0.02)
                file.write(data[-40:])
            else:
                file.write(data)
        if born:
            # From here on whoever looks sees that something is there.
            self._born_ns = time.time_ns()
        if fresh:
            self._ledger.made(self._path)

    def rotate(self, chance: random.Random, between: list[int]) -> None:
        """Rotate in this log's way. ``between`` are events that copytruncate finds between copy and truncation."""
        if not self._current:
            self.write(between, halves=False)
            return
        self._made += 1
        if self._way == "recreate":
            self._destroy("deleted", self._current, self._born_ns)
            self._path.unlink()
            self._current = []
            return
        if self._way in ("numbered", "copytruncate"):
            for at, (path, numbers, born_ns) in enumerate(self._rotated):
                # The oldest comes first in the list and has the highest number: every name moved to is free.
                new = f"{self._path.name}.{len(self._rotated) - at + 1}{path.suffix if path.suffix == '.gz' else ''}"
                self._rotated[at] = (path.rename(path.with_name(new)), numbers, born_ns)
            target = self._path.with_name(f"{self._path.name}.1")
        elif self._way == "dated":
            target = self._path.with_name(f"{self._path.name}-{20260901000000 + self._made}")
        else:
            target = self._path.with_name(
                f"{self.name}-2026-01-02T15-{self._made // 60:02d}-{self._made % 60:02d}.000.log"
            )
        if self._way == "copytruncate":
            shutil.copyfile(self._path, target)
            self._rotated.append((target, list(self._current), self._born_ns))
            if between:
                self.write(between, halves=False)
                self._destroy("between copy and truncation", between, self._born_ns)
            os.truncate(self._path, 0)
        else:
            self._path.rename(target)
            self._rotated.append((target, self._current, self._born_ns))
        self._current = []
        if len(self._rotated) > 2 and chance.random() < 0.6:
            self._compress(len(self._rotated) - 3)
        while len(self._rotated) > KEEP_COUNT:
            path, numbers, born_ns = self._rotated.pop(0)
            self._destroy("rotated out", numbers, born_ns)
            path.unlink()

    def truncate(self) -> None:
        """Cut the log down to nothing, without a copy."""
        if self._current:
            self._destroy("truncated", self._current, self._born_ns)
            self._current = []
            os.truncate(self._path, 0)

    def _destroy(self, how: str, numbers: list[int], born_ns: int) -> None:
        self._ledger.note("destroyed", self.name, numbers, how, born_ns)

    def _compress(self, at: int) -> None:
        path, numbers, born_ns = self._rotated[at]
        if path.suffix == ".gz":
            return
        packed = path.with_name(path.name + ".gz")
        with gzip.open(packed, "wb", compresslevel=1) as file:
            file.write(path.read_bytes())
        status = path.stat()
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        self._rotated[at] = (packed, numbers, born_ns)


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Numbers as closed ranges."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def main(folder: Path, ledger_path: Path, seed: int, rate: float) -> None:
    """Write at about ``rate`` events a second until SIGTERM."""
    chance = random.Random(seed)
    ledger = Ledger(ledger_path)
    ways = ("numbered", "dated", "lumberjack", "copytruncate", "recreate")
    forms = (("json", json_line), ("human", human_line))
    logs = [Log(folder, f"{way}-{form}", way, line, ledger) for way in ways for form, line in forms]
    others: tuple[tuple[str, str, Callable[[int], bytes]], ...] = (
        ("numbered", "cri", cri_line),
        ("copytruncate", "docker", docker_line),
        ("lumberjack", "stackdriver", stackdriver_line),
        ("dated", "docker", docker_line),
    )
    logs += [Log(folder, f"{way}-{form}", way, line, ledger) for way, form, line in others]
    ending: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ending.append(number)

    signal.signal(signal.SIGTERM, end)
    written = 0

    def take(count: int) -> list[int]:
        nonlocal written
        numbers = list(range(written, written + count))
        written += count
        return numbers

    for log in logs:
        # A log that connlog has never seen could be destroyed without leaving a trace.
        log.write(take(1), halves=False)
    (folder / "ready").touch()
    while not (folder / "go").exists() and not ending:
        time.sleep(0.02)
    began = time.monotonic()
    while not ending:
        log = chance.choice(logs)
        log.write(take(chance.randrange(1, 60)), halves=chance.random() < 0.2)
        what = chance.random()
        if what < 0.08:
            between = take(chance.randrange(1, 20)) if chance.random() < 0.3 else []
            if between and not log.name.startswith("copytruncate"):
                log.write(between, halves=False)
                between = []
            log.rotate(chance, between)
        elif what < 0.085:
            log.truncate()
        behind = written / rate - (time.monotonic() - began)
        if behind > 0:
            time.sleep(min(behind, 0.2))
    for log in logs:
        log.write(take(1), halves=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
