"""``python -m bench``: measures, and prints a table or JSON; 0 when it measured, whatever the figures say.

Exit codes are connlog's: 2 for wrong usage or a missing generator, 4 where something failed, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.limit import judge
from bench.load import GENERATOR, find_generator, plans
from bench.machine import describe
from bench.measurement import run
from bench.page import Page
from bench.report import Report, to_json, to_markdown, to_text
from shipper.errors import ConnlogError

LINES, SPARSE_LINES, LONG_LINES = 200_000, 1_000_000, 1_000_000
QUICK_LINES, QUICK_SPARSE_LINES, QUICK_LONG_LINES = 20_000, 100_000, 100_000
RUNS = 3
INTERRUPTED = 130


def positive(text: str) -> int:
    """A whole number from 1; argparse tells the ValueError."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures connlog parse and connlog run, to the index and to HEC, beside wc, grep, a loop of orjson and bare posts.",
    )
    made.add_argument(
        "--quick",
        action="store_true",
        help=f"small loads: {QUICK_LINES}, {QUICK_SPARSE_LINES} and {QUICK_LONG_LINES} lines",
    )
    made.add_argument("--lines", type=positive, help=f"lines of the loads that are all events ({LINES})")
    made.add_argument("--sparse-lines", type=positive, help=f"lines of the loads with 5 %% events ({SPARSE_LINES})")
    made.add_argument(
        "--long-lines",
        type=positive,
        help=f"lines of the loads on which only the way to HEC is measured ({LONG_LINES})",
    )
    made.add_argument("--runs", type=positive, default=RUNS, help=f"how often each process runs ({RUNS})")
    made.add_argument("--generator", type=Path, default=GENERATOR, metavar="PATH", help="make_volume.py")
    made.add_argument("--output", choices=("table", "json"), default="table", help="the form of the answer (table)")
    made.add_argument("--write", type=Path, metavar="PAGE", help="also rewrite the section of this page")
    return made


def tell(text: str) -> None:
    """What happens, for who waits."""
    sys.stderr.write(f"bench: {text}\n")


def measure(arguments: argparse.Namespace, command: str) -> Report:
    """The whole run, in a folder of its own that is removed afterwards."""
    generator = find_generator(arguments.generator)
    lines = arguments.lines or (QUICK_LINES if arguments.quick else LINES)
    sparse_lines = arguments.sparse_lines or (QUICK_SPARSE_LINES if arguments.quick else SPARSE_LINES)
    long_lines = arguments.long_lines or (QUICK_LONG_LINES if arguments.quick else LONG_LINES)
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="connlog-bench-") as folder:
        loads = plans(lines, sparse_lines, long_lines)
        measurements = list(run(loads, generator, Path(folder), arguments.runs, tell))
    return Report(date, command, arguments.runs, machine, measurements, judge(measurements))


def main(argv: list[str]) -> int:
    """Measure and print; the exit code."""
    arguments = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the folder goes and children end, as for Ctrl-C
    try:
        page = Page(arguments.write) if arguments.write else None
        report = measure(arguments, shlex.join([".venv/bin/python", "-m", "bench", *argv]))
        if page:
            page.write(to_markdown(report))
    except ConnlogError as error:
        tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    if arguments.output == "json":
        sys.stdout.buffer.write(to_json(report))
    else:
        sys.stdout.write(f"{to_text(report)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
