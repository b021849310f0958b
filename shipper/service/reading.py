"""Reading: the thread that reads all inputs into the journal, and pauses, loudly, when the journal has no room."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial

import msgspec

from shipper.errors import StateDamaged, StateError, StateNewer
from shipper.inputs.tailer import FileState, Tailer
from shipper.journal import Appended, Batch, Journal, Piece
from shipper.service.gathering import Gathering
from shipper.service.pulse import Pulse

HOT_POLL_SECONDS = 0.2
RETRY_SECONDS = 1.0
TELL_SECONDS = 0.5
WAKE_SECONDS = 0.05
"""How long to wait after a wake-up for the others that come with it."""
log = logging.getLogger(__name__)


class Reading:
    """The loop of the reader thread. Other threads may ask ``files``, ``troubles``, ``paused`` and ``pulse``."""

    def __init__(self, tailer: Tailer, journal: Journal, poll_seconds: float, appended: Callable[[], None]) -> None:
        self._tailer = tailer
        self._journal = journal
        self._poll_seconds = poll_seconds
        self._appended = appended
        self._gathering = Gathering()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self.files: list[FileState] = []
        self.troubles: dict[str, str] = {}
        self.paused: str | None = None
        self.pulse = Pulse("reader")

    def wake(self) -> None:
        """Files came, went or were renamed: look now."""
        self._wake.set()

    def stop(self) -> None:
        """Stop after the turn that is under way; what was read is written."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Read until ``stop``. Raises StateDamaged and StateNewer; on other errors of the journal it waits."""
        woken = False
        told = float("-inf")
        while not self._stop.is_set():
            now = time.monotonic()
            self.pulse.beat()
            turn = self._tailer.turn(now, rescan=woken)
            woken = False
            if now - told >= TELL_SECONDS:
                told = now
                self._tell()
            self._gathering.add(turn.batch, now)
            if self._gathering.due(now):
                self._write(self._gathering.take())
            if not turn.busy:
                rest_seconds = min(HOT_POLL_SECONDS, self._poll_seconds) if turn.hot else self._poll_seconds
                self.pulse.beat(rest_seconds)
                woken = self._wake.wait(rest_seconds)
                if woken:
                    self._stop.wait(WAKE_SECONDS)
                self._wake.clear()
        self._gathering.add(self._tailer.finish(), time.monotonic())
        self._write(self._gathering.take())
        self._tell()
        self.pulse.end()

    def _write(self, batch: Batch) -> None:
        """Append the batch, however long it takes; only a stop gives up, and then it is read again next time."""
        while not batch.empty:
            self.pulse.beat()
            try:
                appended = self._journal.append(batch)
            except (StateDamaged, StateNewer):
                raise
            except StateError as error:
                stopping = self._stop.is_set()
                if self.paused is None and not stopping:
                    log.warning("reading pauses: %s", error)
                self.paused = str(error)
                self._tell_growth()
                if stopping:
                    log.warning("stopping with lines read that are not in the journal; they are read again next time")
                    return
                self._stop.wait(RETRY_SECONDS)
                continue
            if self.paused is not None:
                log.info("what was read is in the journal" if self._stop.is_set() else "reading goes on")
                self.paused = None
            _tell_batch(batch, appended)
            if appended.seq is not None:
                self._appended()
            return

    def _tell_growth(self) -> None:
        """While nothing is read, the lag grows all the same."""
        self.files = [_grown(file) for file in self.files]

    def _tell(self) -> None:
        self.files = self._tailer.files()
        troubles = dict(self._tailer.troubles)
        for path, message in troubles.items():
            if path not in self.troubles:
                log.warning("%s", message)
        for path in self.troubles:
            if path not in troubles:
                log.info("%s: can be read again, or is gone", path)
        self.troubles = troubles


def _grown(file: FileState) -> FileState:
    try:
        size = max(file.size, os.stat(file.path).st_size)
    except OSError:
        return file
    return msgspec.structs.replace(file, size=size, lag_bytes=file.lag_bytes + size - file.size)


def _tell_batch(batch: Batch, appended: Appended) -> None:
    """Log what an operator should know of a batch; of the lines themselves only names of drift, escaped by the log."""
    if appended.malformed:
        log.warning("%s: malformed entries were put into the quarantine", _sources(batch, lambda p: bool(p.malformed)))
    if appended.textless:
        log.warning(
            "the quarantine has reached state.quarantine_max: of new malformed entries only place and reason are kept, "
            "not the text; see 'connlog quarantine ls', and replay or drop what is there"
        )
    if appended.trimmed:
        log.warning("the quarantine holds too many entries: the oldest made room; see 'connlog quarantine ls'")
    for name in appended.drift:
        kind, _, value = name.partition(":")
        where = _sources(batch, partial(_met, name))
        log.warning("new in the logs: %s %s, first met in %s; its events are kept", kind, value, where)
    for gap in batch.gaps:
        log.warning("gap (%s) in %s: %s", gap.gap, gap.source.path, gap.reason)


def _met(name: str, piece: Piece) -> bool:
    # The journal keeps the beginning of a long name.
    return any(met.startswith(name) for met in piece.drift)


def _sources(batch: Batch, concerned: Callable[[Piece], bool]) -> str:
    """The names of the sources that are concerned, of many the first few."""
    names = sorted({piece.source for piece in batch.pieces if concerned(piece)})
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
