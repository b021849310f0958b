"""Polling: the input ``coder_api``, which asks Coder's connection log now and then and fills what the log has lost.

It waits until the log had its chance: nothing younger than ``settle`` is taken, nothing within ``settle`` of its start, and nothing
while the local index, by which it knows what is there, is behind the journal. One hour of the log is one turn, and
its end is the position, in the transaction of the events that were added.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from shipper.coder.client import CoderClient
from shipper.config.inputs import CoderApiInput
from shipper.config.settings import Coder
from shipper.errors import ConnlogError
from shipper.inputs.input import FeedState, Turn, View
from shipper.journal import Batch, FeedPosition, Piece
from shipper.reconciliation.event import INPUT, ApiEvents
from shipper.reconciliation.finding import HOUR_NS
from shipper.reconciliation.reconcile import Reconciler
from shipper.record import encoded
from shipper.timestamp import from_ns

LOOK_SECONDS = 5.0
"""How often it is asked whether the next poll is due."""
OVERLAP_NS = HOUR_NS
"""How far each poll goes back behind the last: Coder's writer may have been late."""
KEY = "coder_api"


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
        self._at_ns: int | None = None
        self._until_ns = 0
        self._state = "waiting"
        self._trouble: str | None = None

    @property
    def poll_seconds(self) -> float:
        return min(LOOK_SECONDS, self._watch.poll_seconds)

    def turn(self, now: float, *, woken: bool) -> Turn:
        """Compare the next hour, if a poll is due."""
        now_ns = self._now_ns()
        if self._at_ns is None:
            if now_ns < self._due_ns or self._behind():
                return Turn(Batch(), busy=False, hot=False)
            self._at_ns, self._until_ns = self._done_ns - OVERLAP_NS, now_ns - self._settle_ns
        if self._at_ns > self._until_ns:
            return self._rest(now_ns)
        end_ns = min(self._at_ns + HOUR_NS - 1, self._until_ns)
        try:
            piece = self._hour(self._at_ns, end_ns)
        except ConnlogError as error:
            self._trouble, self._state = str(error), "retrying"
            self._at_ns, self._due_ns = None, now_ns + int(self._watch.poll_seconds * 1e9)
            return Turn(Batch(), busy=False, hot=False)
        self._trouble, self._state = None, "reading"
        self._at_ns = end_ns + 1
        self._done_ns = max(self._done_ns, end_ns)
        position = FeedPosition(KEY, cursor=self._coder.url, time_ns=self._done_ns, seen_ns=now_ns)
        return Turn(Batch((piece,) if piece.entries else (), feeds=(position,)), busy=True, hot=False)

    def _rest(self, now_ns: int) -> Turn:
        self._at_ns, self._state = None, "waiting"
        self._due_ns = now_ns + int(self._watch.poll_seconds * 1e9)
        return Turn(Batch(), busy=False, hot=False)

    def _hour(self, since_ns: int, until_ns: int) -> Piece:
        """What only the API has of an hour. Raises RemoteError and StateError."""
        piece = Piece(self._name)
        with CoderClient(self._coder, attempts=1, stop=self._wake) as client:
            run = Reconciler(client, self._path, ApiEvents(self._host, self._coder.url))
            for row, records in run.run(since_ns, until_ns):
                piece.encoded += [encoded(record) for record in records]
                piece.originals += [row.raw] * len(records)
                piece.entries += len(records)
                piece.lines += 1
                piece.bytes += len(row.raw)
        return piece

    def rest(self, seconds: float) -> bool:
        """Wait until the next look."""
        woken = self._wake.wait(seconds)
        self._wake.clear()
        return woken

    def wake(self) -> None:
        """End the rest, and what is asked of Coder."""
        self._wake.set()

    def view(self) -> View:
        """How far it is, and what stands in the way."""
        feed = FeedState(self._name, self._state, from_ns(self._done_ns))
        return View(feeds=[feed], troubles={} if self._trouble is None else {self._name: f"{INPUT}: {self._trouble}"})

    def finish(self) -> Batch:
        """Nothing is held back."""
        return Batch()
