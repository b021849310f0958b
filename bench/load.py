"""A load: one log file of known lines and events, made anew for each run by a generator of genuine lines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from bench.process import BenchError
from shipper.errors import UsageError

GENERATOR = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "make_volume.py"
QUARTER = 4
SPARSE = 0.05
_MADE = re.compile(r"(\d+) lines, (\d+) bytes, (\d+) events")

Format = Literal["json", "human"]


class Plan(msgspec.Struct, frozen=True):
    """What a load is to be: ``share`` is the part of its ``lines`` that are events. On a ``long`` one only the way to
    HEC is measured, so that what a start costs has the weight that it has for a file of that many lines."""

    format: Format
    share: float
    lines: int
    long: bool = False

    @property
    def name(self) -> str:
        events = "all events" if self.share == 1 else f"{self.share:.0%} events"
        return f"{self.format}, {events}{', long' if self.long else ''}"

    @property
    def all_events(self) -> bool:
        return self.share == 1

    def quarter(self) -> Plan:
        """The same in small, to see whether memory grows with the file."""
        return msgspec.structs.replace(self, lines=max(1, self.lines // QUARTER))


class Load(msgspec.Struct, frozen=True):
    """A load that lies on the disk."""

    plan: Plan
    path: Path
    bytes: int
    events: int


def plans(lines: int, sparse_lines: int, long_lines: int) -> tuple[Plan, ...]:
    """The six loads, JSON before human: all events, few, and all events again in a long file."""
    sizes = ((1.0, lines, False), (SPARSE, sparse_lines, False), (1.0, long_lines, True))
    forms: tuple[Format, ...] = ("json", "human")
    return tuple(Plan(form, share, count, long) for share, count, long in sizes for form in forms)


def find_generator(path: Path) -> Path:
    """``path``, if it is there; raises UsageError that says what to do."""
    if not path.is_file():
        raise UsageError(f"no generator of log lines at {path}: give the path of make_volume.py with --generator PATH")
    return path


def make(plan: Plan, generator: Path, path: Path) -> Load:
    """Write the load's file; same plan, same bytes. Raises BenchError where the generator fails."""
    command = [
        sys.executable, str(generator), "--plain", "--lines", str(plan.lines), "--share", str(plan.share),
        "--format", plan.format, "--out", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    made = _MADE.search(done.stderr)
    if done.returncode or not made:
        raise BenchError(f"the generator failed with {done.returncode}: {done.stderr.strip() or 'it said nothing'}")
    lines, size, events = map(int, made.groups())
    if lines != plan.lines or not events:
        raise BenchError(f"the generator made {lines} lines and {events} events, not {plan.lines} lines with events")
    return Load(plan, path, size, events)
