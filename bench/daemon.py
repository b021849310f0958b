"""A daemon to be measured: its configuration, how far it is, and what it cost until it was done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.process import CONNLOG, BenchError, Child, Cost, environment

DEADLINE_SECONDS = 900.0
JOURNAL_MAX = "16GiB"
_CONFIG = """\
[state]
dir = {state}
journal_max = "{journal_max}"
[[input]]
type = "file"
paths = [{path}]
[[output]]
{output}
[metrics]
listen = ""
"""


class Source(msgspec.Struct):
    """A source's counts of entries."""

    entries: int = 0
    stored: int = 0
    duplicates: int = 0


class Output(msgspec.Struct):
    """An output's count of events that it has not taken."""

    pending: int


class Status(msgspec.Struct):
    """The part of the daemon's status that says how far it is."""

    state: str
    sources: dict[str, Source]
    outputs: list[Output]


class Progress(msgspec.Struct, frozen=True):
    """How many events the journal has been given, and how many of them the outputs have not taken."""

    taken_in: int
    pending: int


def write_config(path: Path, state: Path, log: Path, output: dict[str, object]) -> Path:
    """A configuration with one input and one output, at ``path``."""
    lines = "\n".join(f"{key} = {_toml(value)}" for key, value in output.items())
    path.write_text(
        _CONFIG.format(state=_toml(state), path=_toml(log), output=lines, journal_max=JOURNAL_MAX), encoding="utf-8"
    )
    return path


def progress(state: Path) -> Progress:
    """What the daemon on ``state`` last said; it renames the file into its place."""
    try:
        status = msgspec.json.decode((state / "status.json").read_bytes(), type=Status)
    except FileNotFoundError:
        return Progress(0, 0)
    taken_in = sum(source.stored + source.duplicates for source in status.sources.values())
    return Progress(taken_in, sum(output.pending for output in status.outputs))


def run_until_taken(config: Path, state: Path, events: int, said: Path) -> Cost:
    """Run the daemon until it has read so many events and its output has taken them all, and end it with SIGTERM.

    Raises BenchError where it doesn't.
    """

    def settled() -> bool:
        now = progress(state)
        return now.taken_in >= events and not now.pending

    return _run(config, said, settled, f"{events} events taken by its output", state)


def run_until_read(config: Path, state: Path, events: int, said: Path) -> Cost:
    """The same until it has read them, whatever its output does."""
    return _run(config, said, lambda: progress(state).taken_in >= events, f"{events} events in its journal", state)


def _run(config: Path, said: Path, done: Callable[[], bool], what: str, state: Path) -> Cost:
    # What an earlier run said is not what this one says.
    (state / "status.json").unlink(missing_ok=True)
    with Child((*CONNLOG, "run", "-c", str(config)), Path(os.devnull), said, environment()) as child:
        child.wait_until(done, DEADLINE_SECONDS, what)
        child.terminate()
        cost = child.wait()
    if not done():
        raise BenchError(f"connlog run ended without {what}")
    return cost


def _toml(value: object) -> str:
    """A TOML value: JSON's texts are among TOML's."""
    return msgspec.json.encode(str(value) if isinstance(value, Path) else value).decode()
