"""The campaign: kills a real daemon again and again under a writer that never rests, then asks the oracle."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.fault.oracle import Verdict, judge, judge_hec
from tests.fault.steps import STEPS
from tests.fault.weather import Weather

ROOT = Path(__file__).parents[2]
CLOCK_JUMP_SECONDS = 7200.0
DISK_BYTES = 512 << 20
CATCH_UP_SECONDS = 240.0
START_SECONDS = 240.0
"""How long the writer, or a daemon that compiles everything anew, may take on a machine that is busy with other work."""
STEP_SECONDS = 4.0
"""How long a step is waited for; one that is not come to is counted as a kill at a random moment."""


@dataclass
class Figures:
    """What a campaign did and found. ``kills`` are by step, ``random`` for a random moment."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    full_disks: int = 0
    clock_jumps: int = 0
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    disk_tested: bool = False
    weather: Counter[str] = field(default_factory=Counter)
    """What happened at the HEC."""


class Campaign:
    """One campaign of ``kills`` kills in ``folder``, at ``rate`` events a second; with ``hec`` a HEC that often fails
    gets the events too."""

    def __init__(self, folder: Path, kills: int, seed: int, rate: float, *, hec: bool) -> None:
        self._folder = folder
        self._kills = kills
        self._rate = rate
        self._chance = random.Random(seed)
        self._logs = folder / "logs"
        self._state = folder / "state"
        self._config = folder / "connlog.toml"
        self._figures = Figures(seed)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._runs: list[tuple[int, int]] = []
        self._weather = Weather(folder / "hec.ndjson", seed) if hec else None

    def run(self) -> Figures:
        """Do it. Raises RuntimeError where the daemon doesn't do what it must."""
        try:
            return self._run()
        finally:
            if self._daemon is not None and self._daemon.poll() is None:
                self._daemon.kill()
                self._daemon.wait()

    def _run(self) -> Figures:
        began = time.monotonic()
        self._logs.mkdir()
        self._state.mkdir()
        ledger = self._folder / "ledger"
        with small_disk(self._state) as mounted, self._weather.server if self._weather else nullcontext():
            hec = self._weather.options(self._folder / "hec-token") if self._weather else ""
            self._config.write_text(
                f'[state]\ndir = "{self._state}"\n[[input]]\ntype = "file"\npaths = ["{self._logs}/*.log"]\n'
                f'poll = "200ms"\n[[output]]\ntype = "index"\n{hec}[metrics]\nlisten = ""\n'
            )
            self._figures.disk_tested = mounted
            with subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.fault.writer",
                    self._logs,
                    ledger,
                    str(self._figures.seed),
                    str(self._rate),
                ],
                cwd=ROOT,
            ) as writer:
                try:
                    self._first(ledger)
                    steps = self._plan()
                    for step in steps:
                        self._once(step, mounted)
                finally:
                    writer.send_signal(signal.SIGTERM)
            if self._weather:
                self._weather.clear()
            self._catch_up()
            self._figures.verdict = judge(ledger, self._state, CLOCK_JUMP_SECONDS, self._runs, self._looks())
            if self._weather:
                self._figures.weather = self._weather.met
                judge_hec(self._figures.verdict, self._state, self._weather.server.store.events)
            if mounted:
                shutil.copytree(self._state, self._folder / "state-after")
        self._figures.seconds = time.monotonic() - began
        return self._figures

    def _plan(self) -> list[str]:
        """Every step as often as any other, and as many random moments as all of them."""
        steps = [step for step in STEPS if self._weather or not step.startswith(("hec.", "outbox."))]
        self._chance.shuffle(steps)
        plan = [steps[n // 2 % len(steps)] if n % 2 else "random" for n in range(self._kills)]
        self._chance.shuffle(plan)
        return plan

    def _first(self, ledger: Path) -> None:
        """Every log is known before the first kill."""
        deadline = time.monotonic() + START_SECONDS
        while not (self._logs / "ready").exists():
            _wait(deadline, "the writer")
        daemon = self._start("none", 0, 0.0)
        deadline = time.monotonic() + START_SECONDS
        while self._stored() < len(list(self._logs.glob("*.log"))):
            _wait(deadline, "the first event of each log")
        self._stop(daemon)
        (self._logs / "go").touch()

    def _once(self, step: str, mounted: bool) -> None:
        chance = self._chance
        jump = chance.choice((CLOCK_JUMP_SECONDS, -CLOCK_JUMP_SECONDS)) if chance.random() < 0.05 else 0.0
        self._figures.clock_jumps += bool(jump)
        full = mounted and chance.random() < 0.05
        if full:
            self._figures.full_disks += 1
            _fill(self._state / "ballast")
        mark = self._folder / "mark"
        mark.unlink(missing_ok=True)
        hit = chance.choice((1, 1, 2, 3, 7)) if not step.startswith(("start.", "stop.", "rotation.", "trunc")) else 1
        began_ns = time.time_ns()
        daemon = self._start(step if step != "random" else "none", hit, jump)
        if full:
            time.sleep(chance.uniform(0.8, 1.5))
            (self._state / "ballast").unlink()
        if step == "random":
            # Half of them while it starts, as far as that goes, and half while it works.
            if chance.random() < 0.5:
                self._heard(daemon)
            time.sleep(chance.uniform(0.1, 1.8))
        elif step.startswith("stop."):
            self._heard(daemon)
            time.sleep(chance.uniform(0.0, 1.0))
            daemon.terminate()
        if step != "random":
            try:
                daemon.wait(STEP_SECONDS)
            except subprocess.TimeoutExpired:
                step = "random"
            else:
                if not mark.exists():
                    raise RuntimeError(
                        f"the daemon ended by itself with {daemon.returncode} before {step}: {self._said()}"
                    )
        daemon.kill()
        if daemon.wait() != -signal.SIGKILL:
            raise RuntimeError(f"the daemon ended by itself with {daemon.returncode}: {self._said()}")
        self._runs.append((began_ns, time.time_ns()))
        self._figures.kills[step] += 1
        if self._weather:
            self._weather.change()
        if chance.random() < 0.2:
            time.sleep(chance.uniform(0, 1.5))

    def _heard(self, daemon: subprocess.Popen[bytes]) -> None:
        """Wait until the daemon reads: a signal before it listens for one would end it at once."""
        deadline = time.monotonic() + START_SECONDS
        named = b'"pid":%d,' % daemon.pid
        while named not in (self._state / "status.json").read_bytes() and daemon.poll() is None:
            _wait(deadline, "the status of a new daemon")

    def _catch_up(self) -> None:
        """The last run: until everything is read, every grace is over and nothing is pending."""
        daemon = self._start("none", 0, 0.0)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        still, last = 0.0, (0, 0)
        while still < 12.0:
            time.sleep(0.25)
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon does not catch up: {self._said()}")
            now = (_size(self._state / "journal.db-wal"), _size(self._state / "index.db-wal"))
            still = still + 0.25 if now == last and not self._pending() else 0.0
            last = now
        self._stop(daemon)

    def _looks(self) -> list[tuple[int, int]]:
        """When the daemons looked at all files and lived to keep what they found."""
        lines = (self._folder / "looks").read_text("ascii").splitlines(keepends=True)
        # A kill may have cut a line.
        whole = [line.split() for line in lines if line.endswith("\n")]
        return [(int(times[0]), int(times[1])) for times in whole if len(times) == 2]

    def _pending(self) -> int:
        """Events that an output has not taken, as the daemon says."""
        try:
            status = json.loads((self._state / "status.json").read_bytes())
        except FileNotFoundError:
            return 0
        return sum(output["pending"] for output in status["outputs"])

    def _stored(self) -> int:
        """Events that are in the journal, as the daemon says."""
        try:
            status = json.loads((self._state / "status.json").read_bytes())
        except FileNotFoundError:
            return 0
        return sum(source["stored"] for source in status["sources"].values())

    def _start(self, step: str, hit: int, clock: float) -> subprocess.Popen[bytes]:
        # As an installed package has it: a start that compiles everything anew would be most of a short life.
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = str(self._folder / "bytecode")
        with (self._folder / "stderr").open("ab") as errors:
            self._daemon = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "tests.fault.steps",
                        step,
                        str(hit),
                        str(self._folder / "mark"),
                        str(clock),
                    ),
                    *("run", "-c", str(self._config)),
                ],
                cwd=ROOT,
                env=environ,
                stdout=errors,
                stderr=errors,
            )
        return self._daemon

    def _stop(self, daemon: subprocess.Popen[bytes]) -> None:
        daemon.terminate()
        if daemon.wait(60) != 0:
            raise RuntimeError(f"the daemon ended with {daemon.returncode}: {self._said()}")

    def _said(self) -> str:
        return (self._folder / "stderr").read_text(errors="replace")[-2000:]


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of ``DISK_BYTES`` at ``folder`` where we may make one; gives whether."""
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", folder], stderr=subprocess.DEVNULL
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.call(["umount", "-l", folder])


def _fill(path: Path) -> None:
    """Take all that is left of the disk."""
    block = bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(block):
                pass
        except OSError:
            pass


def _size(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _wait(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError(f"waited in vain for {what}")
    time.sleep(0.02)
