"""The files: all file inputs of a configuration as one input, woken by the system's word and by the poll."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from shipper.config import FileInput
from shipper.inputs.input import Turn, View
from shipper.inputs.tailer import Tailer
from shipper.inputs.wakeup import WakeUp
from shipper.journal import Batch

WAKE_SECONDS = 0.05
"""How long to wait after a wake-up for the others that come with it."""
WAKE_FACTOR = 4
"""The same as a multiple of what the turn before took: in a storm of renames looking must not be all that is done."""


class Files:
    """Drives ``tailer`` as an ``Input``."""

    def __init__(self, tailer: Tailer, watches: Sequence[FileInput]) -> None:
        self._tailer = tailer
        self.poll_seconds = min(watch.poll_seconds for watch in watches)
        self._woken = threading.Event()
        self._took_seconds = 0.0
        self._wake_up = WakeUp(watches, self.wake)

    def turn(self, now: float, *, woken: bool) -> Turn:
        """One turn of the tailer; after a wake-up it looks for files."""
        began = time.monotonic()
        turn = self._tailer.turn(now, rescan=woken)
        self._took_seconds = time.monotonic() - began
        return turn

    def rest(self, seconds: float) -> bool:
        """Wait for a wake-up."""
        woken = self._woken.wait(seconds)
        if woken:
            time.sleep(min(max(WAKE_SECONDS, WAKE_FACTOR * self._took_seconds), seconds))
        self._woken.clear()
        return woken

    def wake(self) -> None:
        """Files came, went or were renamed: look now."""
        self._woken.set()

    def view(self) -> View:
        """Every followed file."""
        return View(files=self._tailer.files(), troubles=dict(self._tailer.troubles))

    def finish(self) -> Batch:
        """The positions at the end; nothing is followed any more."""
        self._wake_up.close()
        return self._tailer.finish()
