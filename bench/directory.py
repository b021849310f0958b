"""``python -m bench.directory``: what the directory of names costs with many users, and how often an attribution is right.

It starts the double of Coder, lets ``connlog names sync`` read all of it, again, and once more only what is recent, and
prints for each the requests, CPU seconds, peak memory, and the size of the index; then the share of right answers over
the random histories of the tests. ``--write docs/directory.md`` puts both tables there.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from msgspec import Struct

from bench.machine import describe
from bench.page import Page
from bench.process import CONNLOG, POLL_SECONDS, ROOT, BenchError, Child, environment
from shipper.attribution import AMBIGUOUS, CERTAIN, LIKELY, SKEW_NS, UNKNOWN
from shipper.errors import ConnlogError
from tests.coder.__main__ import LOOK_SECONDS
from tests.test_attribution import History
from tests.test_attribution_hostile import History as HostileHistory
from tests.test_attribution_hostile import Weather

BEGIN = "<!-- begin: written by bench.directory -->"
USERS = 100_000
HISTORIES = 400
START_SECONDS = 120.0
INTERRUPTED = 130


class Run(Struct, frozen=True):
    """One run of ``connlog names sync``."""

    what: str
    requests: int
    cpu_seconds: float
    peak_bytes: int
    index_bytes: int


class Share(Struct, frozen=True):
    """How many answers of each grade were right, of one kind of history."""

    what: str
    grades: dict[str, tuple[int, int]]


class Double:
    """The double of Coder as a process of its own, whose memory and time are nobody's."""

    def __init__(self, folder: Path, users: int) -> None:
        self._log = folder / "double.out"
        command = [sys.executable, "-m", "tests.coder", "--folder", str(folder), "--limit", "-1", "--users", str(users)]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)
        self.url = ""

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while ": " not in (said := self._log.read_text()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the double of Coder did not start; it said: {said[-500:]}")
            time.sleep(POLL_SECONDS)
        self.url = said.split(" at ", 1)[1].split("\n", 1)[0]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def requests_count(self) -> int:
        """Requests so far, when no more are told."""
        before = -1
        while (count := self._log.read_text().count(" GET ")) != before:
            before = count
            time.sleep(5 * LOOK_SECONDS)
        return count


def syncs(folder: Path, users: int) -> list[Run]:
    """The runs over a Coder with so many users. Raises BenchError."""
    index = folder / "state" / "index.db"
    found = []
    with Double(folder, users) as double:
        config = folder / "connlog.toml"
        config.write_text(
            f'[state]\ndir = "{folder}/state"\n[coder]\nurl = "{double.url}"\ntoken_file = "alice.token"\n'
        )
        asked = double.requests_count()
        for what, more in (("all of it", ()), ("all of it again", ()), ("what is recent", ("--recent",))):
            command = (*CONNLOG, "names", "sync", "-c", str(config), *more)
            with Child(command, folder / "out", folder / "err", environment()) as child:
                cost = child.wait()
            size = sum(path.stat().st_size for path in index.parent.glob("index.db*"))
            before, asked = asked, double.requests_count()
            found.append(Run(what, asked - before, cost.cpu_seconds, cost.peak_bytes, size))
    return found


def shares(histories: int) -> list[Share]:
    """How often the grades are right, over histories with a known truth."""
    calm = Share("two users, no event lost", {})
    lossy = Share("two users, a tenth of the events lost", {})
    for seed in range(histories):
        for share, drops in ((calm, 0.0), (lossy, 0.1)):
            history = History(seed, drops=drops, skew_ns=SKEW_NS, with_ids=0.0, hours=20, users=2)
            for happened, found in history.answers():
                _count(share, found.grade, found.user_id == happened.user)
    kinds = (
        ("ids, one user", Weather(users=1)),
        ("ids, three users", Weather()),
        ("ids, of which a third are stolen, three users", Weather(theft=0.3, busy=True)),
        ("the same, a tenth of the events lost", Weather(theft=0.3, drops=0.1, busy=True)),
    )
    more = []
    for what, weather in kinds:
        share = Share(what, {})
        for seed in range(histories):
            for told, found in HostileHistory(seed, weather).answers():
                _count(share, found.grade, found.user_id == told.user)
        more.append(share)
    return [calm, lossy, *more]


def _count(share: Share, grade: str, right: bool) -> None:
    all_, good = share.grades.get(grade, (0, 0))
    share.grades[grade] = (all_ + 1, good + right)


def _cell(counted: tuple[int, int] | None, of: int, *, named: bool) -> str:
    if counted is None:
        return "none"
    share = f"{100 * counted[0] / of:.1f} %"
    return f"{share}, {counted[0] - counted[1]} of {counted[0]} wrong" if named else share


def tables(runs: list[Run], found: list[Share], users: int) -> str:
    """Both tables as Markdown."""
    machine = describe()
    lines = [
        f"{machine.cpu}, Python {machine.python}, load {machine.load_average}; a Coder with {users:,} users:",
        "",
        "| `connlog names sync` of | requests | CPU | peak memory | index |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one.requests:,} | {one.cpu_seconds:.1f} s | {one.peak_bytes / 1e6:.0f} MB | {one.index_bytes / 1e6:.0f} MB |"
        for one in runs
    ]
    lines += ["", "| histories with | certain | likely | ambiguous | unknown |", "|---|---|---|---|---|"]
    for share in found:
        of = sum(all_ for all_, _ in share.grades.values())
        cells = [
            _cell(share.grades.get(grade), of, named=grade in (CERTAIN, LIKELY))
            for grade in (CERTAIN, LIKELY, AMBIGUOUS, UNKNOWN)
        ]
        lines.append(f"| {share.what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Measures and prints, or writes."""
    made = argparse.ArgumentParser(prog="python -m bench.directory", description=__doc__)
    made.add_argument("--users", type=int, default=USERS, help=f"users of the Coder ({USERS})")
    made.add_argument("--histories", type=int, default=HISTORIES, help=f"random histories of each kind ({HISTORIES})")
    made.add_argument("--write", type=Path, metavar="PAGE", help="rewrite the section of this page")
    options = made.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        page = None if options.write is None else Page(options.write, BEGIN)
        with tempfile.TemporaryDirectory(prefix="connlog-bench-") as folder:
            text = tables(syncs(Path(folder), options.users), shares(options.histories), options.users)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BenchError, ConnlogError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return error.exit_code
    if page is not None:
        page.write(f"```\n.venv/bin/python -m bench.directory --users {options.users}\n```\n\n{text}")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
