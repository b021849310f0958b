"""The benchmark: measures every process on every load, checks what it measures, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.page import BEGIN, END, Page
from bench.report import OURS
from shipper.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = """\
import re, sys, uuid

given = dict(zip(sys.argv[2::2], sys.argv[3::2]))  # behind --plain
assert sys.argv[1] == "--plain"
lines, share = int(given["--lines"]), float(given["--share"])
sample = open(SAMPLES + "/" + given["--format"] + "-v3.log", "rb").read().split(b"\\n")
whole = [line for line in sample if re.search(rb"[^_]connection_log.*ConnectionStatus", line) and b" ..." not in line]
event = next(line for line in whole if re.search(rb'ID(=|":")', line))
own = re.search(rb'[ "]ID(?:=|":")([0-9a-f-]{36})', event)
size = events = 0
with open(given["--out"], "wb") as out:
    for number in range(lines):
        if number % round(1 / share):
            line = b"a line of something else"
        else:
            line = event[: own.start(1)] + str(uuid.UUID(int=number, version=4)).encode() + event[own.end(1) :]
            events += 1
        size += out.write(line + b"\\n")
print(f"{lines} lines, {size} bytes, {events + MORE} events in 0.1 s", file=sys.stderr)
"""


def generator(folder: Path, more: int = 0) -> Path:
    """One that writes events of the samples under fresh ids, and claims ``more`` than it wrote."""
    path = folder / "make_volume.py"
    samples = str(ROOT / "tests" / "samples" / "corpus")
    path.write_text(f"SAMPLES, MORE = {samples!r}, {more}\n{GENERATOR}")
    return path


def bench(temporary: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    temporary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "bench", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)


def tiny(temporary: Path, made: Path, *more: str) -> subprocess.CompletedProcess[bytes]:
    sizes = ("--quick", "--lines", "40", "--sparse-lines", "400", "--long-lines", "60", "--runs", "1")
    return bench(temporary, *sizes, "--generator", str(made), *more)


@pytest.mark.slow
def test_every_process_is_measured_on_every_load_and_every_limit_judged(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    done = tiny(tmp_path / "t", generator(tmp_path), "--output", "json", "--write", str(page))
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = orjson.loads(done.stdout)

    loads = report["loads"]
    shapes = [(load["format"], load["share"], load["lines"], load["events"], load["long"]) for load in loads]
    sizes = ((1, 40, 40, False), (0.05, 400, 20, False), (1, 60, 60, True))
    assert shapes == [(form, *size) for size in sizes for form in ("json", "human")]
    for load in loads:
        dense = ["wc", "grep", "orjson", "parse", "daemon"]
        sparse = ["wc", "grep", "parse", "daemon", "hec"]
        backlog = ["post", "output"] if load is loads[0] else []
        names = [process["name"] for process in load["processes"]]
        assert names == (["orjson", "hec"] if load["long"] else (dense if load["share"] == 1 else sparse) + backlog)
        assert bool(load["backlog"]) == bool(backlog)
        for process in load["processes"]:
            seconds = process["cpu_seconds"]
            assert len(seconds["runs"]) == report["runs"] == 1
            assert seconds["minimum"] == seconds["median"] == seconds["runs"][0]
            assert (process["peak_bytes"] is not None) == (process["name"] in OURS)
    # Speed and two of memory of what is parsed, two of the output alone, and the speed of the way to HEC.
    assert len(report["limits"]) == 3 * 4 + 2 + 4
    assert all(limit["met"] == (limit["measured"] <= limit["allowed"]) for limit in report["limits"])
    assert report["machine"]["cores"] >= 1

    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("| connlog parse |") == text.count("| connlog run to HEC |") == 4
    assert text.count("For comparison with other machines: the loop took") == 1
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.slow
def test_a_load_whose_events_are_not_all_found_has_no_figures(tmp_path: Path) -> None:
    done = tiny(tmp_path / "t", generator(tmp_path, more=1))
    assert done.returncode == 4
    assert b"connlog parse gave 10 records of json, all events, which holds 11 events" in done.stderr
    assert done.stdout == b""
    assert list((tmp_path / "t").iterdir()) == []


def test_without_a_generator_it_says_what_to_do_and_ends_with_2(tmp_path: Path) -> None:
    done = bench(tmp_path, "--generator", str(tmp_path / "nothing"))
    assert done.returncode == 2
    assert b"--generator PATH" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\nno end")
    with pytest.raises(UsageError, match="no section"):
        Page(page)
    assert page.read_text() == f"{BEGIN}\nno end"
