"""Measures the local index: how fast it takes events, how large it gets, and what a question costs as a whole process.

``python -m bench.index LOG`` prints the figures of one JSON log in which every line is an event.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bench.process import CONNLOG
from shipper.extraction import Extractor
from shipper.index import IndexWriter
from shipper.record import Source

BATCH_EVENTS = 4096
PIECE_BYTES = 32 << 20
RUNS = 3


class Figures(msgspec.Struct, frozen=True):
    """``ingest``: events in a CPU second over all, and of the last tenth; ``bytes``: on disk for each event;
    ``questions``: CPU seconds of the best of ``RUNS`` whole processes."""

    events: int
    ingest: float
    ingest_last_tenth: float
    bytes: float
    questions: dict[str, float]


def measure_index(log: Path, folder: Path) -> Figures:
    """Fill an index in ``folder`` as the daemon does, and ask it; ``log`` has JSON lines that are all events."""
    path = folder / "index.db"
    spent = _fill(log, path)
    events = sum(count for count, _ in spent)
    last = spent[-max(1, len(spent) // 10) :]
    id_ = _connection_id(log)
    questions = {
        "start": ("--help",),
        "connection": ("search", "--index", str(path), "--output", "ndjson", f"connection_id:{id_}"),
        "newest": ("search", "--index", str(path), "--output", "ndjson", "type:ssh", "status:completed"),
        "substring": ("search", "--index", str(path), "--output", "ndjson", "ws-0012"),
        "grep": ("grep", "--index", str(path), "-c", "slog.go:3[89]"),
        "stats": ("stats", "--index", str(path), "--by", "type"),
    }
    return Figures(
        events,
        events / sum(seconds for _, seconds in spent),
        sum(count for count, _ in last) / sum(seconds for _, seconds in last),
        path.stat().st_size / events,
        {name: min(_cost(arguments) for _ in range(RUNS)) for name, arguments in questions.items()},
    )


def _fill(log: Path, path: Path) -> list[tuple[int, float]]:
    """Events and CPU seconds of each batch."""
    extractor = Extractor(Source("bench", "file", str(log)))
    spent: list[tuple[int, float]] = []
    writer = IndexWriter(path)
    with log.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found = extractor.feed(piece)
            for at in range(0, len(found.records), BATCH_EVENTS):
                records, originals = found.records[at : at + BATCH_EVENTS], found.originals[at : at + BATCH_EVENTS]
                began = time.process_time()
                writer.add(writer.cursor + 1, records, originals, stored_ns=time.time_ns())
                spent.append((len(records), time.process_time() - began))
    writer.close()
    return spent


def _connection_id(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(os.fstat(file.fileno()).st_size // 2)
        file.readline()
        for line in file:
            fields = msgspec.json.decode(line)["fields"]
            if fields.get("ConnectionID"):
                return str(fields["ConnectionID"])
    raise ValueError(f"{log}: no connection id in its second half")


def _cost(arguments: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run((*CONNLOG, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        sys.stdout.write(
            msgspec.json.format(msgspec.json.encode(measure_index(Path(sys.argv[1]), Path(name)))).decode() + "\n"
        )
