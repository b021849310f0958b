"""The child: a program whose output is read without ever waiting for it, and that ends with this process.

Its output and its complaints are pipes: a program that writes to one after this process is gone, however it went,
is ended by the system, and journalctl notices a closed pipe while it has nothing to write too.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from shipper.errors import InputError
from shipper.inputs.unread import unread_bytes

COMPLAINT_MAX_BYTES = 1024
"""Of a longer line on the standard error the rest is left out."""
COMPLAINTS_MAX_BYTES = 65_536
"""Read of the standard error at once."""
REAP_SECONDS = 2.0
"""How long a killed program may take to be gone before it is left to be reaped later."""


class Child:
    """One run of ``arguments``, without shell and without standard input. Raises InputError where it can't be started."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environ,
                bufsize=0,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise InputError(f"{arguments[0]} is not there; install it, or put its folder into PATH") from error
        except OSError as error:
            raise InputError(f"{arguments[0]} can't be started: {error.strerror}") from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout, self._process.stderr
        os.set_blocking(self._out.fileno(), False)
        os.set_blocking(self._err.fileno(), False)
        self._complaint = b""
        self.ended = False
        """Whether its output has come to its end."""

    @property
    def fds(self) -> tuple[int, ...]:
        """What to wait on for more of its output, and for its complaints."""
        return (self._out.fileno(), self._err.fileno()) if not self._err.closed else (self._out.fileno(),)

    @property
    def unread_bytes(self) -> int:
        """What it has written and was not read."""
        return unread_bytes(self._out.fileno())

    def read(self, limit_bytes: int) -> bytes:
        """What it has written and was not read, nothing if that is nothing; sets ``ended`` at the end."""
        try:
            data = os.read(self._out.fileno(), limit_bytes)
        except BlockingIOError:
            return b""
        self.ended = not data
        return data

    def complaints(self) -> list[str]:
        """Whole lines of its standard error since the last call, printable, without what only frames them."""
        if self._err.closed:
            return []
        try:
            data = os.read(self._err.fileno(), COMPLAINTS_MAX_BYTES)
        except BlockingIOError:
            return []
        if not data:
            self._err.close()
            data = b"\n" if self._complaint else b""
        *lines, self._complaint = (self._complaint + data).split(b"\n")
        self._complaint = self._complaint[:COMPLAINT_MAX_BYTES]
        texts = (line[:COMPLAINT_MAX_BYTES].decode("utf-8", "backslashreplace").strip() for line in lines)
        return ["".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text) for text in texts if text]

    def close(self) -> int | None:
        """End it, and take its exit code; None where it can't be ended yet, -n where signal n ended it."""
        # A reader of files has nothing to put in order, so there is no need to ask it first.
        if self._process.poll() is None and not self.ended:
            self._process.kill()
        self._out.close()
        self._err.close()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(REAP_SECONDS)
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(REAP_SECONDS)
        return None
