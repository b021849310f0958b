"""Measures the HEC output: what it costs to bring a journal to a loopback HEC, beside the bare work on the same bodies.

The HEC is a process of its own that reads, unpacks and counts (``python -m tests.hec``); its CPU is nobody's. It unpacks
and counts when all has come: what works beside it slows the process that is measured, by sharing a core with it or caches.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from bench.daemon import run_until_read, run_until_taken, write_config
from bench.load import Load
from bench.process import ROOT, BenchError, Child, Cost, environment

TOKEN = "11111111-2222-4333-8444-555555555555"
_REFERENCE = """\
import json, pathlib, resource, sys, time
import orjson, requests
from isal import igzip
url, token, folder = sys.argv[1:]
decode = json.JSONDecoder().raw_decode
session = requests.Session()
headers = {"Authorization": f"Splunk {token}", "Content-Encoding": "gzip", "Content-Type": "application/json"}
spent, events = 0.0, 0
for path in sorted(pathlib.Path(folder).iterdir()):
    text, at, records = path.read_text(), 0, []
    while at < len(text):
        record, at = decode(text, at)
        records.append(record)
        while text[at : at + 1].isspace():
            at += 1
    began = time.process_time()
    body = igzip.compress(b"\\n".join([orjson.dumps(record) for record in records]), 1)
    answer = session.post(url, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    spent += time.process_time() - began
    events += len(records)
print(json.dumps({"seconds": spent, "events": events, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


class Received(msgspec.Struct, frozen=True):
    """What came to the HEC: bytes as sent and unpacked, ``seconds`` between the first answer and the last."""

    requests: int
    events: int
    sent: int
    plain: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """By the clock; 0 where all came in one request."""
        return self.events / self.seconds if self.seconds else 0.0


class _Reference(msgspec.Struct, frozen=True):
    seconds: float
    events: int
    peak: int


class OutputCost(msgspec.Struct, frozen=True):
    """One run of the output alone: the daemon's whole process, and what came of it."""

    cost: Cost
    received: Received


class Receiver:
    """A HEC in a process of its own, as a context manager; with ``bodies`` it writes every body to that folder."""

    def __init__(self, folder: Path, bodies: Path | None = None) -> None:
        self._out = folder / "hec.out"
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            "-m",
            "tests.hec",
            "--count" if bodies else "--later",
            "--summary",
            "--port",
            str(port),
            "--token",
            TOKEN,
        ]
        command += ["--bodies", str(bodies)] if bodies else []
        self._child = Child(
            tuple(command),
            self._out,
            folder / "hec.err",
            environment(PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1"),
        )

    def __enter__(self) -> Self:
        self._child.__enter__()
        self._child.wait_until(lambda: self._out.read_bytes().startswith(b"HEC at"), 30, "begun to listen")
        return self

    def __exit__(self, *_: object) -> None:
        self._child.__exit__()

    def end(self) -> Received:
        """Ends it; what came to it. Raises BenchError where it failed."""
        self._child.terminate()
        self._child.wait()
        return msgspec.json.decode(self._out.read_bytes().splitlines()[-1], type=Received)


class Backlog:
    """A journal full of a load's events, which no HEC has taken yet; made once, brought out many times."""

    def __init__(self, log: Path, events: int, folder: Path) -> None:
        self._folder = folder
        self._log = log
        self._events = events
        self._kept = folder / "backlog"
        token = folder / "hec-token"
        token.write_text(f"{TOKEN}\n")
        token.chmod(0o600)
        nobody = f"http://127.0.0.1:{_free_port()}"
        config = write_config(folder / "fill.toml", self._kept, log, output_options(nobody, token))
        run_until_read(config, self._kept, events, folder / "fill.log")
        self._token = token
        self._bodies = folder / "bodies"

    def output(self, *, keep_bodies: bool = False) -> OutputCost:
        """Bring a copy of the journal to a HEC. Raises BenchError unless every event arrives."""
        state = self._folder / "state"
        shutil.copytree(self._kept, state)
        if keep_bodies:
            self._bodies.mkdir(exist_ok=True)
        try:
            with Receiver(self._folder, self._bodies if keep_bodies else None) as receiver:
                config = write_config(
                    self._folder / "out.toml", state, self._log, output_options(receiver.url, self._token)
                )
                cost = run_until_taken(config, state, self._events, self._folder / "out.log")
                received = receiver.end()
        finally:
            shutil.rmtree(state, ignore_errors=True)
        _all_arrived(received, self._events)
        return OutputCost(cost, received)

    def reference(self) -> Cost:
        """The bare work on the bodies of an earlier ``output(keep_bodies=True)``: dump, gzip, post, and nothing else."""
        out = self._folder / "reference.out"
        with Receiver(self._folder) as receiver:
            url = f"{receiver.url}/services/collector/event"
            command = (sys.executable, "-c", _REFERENCE, url, TOKEN, str(self._bodies))
            with Child(command, out, self._folder / "reference.err", environment()) as child:
                child.wait()
            received = receiver.end()
        _all_arrived(received, self._events)
        found = msgspec.json.decode(out.read_bytes(), type=_Reference)
        return Cost(found.seconds, found.peak)

    def close(self) -> None:
        """Give the room back."""
        for path in (self._kept, self._bodies):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def backlog_of(load: Load, folder: Path) -> Iterator[Backlog]:
    """The backlog of a load, which gives its room back in the end."""
    backlog = Backlog(load.path, load.events, folder)
    try:
        yield backlog
    finally:
        backlog.close()


def end_to_end(load: Load, folder: Path) -> Cost:
    """``connlog run`` from a finished file to the HEC, the index off. Raises BenchError unless every event arrives."""
    state = folder / "state"
    token = folder / "hec-token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    try:
        with Receiver(folder) as receiver:
            config = write_config(folder / "connlog.toml", state, load.path, output_options(receiver.url, token))
            cost = run_until_taken(config, state, load.events, folder / "daemon.log")
            received = receiver.end()
    finally:
        shutil.rmtree(state, ignore_errors=True)
    _all_arrived(received, load.events)
    return cost


def output_options(url: str, token: Path) -> dict[str, object]:
    """The output's options: all defaults but where to and with what."""
    return {"type": "splunk_hec", "endpoints": [url], "token_file": token, "index": "main"}


def _all_arrived(received: Received, events: int) -> None:
    if received.events != events:
        raise BenchError(f"{received.events} events came to the HEC, not {events}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
