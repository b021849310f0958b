"""Reading: the thread that reads one input into the journal, and pauses, loudly, when the journal has no room."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from shipper.errors import InputError, StateDamaged, StateError, StateNewer
from shipper.inputs.input import FileState, Input, View
from shipper.journal import Appended, Batch, Journal, Piece
from shipper.service.gathering import Gathering
from shipper.service.pulse import Pulse
from shipper.timestamp import from_ns

HOT_POLL_SECONDS = 0.4
"""While something grows it is looked at so often: each look that finds an event is three writes to the disk."""
RETRY_SECONDS = 1.0
TELL_SECONDS, TELL_IDLE_SECONDS = 0.5, 5.0
"""How often it is told how far every file is: while something grows, and while nothing does."""
RENEW_MAX_SECONDS = 60.0
"""The longest wait before an input that failed is opened again."""
log = logging.getLogger(__name__)


class Reading:
    """The loop of one input's thread. Other threads may ask ``view``, ``paused``, ``pulse`` and ``ended``.

    ``make_input`` builds the input from what the journal knows; ``lasting`` says that it may do so again after a
    failure, which holds for every source that can be read again from a position. ``settings`` are what it was
    configured with: a reload leaves alone what has the same ones.
    """

    def __init__(
        self,
        name: str,
        make_input: Callable[[], Input],
        journal: Journal,
        appended: Callable[[], None],
        *,
        lasting: bool = True,
        settings: object = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.lasting = lasting
        self._make_input = make_input
        self._input: Input | None = None
        self._journal = journal
        self._appended = appended
        self._gathering = Gathering()
        self._stop = threading.Event()
        self._failures_count = 0
        self.view = View()
        self.paused: str | None = None
        self.ended = False
        self.pulse = Pulse(name)

    def stop(self) -> None:
        """Stop after the turn that is under way; what was read is written."""
        self._stop.set()
        source = self._input
        if source is not None:
            source.wake()

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was asked for."""
        return self._stop.is_set()

    def run(self) -> None:
        """Read until ``stop`` or the end of the source. Raises StateDamaged and StateNewer; on other errors of the
        journal it waits."""
        source = self._input = self._make_input()
        woken = False
        told = float("-inf")
        while not self._stop.is_set():
            now = time.monotonic()
            self.pulse.beat()
            turn = source.turn(now, woken=woken)
            woken = False
            if turn.ended or now - told >= (TELL_SECONDS if turn.hot or turn.busy else TELL_IDLE_SECONDS):
                told = now
                self._tell(source.view())
            self._gathering.add(turn.batch, now)
            if self._gathering.due(now, busy=turn.busy and not turn.ended):
                self._write(self._gathering.take())
                self._failures_count = 0
            if turn.ended:
                break
            if not turn.busy:
                rest_seconds = min(HOT_POLL_SECONDS, source.poll_seconds) if turn.hot else source.poll_seconds
                self.pulse.beat(rest_seconds)
                woken = source.rest(rest_seconds)
        view = source.view()
        self._gathering.add(source.finish(), time.monotonic())
        self._write(self._gathering.take())
        self._tell(view)
        self.pulse.end()
        self.ended = True

    def failed(self, reason: str) -> None:
        """After ``run`` raised: tell, throw away what is not in the journal, and wait a while before it may run again."""
        source, self._input = self._input, None
        self._gathering = Gathering()
        if source is not None:
            with suppress(OSError, InputError):
                source.finish()
        seconds = min(RENEW_MAX_SECONDS, RETRY_SECONDS * 2**self._failures_count)
        self._failures_count += 1
        trouble = f"the input {self.name} failed and is opened again: {reason}"
        self._tell(View(self.view.files, self.view.feeds, {**self.view.troubles, self.name: trouble}))
        self.pulse.beat(seconds)
        self._stop.wait(seconds)

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
                    what = "they are read again next time" if self.lasting else "and nobody can read them again"
                    log.warning("stopping with lines read that are not in the journal; %s", what)
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
        feeds = self._input.view().feeds if self._input is not None and self.view.feeds else self.view.feeds
        self.view = msgspec.structs.replace(self.view, files=[_grown(file) for file in self.view.files], feeds=feeds)

    def _tell(self, view: View) -> None:
        before = self.view.troubles
        for path, message in view.troubles.items():
            if path not in before:
                log.warning("%s", message)
        for path in before:
            if path not in view.troubles:
                log.info("%s: can be read again, or is gone", path)
        self.view = view


def _grown(file: FileState) -> FileState:
    try:
        size = max(file.size, os.stat(file.path).st_size)
    except OSError:
        return file
    lag_bytes = file.lag_bytes + size - file.size
    behind = file.behind_since or (from_ns(time.time_ns()) if lag_bytes else None)
    return msgspec.structs.replace(file, size=size, lag_bytes=lag_bytes, behind_since=behind)


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
        log.warning("gap (%s) in %s: %s", gap.gap, gap.place, gap.reason)


def _met(name: str, piece: Piece) -> bool:
    # The journal keeps the beginning of a long name.
    return any(met.startswith(name) for met in piece.drift)


def _sources(batch: Batch, concerned: Callable[[Piece], bool]) -> str:
    """The names of the sources that are concerned, of many the first few."""
    names = sorted({piece.source for piece in batch.pieces if concerned(piece)})
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
