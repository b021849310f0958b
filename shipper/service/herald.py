"""The herald: tells the service manager how the daemon is, by the protocol of sd_notify(3); without one it says nothing.

Each message is one datagram of lines ``KEY=VALUE`` to the socket that $NOTIFY_SOCKET names: a path, or behind an ``@`` a
name of the abstract kind. A manager that can't be told is no reason to stop.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping

STATUS_MAX_CHARS = 500
WATCHDOG_MIN_USEC = 1
log = logging.getLogger(__name__)


class Herald:
    """What the daemon tells its manager. ``watchdog_seconds`` is how often it must be fed at least, or None."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        self._failed = False
        self.watchdog_seconds = _watchdog_seconds(environ)

    @property
    def heard(self) -> bool:
        """Whether there is a manager to tell."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """The start, or the reload, is done."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", _status("reloading"))

    def stopping(self, status: str) -> None:
        """The end begins."""
        self._send("STOPPING=1", _status(status))

    def tell(self, status: str, *, alive: bool) -> None:
        """What goes on now; the watchdog is fed only where every thread is ``alive``."""
        lines = ["WATCHDOG=1"] if alive and self.watchdog_seconds is not None else []
        self._send(_status(status), *lines)

    def extend(self, seconds: float) -> None:
        """The start or the stop that is under way makes progress: let it have so long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def close(self) -> None:
        """Say no more."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self._address = None

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                # A manager that does not read must not stop the daemon.
                self._socket.setblocking(False)
            self._socket.sendto("\n".join(lines).encode(), self._address)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("the service manager can't be told: %s", error.strerror or error)
            self._failed = True


def _address(named: str) -> str | bytes | None:
    if named.startswith("@"):
        return b"\0" + os.fsencode(named[1:])
    return named if named.startswith("/") else None


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdigit() and int(usec) >= WATCHDOG_MIN_USEC):
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(usec) / 1_000_000


def _status(text: str) -> str:
    """On one line, short: a status may hold a name from the logs, and a line end in it would be another message."""
    safe = "".join(char if char.isprintable() else "?" for char in text)
    return f"STATUS={safe if len(safe) <= STATUS_MAX_CHARS else safe[: STATUS_MAX_CHARS - 1] + '…'}"
