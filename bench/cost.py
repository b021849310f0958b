"""``python -m bench.cost``: what a daemon costs that does what it mostly does: it starts, waits, and reads 200 lines a second.

Prints the figures beside their limits, or rewrites its section of a page with ``--write``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.daemon import Status
from bench.machine import describe
from bench.page import Page
from bench.process import CONNLOG, BenchError, Child, environment
from shipper.errors import ConnlogError

LINES_A_SECOND = 200
EVENTS_SHARE = 20
"""One line in so many is an event: 5 %."""
TICK_SECONDS = 0.005
SETTLE_SECONDS = 8.0
"""After the start, until nothing of it is left to do."""
DEADLINE_SECONDS = 120.0
RESIDENT_MAX_BYTES = 60_000_000
START_MAX_SECONDS = 1.0
REST_MAX_SHARE, LOAD_MAX_SHARE = 0.005, 0.015
SPLUNK = '[[output]]\ntype = "splunk_hec"\nendpoints = ["http://127.0.0.1:9"]\ntoken_file = "hec-token"\n'
"""Nobody listens there: what it takes in memory is there all the same."""
BEGIN = "<!-- begin: written by bench.cost -->"


class Result(msgspec.Struct, frozen=True):
    """CPU as seconds of user and system time, memory resident, wakes a second of all threads."""

    start_cpu_seconds: float
    start_wall_seconds: float
    rest_cpu_share: float
    rest_wakes: float
    resident_bytes: int
    load_cpu_share: float
    load_wakes: float
    events: int
    splunk_cpu_seconds: float = 0.0
    """From start to ready with an output to Splunk beside the index."""
    splunk_resident_bytes: int = 0


class Usage(msgspec.Struct, frozen=True):
    """What a process has used up to a moment, in monotonic seconds."""

    at: float
    cpu_seconds: float
    wakes: int


def usage(pid: int) -> Usage:
    """Of all threads that there are; those of the kernel's counters that grow by one for each time a thread gave up its core."""
    wakes = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in (thread / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    wakes += int(line.rpartition(":")[2])
    # Its clock as clock_getcpuclockid(3) makes it, in nanoseconds; /proc/PID/stat counts in hundredths of a second.
    return Usage(time.monotonic(), time.clock_gettime_ns(~pid << 3 | 2) / 1e9, wakes)


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def line(number: int) -> bytes:
    """One line of coderd's, every twentieth of which is an event."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if number % EVENTS_SHARE:
        fields: dict[str, object] = {"host": "coder.example.com", "path": f"/api/v2/x/{number}", "status_code": 200}
        top = {"ts": stamp, "level": "DEBUG", "msg": "GET", "logger_names": ["coderd"], "fields": fields}
        return msgspec.json.encode(top) + b"\n"
    fields = {
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": stamp,
        "OrganizationID": str(uuid.UUID(int=7)),
        "WorkspaceOwnerID": str(uuid.UUID(int=number % 50 + 9)),
        "WorkspaceID": str(uuid.UUID(int=number % 200 + 100)),
        "WorkspaceName": f"ws-{number % 200}",
        "AgentName": "main",
        "Type": "ssh",
        "Ip": f"10.0.{number % 200}.1",
        "ConnectionID": str(uuid.UUID(int=number // 2 + 10**9)),
        "ConnectionStatus": "connected" if number % 2 else "disconnected",
    }
    top = {"ts": stamp, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return msgspec.json.encode(top) + b"\n"


def measure(folder: Path, seconds: float, tell: Callable[[str], None]) -> Result:
    """One daemon from its start over a rest to the load. Raises BenchError."""
    logs, state = folder / "logs", folder / "state"
    logs.mkdir()
    log = logs / "coderd.log"
    log.write_bytes(b"")
    command = _command(folder, "")
    found: Result | None = None
    # Once for its byte code and the databases: an installed daemon is mostly started again.
    for counted in (False, True):
        (state / "status.json").unlink(missing_ok=True)
        tell("starting" if counted else "starting once for the byte code")
        began = time.monotonic()
        with Child(command, Path(os.devnull), folder / "said", environment()) as child:
            child.wait_until(lambda: _status(state) is not None, DEADLINE_SECONDS, "a status")
            started = usage(child.pid)
            if counted:
                found = _measured(child, log, state, started, started.at - began, seconds, tell)
                break
            child.terminate()
            child.wait()
    tell("with an output to Splunk")
    (state / "status.json").unlink()
    with Child(_command(folder, SPLUNK), Path(os.devnull), folder / "said", environment()) as child:
        child.wait_until(lambda: _status(state) is not None, DEADLINE_SECONDS, "a status")
        cpu_seconds = usage(child.pid).cpu_seconds
        time.sleep(SETTLE_SECONDS)
        held = resident(child.pid)
        child.terminate()
        child.wait()
    assert found is not None
    return msgspec.structs.replace(found, splunk_cpu_seconds=cpu_seconds, splunk_resident_bytes=held)


def _command(folder: Path, more: str) -> tuple[str, ...]:
    """What starts a daemon on the folder, its configuration written anew."""
    config = folder / "connlog.toml"
    (folder / "hec-token").write_text("token\n")
    config.write_text(
        f'[state]\ndir = "{folder}/state"\n[[input]]\ntype = "file"\npaths = ["{folder}/logs/*.log"]\n'
        f'[metrics]\nlisten = "127.0.0.1:0"\n[[output]]\ntype = "index"\n{more}'
    )
    return (*CONNLOG, "run", "-c", str(config))


def _measured(
    child: Child, log: Path, state: Path, started: Usage, wall: float, seconds: float, tell: Callable[[str], None]
) -> Result:
    tell(f"at rest for {seconds:.0f} s")
    time.sleep(SETTLE_SECONDS)
    before = usage(child.pid)
    time.sleep(seconds)
    rested = usage(child.pid)
    resting_bytes = resident(child.pid)
    tell(f"{LINES_A_SECOND} lines a second for {seconds:.0f} s")
    with log.open("ab", buffering=0) as file:
        # The first lines of all bring what only they need.
        number = _write(file.write, 0, SETTLE_SECONDS)
        begun = usage(child.pid)
        number = _write(file.write, number, seconds)
        done = usage(child.pid)

    def read() -> bool:
        status = _status(state)
        if status is None or sum(source.entries for source in status.sources.values()) < number:
            return False
        return not any(output.pending for output in status.outputs)

    child.wait_until(read, DEADLINE_SECONDS, f"{number} lines read and indexed")
    status = _status(state)
    assert status is not None
    events = sum(source.stored for source in status.sources.values())
    if events != -(-number // EVENTS_SHARE):
        raise BenchError(f"{events} events were stored of {-(-number // EVENTS_SHARE)}")
    child.terminate()
    child.wait()
    return Result(
        started.cpu_seconds,
        wall,
        *_rates(before, rested),
        resting_bytes,
        *_rates(begun, done),
        events,
    )


def _write(write: Callable[[bytes], object], number: int, seconds: float) -> int:
    """Append at the rate for so long; returns the number of the next line."""
    first, begun = number, time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        due = first + int(passed * LINES_A_SECOND)
        while number < due:
            # One at a time, as coderd writes them.
            write(line(number))
            number += 1
        time.sleep(TICK_SECONDS)
    return number


def _rates(before: Usage, after: Usage) -> tuple[float, float]:
    passed = after.at - before.at
    return (after.cpu_seconds - before.cpu_seconds) / passed, (after.wakes - before.wakes) / passed


def _status(state: Path) -> Status | None:
    try:
        status = msgspec.json.decode((state / "status.json").read_bytes(), type=Status)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return status if status.state == "reading" else None


def section(result: Result, command: str) -> str:
    """The figures beside their limits, in Markdown."""
    machine = describe()
    rows = [
        _row("memory resident at rest", result.resident_bytes, RESIDENT_MAX_BYTES),
        _row("memory resident at rest, with an output to Splunk", result.splunk_resident_bytes, RESIDENT_MAX_BYTES),
        _row("CPU from start to ready", result.start_cpu_seconds, START_MAX_SECONDS),
        _row("CPU from start to ready, with an output to Splunk", result.splunk_cpu_seconds, START_MAX_SECONDS),
        _row(f"CPU at {LINES_A_SECOND} lines/s, 5 % events", result.load_cpu_share, LOAD_MAX_SHARE),
        _row("CPU at rest", result.rest_cpu_share, REST_MAX_SHARE),
    ]
    lines = [
        f"```sh\n{command}\n```\n",
        (
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, connlog {machine.connlog}, Python {machine.python}, {machine.cpu}, {machine.cores} "
            f"cores, load average {machine.load_average}; {result.events} events; ready after {result.start_wall_seconds:.1f} s by the "
            f"clock; {result.rest_wakes:.0f} wakes a second at rest, {result.load_wakes:.0f} under load.\n"
        ),
        "| what | measured | limit | verdict |",
        "| --- | --: | --: | --: |",
        *rows,
    ]
    return "\n".join(lines)


def _row(what: str, found: float, limit: float) -> str:
    """One figure beside its limit: bytes where it is a whole number, a share of one core below a tenth, else seconds."""

    def shown(value: float) -> str:
        if isinstance(value, int):
            return f"{value / 1e6:.1f} MB"
        return f"{value:.2%} of one core" if limit < 0.1 else f"{value:.2f} s"

    return f"| {what} | {shown(found)} | ≤ {shown(limit)} | {'met' if found <= limit else 'NOT MET'} |"


def main(arguments: list[str]) -> int:
    """Measure once and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to look on, at rest and under load (30)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also rewrite the section of this page")
    options = parser.parse_args(arguments)
    try:
        page = Page(options.write, BEGIN) if options.write else None
        with tempfile.TemporaryDirectory(prefix="connlog-cost-") as folder:
            result = measure(Path(folder), options.seconds, lambda text: print(f"bench: {text}", file=sys.stderr))
        text = section(result, f".venv/bin/python -m bench.cost --seconds {options.seconds:g}")
        if page is not None:
            page.write(text)
    except ConnlogError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
