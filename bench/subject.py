"""A subject: something that reads a load as one whole process, connlog itself or a reference beside it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from bench.load import Load
from bench.process import CONNLOG, BenchError, Child, Cost, environment

DAEMON_DEADLINE_SECONDS = 900.0
PIPE_BYTES = 4096
_LOOP = """\
import sys, orjson
for line in open(sys.argv[1], "rb"):
    orjson.loads(line)
"""
_CONFIG = """\
[state]
dir = {state}
[[input]]
type = "file"
paths = [{path}]
[[output]]
type = "index"
"""

Name = Literal["wc", "grep", "orjson", "parse", "daemon"]
NAMES: tuple[Name, ...] = ("wc", "grep", "orjson", "parse", "daemon")
TITLES: dict[Name, str] = {
    "wc": "wc -l",
    "grep": "grep -c connection_log",
    "orjson": "orjson.loads loop",
    "parse": "connlog parse",
    "daemon": "connlog run",
}
"""What is measured, in the order in which it runs."""


class _Source(msgspec.Struct):
    stored: int = 0
    duplicates: int = 0


class _Output(msgspec.Struct):
    pending: int


class _Status(msgspec.Struct):
    """The part of the daemon's status that says how far it is."""

    sources: dict[str, _Source]
    outputs: list[_Output]


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
    config = folder / "connlog.toml"
    config.write_text(_CONFIG.format(state=_quote(state), path=_quote(load.path)), encoding="utf-8")
    said = folder / "daemon.log"
    try:
        with Child((*CONNLOG, "run", "-c", str(config)), Path(os.devnull), said, environment()) as child:
            what = f"{load.events} events searchable"
            child.wait_until(lambda: _settled(state, load.events), DAEMON_DEADLINE_SECONDS, what)
            child.terminate()
            cost = child.wait()
        if not _settled(state, load.events):
            raise BenchError(f"connlog run ended without {what}")
        return cost
    finally:
        shutil.rmtree(state, ignore_errors=True)


_SUBJECTS: dict[Name, Callable[[Load, Load, Path], Cost]] = {
    "wc": _wc,
    "grep": _grep,
    "orjson": _orjson,
    "parse": _parse,
    "daemon": _daemon,
}


def _run(command: tuple[str, ...], stdout: Path, folder: Path) -> Cost:
    # The C locale is grep's and wc's fastest.
    with Child(command, stdout, folder / "stderr", environment(LC_ALL="C")) as child:
        return child.wait()


def _settled(state: Path, events: int) -> bool:
    """Is every event of the load stored, and taken by the index? The daemon renames the file into its place."""
    try:
        status = msgspec.json.decode((state / "status.json").read_bytes(), type=_Status)
    except FileNotFoundError:
        return False
    seen = sum(source.stored + source.duplicates for source in status.sources.values())
    return seen >= events and not any(output.pending for output in status.outputs)


def _quote(path: Path) -> str:
    """A TOML string: JSON's escapes are among TOML's."""
    return msgspec.json.encode(str(path)).decode()
