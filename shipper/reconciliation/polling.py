"""Polling: the input ``coder_api``, which asks Coder's connection log now and then and fills what the log has lost.

It waits until the log had its chance: nothing younger than ``settle`` is taken, nothing within ``settle`` of its start, and nothing
while the local index, by which it knows what is there, is behind the journal. Each hour of the log ends with a position,
in the transaction of the last events that were added of it. Coder is asked by a thread of its own, so that the input can
be stopped, and shows signs of life, however slow Coder is.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from shipper.coder.client import CoderClient
from shipper.config.inputs import CoderApiInput
from shipper.config.settings import Coder
from shipper.errors import ConnlogError, RemoteBusy
from shipper.inputs.input import FeedState, Turn, View
from shipper.journal import Batch, FeedPosition, Piece
from shipper.reconciliation.event import INPUT, ApiEvents
from shipper.reconciliation.finding import HOUR_NS
from shipper.reconciliation.reconcile import Reconciler
from shipper.record import encoded
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
"""How often it is asked whether the next poll is due."""
GIVE_SECONDS = 0.5
"""How often, while there is no room, it is looked whether to end."""
OVERLAP_NS = HOUR_NS
"""How far each poll goes back behind the last: Coder's writer may have been late."""
KEY = "coder_api"
PIECE_MAX_EVENTS = 500
PIECES_MAX_COUNT = 4
"""Pieces that wait to be taken; the thread that asks Coder waits for room."""


class Hour(Struct, frozen=True):
    """An hour that was compared, up to ``end_ns``."""

    end_ns: int


class Ended(Struct, frozen=True):
    """The end of a poll; ``trouble`` is why it ended early, ``wait_seconds`` how long Coder wants to be left alone."""

    trouble: str | None = None
    wait_seconds: float = 0.0


class Poll:
    """One poll over a range of time, by a thread of its own: pieces of events, then the hour they are of, again and again,
    and at last ``Ended``. ``ready`` is called after each."""

    def __init__(
        self, coder: Coder, path: Path, host: str, since_ns: int, until_ns: int, ready: Callable[[], None]
    ) -> None:
        self._coder = coder
        self._path = path
        self._events = ApiEvents(host, coder.url)
        self._since_ns, self._until_ns = since_ns, until_ns
        self._ready = ready
        self._given: queue.Queue[Piece | Hour | Ended] = queue.Queue(PIECES_MAX_COUNT)
        self._stop = threading.Event()
        self._client = CoderClient(coder, attempts=1, stop=self._stop)
        self._thread = threading.Thread(target=self._guarded, name=KEY, daemon=True)
        self._thread.start()

    def take(self) -> Piece | Hour | Ended | None:
        """What comes next, None where nothing is there yet."""
        try:
            return self._given.get_nowait()
        except queue.Empty:
            return None

    def stop(self) -> None:
        """End it; the request that is under way is cut, and what was not taken is read again by the next."""
        self._stop.set()
        self._client.cut()

    def _guarded(self) -> None:
        try:
            with self._client:
                self._run()
        except RemoteBusy as error:
            self._give(Ended(str(error), error.retry_seconds or 0.0))
        except ConnlogError as error:
            self._give(Ended(str(error)))
        except Exception as error:
            # The boundary of a worker: the input must hear of the end, whatever it was.
            log.exception("the thread %s failed", KEY)
            self._give(Ended(f"failed: {type(error).__name__}; this is a fault of connlog, please report it"))
        else:
            self._give(Ended())

    def _run(self) -> None:
        at_ns = self._since_ns
        while at_ns <= self._until_ns and not self._stop.is_set():
            end_ns = min(at_ns + HOUR_NS - 1, self._until_ns)
            run = Reconciler(self._client, self._path, self._events)
            piece = self._piece()
            for row, records in run.run(at_ns, end_ns):
                piece.encoded += [encoded(record) for record in records]
                piece.originals += [row.raw] * len(records)
                piece.entries += len(records)
                piece.lines += 1
                piece.bytes += len(row.raw)
                if piece.entries >= PIECE_MAX_EVENTS:
                    self._give(piece)
                    piece = self._piece()
            if piece.entries:
                self._give(piece)
            self._give(Hour(end_ns))
            at_ns = end_ns + 1

    def _piece(self) -> Piece:
        return Piece(f"{KEY}:{self._coder.url}")

    def _give(self, one: Piece | Hour | Ended) -> None:
        while not self._stop.is_set():
            try:
                self._given.put(one, timeout=GIVE_SECONDS)
            except queue.Full:
                continue
            self._ready()
            return


class CoderApi:
    """The connection log of Coder at ``coder.url`` against the index at ``path``. ``behind``: the index lacks what the
    journal has."""

    def __init__(
        self,
        watch: CoderApiInput,
        coder: Coder,
        path: Path,
        position: FeedPosition | None,
        host: str,
        behind: Callable[[], bool],
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._watch = watch
        self._coder = coder
        self._path = path
        self._host = host
        self._behind = behind
        self._now_ns = now_ns
        self._settle_ns = int(watch.settle_seconds * 1e9)
        self._wake = threading.Event()
        self._name = f"{KEY}:{coder.url}"
        began = now_ns()
        known = None if position is None or position.cursor != coder.url else position.time_ns
        self._done_ns = began - int(watch.look_back_seconds * 1e9) if known is None else known
        self._due_ns = began + self._settle_ns
        self._poll: Poll | None = None
        self._state = "waiting"
        self._trouble: str | None = None

    @property
    def poll_seconds(self) -> float:
        return min(LOOK_SECONDS, self._watch.poll_seconds)

    def turn(self, now: float, *, woken: bool) -> Turn:
        """Take what the poll under way gave, or begin one that is due."""
        now_ns = self._now_ns()
        if self._poll is None:
            if now_ns >= self._due_ns and not self._behind():
                since_ns, until_ns = self._done_ns - OVERLAP_NS, now_ns - self._settle_ns
                self._poll = Poll(self._coder, self._path, self._host, since_ns, until_ns, self._wake.set)
                self._state = "reading"
            return Turn(Batch(), busy=False, hot=False)
        given = self._poll.take()
        if given is None:
            return Turn(Batch(), busy=False, hot=False)
        if isinstance(given, Piece):
            return Turn(Batch((given,)), busy=True, hot=False)
        if isinstance(given, Hour):
            self._trouble = None
            self._done_ns = max(self._done_ns, given.end_ns)
            position = FeedPosition(KEY, cursor=self._coder.url, time_ns=self._done_ns, seen_ns=now_ns)
            return Turn(Batch(feeds=(position,)), busy=True, hot=False)
        self._poll = None
        self._trouble = given.trouble
        self._state = "waiting" if given.trouble is None else "retrying"
        self._due_ns = now_ns + int(max(self._watch.poll_seconds, given.wait_seconds) * 1e9)
        return Turn(Batch(), busy=False, hot=False)

    def rest(self, seconds: float) -> bool:
        """Wait until the next look."""
        woken = self._wake.wait(seconds)
        self._wake.clear()
        return woken

    def wake(self) -> None:
        """End the rest."""
        self._wake.set()

    def view(self) -> View:
        """How far it is, and what stands in the way."""
        feed = FeedState(self._name, self._state, from_ns(self._done_ns))
        return View(feeds=[feed], troubles={} if self._trouble is None else {self._name: f"{INPUT}: {self._trouble}"})

    def finish(self) -> Batch:
        """End what is asked of Coder; nothing is held back."""
        if self._poll is not None:
            self._poll.stop()
            self._poll = None
        return Batch()
