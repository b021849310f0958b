"""``python -m bench.outage``: what a daemon does while Splunk is away for long, and when it comes back.

Events are written all the time, to the index too. It prints the daemon's resident memory and the journal's size while
the backlog grows, how far the index is behind meanwhile, how fast the backlog is sent afterwards, and how long a new
event takes then. The collector is one of the tests' own, in this process, and reads every event.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.idle import cpu_seconds, indexed, line
from bench.process import CONNLOG, ROOT, BenchError
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

EVENTS_COUNT, PIECES_COUNT = 600_000, 15
DEADLINE_SECONDS = 900.0
NEW_SECONDS = 0.25
"""While the backlog is sent, so often a new event is written."""
AGE_SECONDS = 35.0
"""What is older than 30 seconds is a backlog to the output."""
CONFIG = """\
[state]
dir = "{folder}/state"
journal_max = "16GiB"
[[input]]
type = "file"
paths = ["{folder}/coderd.log"]
[[output]]
type = "index"
[[output]]
type = "splunk_hec"
endpoints = ["{url}"]
token_file = "{folder}/token"
index = "main"
backoff_max = "1s"
[metrics]
listen = ""
"""


class Outage:
    """One run in a folder."""

    def __init__(self, folder: Path, server: HecServer) -> None:
        self._folder = folder
        self._server = server
        self._log = folder / "coderd.log"
        self._written = 0
        self._arrived: dict[str, float] = {}
        (folder / "token").touch(0o600)
        (folder / "token").write_text(TOKEN)
        self._config = folder / "connlog.toml"
        self._config.write_text(CONFIG.format(folder=folder, url=server.url))

    def run(self, events: int) -> Iterator[str]:
        """Lines of what was found. Raises BenchError."""
        with self._daemon() as daemon:
            piece = events // PIECES_COUNT
            yield "events waiting   journal, MB   daemon's memory, MB   index behind, seconds"
            for _ in range(PIECES_COUNT):
                at = time.monotonic()
                self._write(piece)
                self._until(lambda: indexed(self._folder / "state" / "index.db") >= self._written, daemon)
                behind = time.monotonic() - at
                size = sum(one.stat().st_size for one in (self._folder / "state").glob("journal.db*")) / 1e6
                yield f"{self._written:14,} {size:13.0f} {memory(daemon.pid) / 1e6:21.0f} {behind:22.1f}"
            time.sleep(AGE_SECONDS)
            yield from self._return(daemon)

    def _return(self, daemon: subprocess.Popen[bytes]) -> Iterator[str]:
        backlog, cpu = self._written, cpu_seconds(daemon.pid)
        self._server.up()
        began, peak, new = time.monotonic(), 0, dict[str, float]()
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        while len(self._arrived) < backlog:
            if daemon.poll() is not None or time.monotonic() - began > DEADLINE_SECONDS:
                raise BenchError("the daemon does not catch up; see what 'connlog run' says")
            new[id_of(self._written)] = time.monotonic()
            self._write(1)
            peak = max(peak, memory(daemon.pid))
            time.sleep(NEW_SECONDS)
        seconds = time.monotonic() - began
        used = cpu_seconds(daemon.pid) - cpu
        self._until(lambda: len(self._arrived) >= self._written, daemon)
        late = sorted(self._arrived[id_] - at for id_, at in new.items())
        yield f"back: {backlog:,} events in {seconds:.1f} s, {backlog / seconds:,.0f} a second, {used:.1f} s of CPU"
        yield f"memory at most {peak / 1e6:.0f} MB meanwhile"
        yield (
            f"new events meanwhile: {len(late)}, half of them there after {late[len(late) // 2]:.1f} s, nine of ten after "
            f"{late[len(late) * 9 // 10]:.1f} s, the last after {late[-1]:.1f} s"
        )
        yield f"events there twice: {self._server.store.total - len(self._arrived)}"

    def _watch(self) -> None:
        while True:
            for event in self._server.store.drain():
                self._arrived.setdefault(event.event_id or "", time.monotonic())
            time.sleep(0.02)

    def _write(self, count: int) -> None:
        with self._log.open("ab") as file:
            file.writelines(line(number) for number in range(self._written, self._written + count))
        self._written += count

    def _until(self, done: object, daemon: subprocess.Popen[bytes]) -> None:
        assert callable(done)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not done():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise BenchError("the daemon does not come up with the log; see what 'connlog run' says")
            time.sleep(0.05)

    @contextmanager
    def _daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        self._log.touch()
        with (
            (self._folder / "daemon.log").open("wb") as said,
            subprocess.Popen([*CONNLOG, "run", "-c", str(self._config)], cwd=ROOT, stderr=said) as daemon,
        ):
            try:
                yield daemon
            finally:
                daemon.terminate()
                daemon.wait()


def id_of(number: int) -> str:
    """The id of the event ``line(number)``."""
    return str(uuid.UUID(int=number + 1))


def memory(pid: int) -> int:
    """Resident bytes of a process that are its own."""
    status = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in row)
    return int(status["RssAnon"].split()[0]) * 1024


def main(arguments: list[str]) -> int:
    """Measures; 0 when it measured, 4 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS_COUNT)
    parser.add_argument("--ack", action="store_true", help="the token uses indexer acknowledgement")
    options = parser.parse_args(arguments)
    server = HecServer(Token(use_ack=options.ack), ack=AckRules(delay_seconds=1.0)).start()
    server.down()
    with tempfile.TemporaryDirectory(prefix="connlog-outage-") as folder:
        try:
            for row in Outage(Path(folder), server).run(options.events):
                print(row, flush=True)
        except BenchError as error:
            print(error, file=sys.stderr)
            return 4
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
