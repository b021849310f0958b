"""Measures the local index: how fast it takes events, how large it gets, and what a question costs as a whole process.

``python -m bench.index`` makes a JSON log in which every line is an event, fills an index from it as the daemon does,
and asks both: the index by connlog, the log by rg, sort, uniq and jq. ``--write PAGE`` puts the tables into the page.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec
import orjson

from bench.limit import COMPARED_LOOP_MICROSECONDS
from bench.load import GENERATOR, find_generator
from bench.machine import describe
from bench.page import Page
from bench.process import CONNLOG, BenchError
from shipper.errors import ConnlogError, UsageError
from shipper.extraction import Extractor
from shipper.index import IndexWriter
from shipper.index.block import Block, BlockCodec
from shipper.journal import Batch, Journal, Piece
from shipper.record import Source

BEGIN = "<!-- begin: written by bench.index -->"
EVENTS, CARDINALITY = 200_000, 50_000
ADDED_EVENTS = 100_000
REBUILT_EVENTS = 500_000
BATCH_EVENTS = 4096
PIECE_BYTES = 32 << 20
JOURNAL_PIECE_BYTES = 4 << 20
RUNS = 3
LOOP_LINES = 50_000
TOOLS = ("rg", "jq", "sort", "uniq", "sh")


class Cost(msgspec.Struct, frozen=True):
    """Of a whole process with its children, the best of its runs: CPU seconds, which others on the machine disturb
    less than the clock."""

    cpu: float


class Line(msgspec.Struct, frozen=True):
    """A line of the answer; ``limit`` and ``measured`` are in one unit, and ``measured`` has to stay on its side."""

    what: str
    measured: str
    limit: str
    met: bool
    rate: float | None = None
    """What was measured, where it is events a second."""


def fill(log: Path, path: Path) -> tuple[list[tuple[int, float]], float]:
    """Events and CPU seconds of each batch, and the CPU seconds of the reading before."""
    extractor = Extractor(Source("bench", "file", str(log)))
    spent: list[tuple[int, float]] = []
    parsing = 0.0
    writer = IndexWriter(path)
    with log.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            began = time.process_time()
            found = extractor.feed(piece)
            parsing += time.process_time() - began
            everything = found.records
            for at in range(0, len(everything), BATCH_EVENTS):
                records, originals = everything[at : at + BATCH_EVENTS], found.originals[at : at + BATCH_EVENTS]
                began = time.process_time()
                writer.add(writer.cursor + 1, records, originals, stored_ns=time.time_ns())
                spent.append((len(records), time.process_time() - began))
    writer.close()
    return spent, parsing


def keep(log: Path, path: Path) -> None:
    """Put the events of a log into a new journal, as the daemon does."""
    extractor = Extractor(Source("bench", "file", str(log)))
    journal = Journal(path, max_bytes=64 << 30)
    journal.register("index")
    with log.open("rb") as file:
        while bytes_ := file.read(JOURNAL_PIECE_BYTES):
            piece = Piece("bench")
            piece.add(extractor.feed(bytes_))
            journal.append(Batch((piece,)))
    journal.close()


def check_count(path: Path, events: int) -> None:
    """Raises BenchError where the index has other than so many events: a wrong result has no figure."""
    database = sqlite3.connect(path)
    found = database.execute("SELECT count(*) FROM events").fetchone()[0]
    database.close()
    if found != events:
        raise BenchError(f"{path}: {found} events, not {events}")


def cost(command: Sequence[str], runs: int = RUNS) -> Cost:
    """What a command costs, its output into a pipe that is read to the end; raises BenchError where it fails."""
    costs = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in (0, 1):
            said = done.stderr.decode(errors="replace")[-500:]
            raise BenchError(f"{shlex.join(command)} ended with {done.returncode}: {said}")
        costs.append(Cost(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
    return min(costs, key=lambda one: one.cpu)


def size_lines(path: Path, events: int) -> Iterator[Line]:
    """What an event takes on disk, with its original line and without."""
    database = sqlite3.connect(path)
    codec = BlockCodec(database.execute("SELECT data FROM dictionaries").fetchone()[0])
    originals = sum(Block(codec, data).original_bytes for (data,) in database.execute("SELECT data FROM blocks"))
    database.close()
    whole = path.stat().st_size
    for what, size, limit in (("with", whole, 450), ("without", whole - originals, 300)):
        yield Line(
            f"bytes an event {what} its original line", f"{size / events:.0f}", f"≤ {limit}", size / events <= limit
        )


def ingest_lines(log: Path, path: Path, more: Path, folder: Path) -> Iterator[Line]:
    """How many events a CPU second takes: as the daemon adds the last of ``log``, as a new daemon adds ``more`` to that, of
    users and workspaces that are new too, and in rebuilds from lines of ``log`` and from a journal of their events."""
    if not path.exists():
        spent, _ = fill(log, path)
        total = sum(events for events, _ in spent)
        last: list[tuple[int, float]] = []
        while spent and sum(events for events, _ in last) < ADDED_EVENTS:
            last.append(spent.pop())
        yield _ingested(last, f"the last {{:,}} of {total:,}")
    spent, _ = fill(more, path)
    yield _ingested(spent, "{:,} of workspaces never met before, by a daemon started anew")
    part = folder / "part.log"
    with log.open("rb") as whole, part.open("wb") as file:
        file.writelines(islice(whole, REBUILT_EVENTS))
    with part.open("rb") as file:
        count = sum(1 for _ in file)
    kept = folder / "kept" / "journal.db"  # not beside the index that is asked afterwards
    kept.parent.mkdir()
    keep(part, kept)
    for source in ("log lines, their parsing included", "events of the journal"):
        costs = []
        for number in range(RUNS):
            # Each into a folder of its own: what an index holds already would be taken over.
            home = folder / f"{source[:3]}-{number}"
            home.mkdir()
            command = [*CONNLOG, "index", "rebuild", "--index", str(home / "index.db")]
            if source.startswith("log"):
                command.append(str(part))
            else:
                shutil.copyfile(kept, home / "journal.db")
            costs.append(cost(command, 1))
            check_count(home / "index.db", count)
            shutil.rmtree(home)
        rebuilt = min(costs, key=lambda one: one.cpu)
        rate = count / rebuilt.cpu
        what = f"events a CPU second of `index rebuild` from {count:,} {source}"
        yield Line(what, f"{rate:,.0f}", "≥ 40,000", rate >= 40_000, rate)


def _ingested(spent: Sequence[tuple[int, float]], what: str) -> Line:
    count = sum(events for events, _ in spent)
    rate = count / sum(seconds for _, seconds in spent)
    return Line(f"events added a CPU second, {what.format(count)}", f"{rate:,.0f}", "≥ 15,000", rate >= 15_000, rate)


def loop_microseconds(log: Path) -> float:
    """What a bare ``orjson.loads`` loop takes a line, the best of a few: how fast the machine is just now."""
    with log.open("rb") as file:
        lines = [*islice(file, LOOP_LINES)]
    costs = []
    for _ in range(RUNS):
        began = time.process_time()
        for line in lines:
            orjson.loads(line)
        costs.append(time.process_time() - began)
    return min(costs) / len(lines) * 1e6


def question_lines(log: Path, path: Path) -> Iterator[Line]:
    """What questions cost, beside references over the log; warm, whole processes, CPU seconds."""
    fields = _sample(log)
    id_, workspace = fields["ConnectionID"], fields["WorkspaceName"]

    def ask(command: str, *arguments: str) -> Cost:
        return cost((*CONNLOG, command, "--index", str(path), *arguments))

    start = cost((*CONNLOG, "--help"))
    yield Line("`connlog --help`, ms", f"{start.cpu * 1000:.0f}", "≤ 120", start.cpu <= 0.12)
    first = ask("search", "--output", "ndjson", "--limit", "1")
    yield Line("start of a search, ms of CPU", f"{first.cpu * 1000:.0f}", "≤ 150", first.cpu <= 0.15)
    rg = cost(("rg", "-c", id_, str(log)))
    yield _limited("a connection by its id", ask("search", "--output", "ndjson", f"connection_id:{id_}"), 0.15)
    yield _beside("the same", ask("search", "--output", "ndjson", f"connection_id:{id_}"), rg, 1 / 3, "rg")
    for words in (
        ("type:ssh", "status:completed"),
        ("type:ssh", f"workspace:{workspace}"),
        ("type:vscode", "code:>=1"),
    ):
        yield _limited(
            f"the newest 100 of `{' '.join(words).replace(workspace, 'ws-…')}`",
            ask("search", "--output", "ndjson", *words),
            0.15,
        )
    for text in ("ws-0012", workspace):
        found = ask("search", "--output", "ndjson", text)
        shown = "a workspace's name" if text == workspace else f"`{text}`"
        yield _beside(f"{shown} in any text", found, cost(("rg", "-c", text, str(log))), 1 / 2, "rg")
    for pattern in ("slog.go:3[89]", '"request_id":"0cd3[0-9a-f]*-ffff'):
        yield _beside(
            f"`grep -c '{pattern}'`", ask("grep", "-c", pattern), cost(("rg", "-c", pattern, str(log))), 5, "rg"
        )
    stats = ask("stats", "--by", "type")
    pipe = f'rg -o \'"Type":"[^"]*"\' {shlex.quote(str(log))} | sort | uniq -c'
    yield _beside("`stats --by type`", stats, cost(("sh", "-c", pipe), 1), 1 / 10, "rg, sort, uniq")
    query = "reduce inputs as $line ({}; .[$line.fields.Type] += 1)"
    yield _beside("the same", stats, cost(("jq", "-n", query, str(log)), 1), 1 / 20, "jq")


def _limited(what: str, found: Cost, seconds: float) -> Line:
    return Line(f"{what}, ms", f"{found.cpu * 1000:.0f}", f"≤ {seconds * 1000:.0f}", found.cpu <= seconds)


def _beside(what: str, found: Cost, other: Cost, times: float, tool: str) -> Line:
    share = f"{times:g} ×" if times >= 1 else f"1/{1 / times:.0f} of"
    measured = f"{found.cpu:.2f} s against {other.cpu:.2f} s"
    return Line(what, measured, f"≤ {share} {tool}", found.cpu <= times * other.cpu)


def _sample(log: Path) -> dict[str, str]:
    """The fields of an event with a connection id, from the middle of the log."""
    with log.open("rb") as file:
        file.seek(os.fstat(file.fileno()).st_size // 2)
        file.readline()
        for line in file:
            fields = msgspec.json.decode(line)["fields"]
            if fields.get("ConnectionID") and str(fields.get("WorkspaceName")).startswith("ws-"):
                return {name: str(value) for name, value in fields.items()}
    raise BenchError(f"{log}: no connection in its second half")


def make_log(generator: Path, events: int, path: Path, seed: int) -> None:
    """A JSON log of so many events of many workspaces, users and addresses."""
    command = [
        sys.executable, str(generator), "--plain", "--cardinality", str(CARDINALITY), "--share", "1", "--format", "json",
        "--lines", str(events), "--out", str(path), "--seed", str(seed),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"the generator failed with {done.returncode}: {done.stderr.strip()}")


def measure(log: Path, more: Path, folder: Path) -> tuple[int, float, list[Line]]:
    """The number of events, what the loop took a line around the ingest, and every line of the answer; ``folder`` gets the
    index, or has that of ``log``."""
    path = folder / "index.db"
    loops = [loop_microseconds(log)]
    ingest = list(ingest_lines(log, path, more, folder))
    loops.append(loop_microseconds(log))
    database = sqlite3.connect(path)
    events = int(database.execute("SELECT count(*) FROM events").fetchone()[0])
    database.close()
    return events, sum(loops) / len(loops), [*ingest, *size_lines(path, events), *question_lines(log, path)]


def section(command: str, events: int, size: int, loop: float, lines: Sequence[Line]) -> str:
    """The answer for a page."""
    machine = describe()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    head = (
        f"{date}, connlog {machine.connlog}, Python {machine.python}, {machine.cpu}, {machine.cores} cores, load average "
        f"{machine.load_average:g} at the end; {events:,} events, {size:,} bytes of JSON log; the best of {RUNS} runs, warm; "
        "seconds are CPU seconds of whole processes."
    )
    rows = [f"| {one.what} | {one.measured} | {one.limit} | {'met' if one.met else 'NOT MET'} |" for one in lines]
    table = "\n".join(("| what | measured | limit | verdict |", "| --- | --: | --: | --: |", *rows))
    rates = ", ".join(f"{one.rate * loop / COMPARED_LOOP_MICROSECONDS:,.0f}" for one in lines if one.rate is not None)
    scale = (
        f"For comparison with other machines: a bare `orjson.loads` loop over the log took {loop:.1f} µs a line here, the mean of "
        f"before and after the ingest. Where it takes {COMPARED_LOOP_MICROSECONDS:g}, the rates would be, by that alone: {rates}."
    )
    return f"```sh\n{command}\n```\n\n{head}\n\n{table}\n\n{scale}"


def main(argv: list[str]) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.index", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help=f"how many ({EVENTS})")
    parser.add_argument("--log", type=Path, help="a JSON log of events that is there already")
    parser.add_argument("--index", type=Path, help="the index that was filled from that log; it is copied first")
    parser.add_argument("--generator", type=Path, default=GENERATOR, metavar="PATH", help="make_volume.py")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also rewrite the section of this page")
    arguments = parser.parse_args(argv)
    try:
        page = Page(arguments.write, BEGIN) if arguments.write else None
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise UsageError(f"not installed: {', '.join(missing)}; they are what connlog is compared with")
        with tempfile.TemporaryDirectory(prefix="connlog-bench-") as name:
            folder = Path(name)
            log = arguments.log or folder / "events.log"
            generator = find_generator(arguments.generator)
            if arguments.log is None:
                make_log(generator, arguments.events, log, 1)
            elif arguments.index is not None:
                shutil.copyfile(arguments.index, folder / "index.db")
            make_log(generator, ADDED_EVENTS, folder / "more.log", 2)
            events, loop, lines = measure(log, folder / "more.log", folder)
            size = log.stat().st_size
    except ConnlogError as error:
        sys.stderr.write(f"bench: {error}\n")
        return error.exit_code
    text = section(f".venv/bin/python -m bench.index --events {events - ADDED_EVENTS}", events, size, loop, lines)
    sys.stdout.write(text + "\n")
    if page:
        page.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
