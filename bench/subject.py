"""A subject: something that reads a load as one whole process, connlog itself or a reference beside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.daemon import run_until_taken, write_config
from bench.hec import end_to_end
from bench.load import Load, Plan
from bench.process import CONNLOG, BenchError, Child, Cost, environment

PIPE_BYTES = 4096
_LOOP = """\
import sys, orjson
for line in open(sys.argv[1], "rb"):
    orjson.loads(line)
"""
Name = Literal["wc", "grep", "orjson", "parse", "daemon", "hec", "post", "output"]
NAMES: tuple[Name, ...] = ("wc", "grep", "orjson", "parse", "daemon", "hec")
TITLES: dict[Name, str] = {
    "wc": "wc -l",
    "grep": "grep -c connection_log",
    "orjson": "orjson.loads loop",
    "parse": "connlog parse",
    "daemon": "connlog run",
    "hec": "connlog run to HEC",
    "post": "dump, gzip, post",
    "output": "HEC output alone",
}
LONG_NAMES: tuple[Name, ...] = ("orjson", "hec")
"""What is measured, in the order in which it runs; the last two bring out a journal (``bench.hec``).
``LONG_NAMES`` is all that is measured on a long load."""


def names_of(plan: Plan) -> tuple[Name, ...]:
    """What is measured on a load. Nobody has to parse the lines that are no events, so the loop says something of loads
    of events alone; the way to HEC of those is measured on the long ones."""
    if plan.long:
        return LONG_NAMES
    return tuple(name for name in NAMES if name != ("hec" if plan.all_events else "orjson"))


def measure(name: Name, load: Load, json_lines: Load, folder: Path) -> Cost:
    """Run it once. ``json_lines`` is what the loop reads: the JSON form of as many events of the same kinds.

    Raises BenchError where it fails, or where the daemon doesn't store all of the load's events.
    """
    return _SUBJECTS[name](load, json_lines, folder)


def count_records(load: Load, folder: Path) -> Cost:
    """``connlog parse`` into a file, its lines counted: raises BenchError unless there is one for each event."""
    out = folder / "records.ndjson"
    cost = _run((*CONNLOG, "parse", str(load.path)), out, folder)
    with out.open("rb") as file:
        found = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    out.unlink()
    if found != load.events:
        raise BenchError(f"connlog parse gave {found} records of {load.plan.name}, which holds {load.events} events")
    return cost


def _wc(load: Load, _json: Load, folder: Path) -> Cost:
    return _run(("wc", "-l", str(load.path)), Path(os.devnull), folder)


def _grep(load: Load, _json: Load, folder: Path) -> Cost:
    # A pipe, as grep stops at the first match where it sees that its output is /dev/null.
    reader, writer = os.pipe()
    try:
        return _run(("grep", "-c", "connection_log", str(load.path)), Path(f"/dev/fd/{writer}"), folder)
    finally:
        os.close(writer)
        os.read(reader, PIPE_BYTES)
        os.close(reader)


def _orjson(_load: Load, json: Load, folder: Path) -> Cost:
    return _run((sys.executable, "-c", _LOOP, str(json.path)), Path(os.devnull), folder)


def _parse(load: Load, _json: Load, folder: Path) -> Cost:
    return _run((*CONNLOG, "parse", str(load.path)), Path(os.devnull), folder)


def _daemon(load: Load, _json: Load, folder: Path) -> Cost:
    state = folder / "state"
    config = write_config(folder / "connlog.toml", state, load.path, {"type": "index"})
    try:
        return run_until_taken(config, state, load.events, folder / "daemon.log")
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _hec(load: Load, _json: Load, folder: Path) -> Cost:
    return end_to_end(load, folder)


_SUBJECTS: dict[str, Callable[[Load, Load, Path], Cost]] = {
    "wc": _wc,
    "grep": _grep,
    "orjson": _orjson,
    "parse": _parse,
    "daemon": _daemon,
    "hec": _hec,
}


def _run(command: tuple[str, ...], stdout: Path, folder: Path) -> Cost:
    # The C locale is grep's and wc's fastest.
    with Child(command, stdout, folder / "stderr", environment(LC_ALL="C")) as child:
        return child.wait()
