"""``python -m bench.idle``: what a daemon costs that follows thousands of files to which nobody writes.

It prints three figures: seconds until every event that was there is in the index, CPU seconds a minute afterwards,
and resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path

from bench.process import CONNLOG, ROOT, BenchError

START_SECONDS = 300.0
REST_SECONDS = 12.0
"""Longer than a file counts as one that grows, and than the longest pause between two looks."""


def line(number: int) -> bytes:
    """One connection event."""
    fields = {
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": "2026-09-01T10:00:00.123456789Z",
        "WorkspaceID": str(uuid.UUID(int=8)),
        "AgentName": "main",
        "Type": "ssh",
        "ConnectionID": str(uuid.UUID(int=number + 10**9)),
        "ConnectionStatus": "connected",
    }
    top = {"ts": fields["Time"], "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(top).encode() + b"\n"


def indexed(path: Path) -> int:
    """The events in the index, 0 while there is none."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT COUNT(*) FROM events").fetchone()[0])
    return 0


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, count: int, seconds: float) -> tuple[float, float, int]:
    """Seconds to the start's end, CPU seconds a minute, resident bytes. Raises BenchError."""
    logs = folder / "logs"
    logs.mkdir()
    for number in range(count):
        (logs / f"pod{number:06d}.log").write_bytes(line(number))
    config = folder / "connlog.toml"
    config.write_text(
        f'[state]\ndir = "{folder}/state"\n[[input]]\ntype = "file"\npaths = ["{logs}/*.log"]\n[metrics]\nlisten = ""\n'
    )
    began = time.monotonic()
    with subprocess.Popen([*CONNLOG, "run", "-c", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL) as daemon:
        try:
            while indexed(folder / "state" / "index.db") < count:
                if daemon.poll() is not None or time.monotonic() - began > START_SECONDS:
                    raise BenchError(f"the daemon does not index {count} files; see what 'connlog run' says")
                time.sleep(0.1)
            start_seconds = time.monotonic() - began
            time.sleep(REST_SECONDS)
            before, at = cpu_seconds(daemon.pid), time.monotonic()
            time.sleep(seconds)
            minute = (cpu_seconds(daemon.pid) - before) * 60 / (time.monotonic() - at)
            pages = int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1])
        finally:
            daemon.terminate()
    return start_seconds, minute, pages * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str]) -> int:
    """Measure once and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--files", type=int, default=6000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to look on while nothing happens")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="connlog-idle-") as folder:
        start_seconds, minute, resident = measure(Path(folder), options.files, options.seconds)
    print(f"{options.files} files: all read after {start_seconds:.1f} s")
    print(f"idle: {minute:.2f} CPU seconds a minute, {resident / 1e6:.0f} MB resident")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
