"""The stop: the wish of a signal, or of a part that failed, that the service end; and the wish of SIGHUP that it reload."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Any, Self


class Stop:
    """Asked for by SIGTERM and SIGINT inside the ``with`` block, which only the main thread may open, and by ``ask``.
    SIGHUP asks for a reload, or, on a terminal, which then has been closed, for the end.

    A second signal ends the process at once: nothing is lost by that, what is not in the journal is read again.
    """

    def __init__(self) -> None:
        self._asked = False
        self._reload_asked = False
        # Its put may interrupt its own get, as a signal does; the lock of an Event may not.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._signalled)
        hang_up = self._signalled if os.isatty(2) else self._told_to_reload
        self._previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, hang_up)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether the service should end."""
        return self._asked

    def ask(self) -> None:
        """Let the service end. From any thread."""
        self._asked = True
        self._woken.put(None)

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        asked, self._reload_asked = self._reload_asked, False
        return asked

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the end or a reload is asked for; returns whether the end is. For one thread."""
        if not self._asked:
            with suppress(Empty):
                self._woken.get(timeout=seconds)
        return self._asked

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self.ask()

    def _told_to_reload(self, number: int, frame: FrameType | None) -> None:
        self._reload_asked = True
        self._woken.put(None)
