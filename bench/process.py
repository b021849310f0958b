"""Runs a whole process and says what it cost: CPU seconds (user and system) and peak memory, as the kernel counted."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from shipper.errors import ConnlogError

POLL_SECONDS = 0.05
SAID_MAX_BYTES = 2000
ROOT = Path(__file__).resolve().parents[1]
_SCRIPT = Path(sys.executable).parent / "connlog"
CONNLOG = (str(_SCRIPT),) if _SCRIPT.exists() else (sys.executable, "-m", "shipper")


class Cost(msgspec.Struct, frozen=True):
    """What one process cost from its start to its end.

    ``peak_bytes`` is never less than this process's own memory: the kernel counts what a child held before it became
    the other program. So it says nothing about tools smaller than that.
    """

    cpu_seconds: float
    peak_bytes: int


class BenchError(ConnlogError):
    """A measured process failed, or didn't do what was measured."""


class Child:
    """A process that was started, its output in files; it is killed where it wasn't waited for."""

    def __init__(self, command: tuple[str, ...], stdout: Path, stderr: Path, environment: dict[str, str]) -> None:
        self.command = command
        self._stderr = stderr
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self.pid = os.posix_spawnp(
            command[0],
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(stdout), flags, 0o600),
                (os.POSIX_SPAWN_OPEN, 2, str(stderr), flags, 0o600),
            ],
        )
        self._cost: Cost | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._cost is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def wait(self) -> Cost:
        """Until it ends; raises BenchError where that isn't with 0."""
        self._take(os.wait4(self.pid, 0))
        assert self._cost is not None
        return self._cost

    def wait_until(self, condition: Callable[[], bool], deadline_seconds: float, what: str) -> None:
        """Poll while it runs; raises BenchError at the deadline, or where it ends before."""
        deadline = time.monotonic() + deadline_seconds
        while not condition():
            ended = os.wait4(self.pid, os.WNOHANG)
            if ended[0]:
                self._take(ended)
                raise BenchError(f"{self._name()} ended before it had {what}{self._said()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self._name()} had not {what} within {deadline_seconds:.0f} s{self._said()}")
            time.sleep(POLL_SECONDS)

    def terminate(self) -> None:
        """As systemd ends a service."""
        os.kill(self.pid, signal.SIGTERM)

    def _take(self, ended: tuple[int, int, resource.struct_rusage]) -> None:
        _, status, usage = ended
        self._cost = Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
        code = os.waitstatus_to_exitcode(status)
        if code:
            raise BenchError(f"{self._name()} ended with {code}{self._said()}")

    def _name(self) -> str:
        return " ".join(self.command[:3])

    def _said(self) -> str:
        said = self._stderr.read_bytes()[-SAID_MAX_BYTES:].decode(errors="replace").strip()
        return f"; it said:\n{said}" if said else "; it said nothing"


def environment(**more: str) -> dict[str, str]:
    """This process's own, without what would send connlog to another configuration or keep it from having its byte code,
    as an installed package has, and with the checkout's package."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CONNLOG_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    if not _SCRIPT.exists():
        kept["PYTHONPATH"] = str(ROOT)
    return kept | more
