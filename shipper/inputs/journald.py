"""The journald input: what one table of the configuration follows of systemd's journal, in one thread."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from shipper.config import JournaldInput
from shipper.inputs.follower import Follower
from shipper.inputs.input import Turn, View
from shipper.inputs.journalctl import matches_of
from shipper.inputs.unit import Unit
from shipper.inputs.wakepipe import WakePipe
from shipper.journal import Batch, FeedPosition

POLL_SECONDS = 5.0
"""The longest rest: what comes ends it at once."""
HOT_SECONDS = 1.0


class Journald:
    """Follows all that ``watch`` names, each from its own position. ``counted`` are the sources that have counters."""

    def __init__(
        self, watch: JournaldInput, positions: Mapping[str, FeedPosition], counted: Collection[str], host: str
    ) -> None:
        self.poll_seconds = POLL_SECONDS
        self._followers = [
            Follower(Unit(match, watch, positions.get(match.key), host=host, known=match.source in counted))
            for match in matches_of(watch)
        ]
        self._wake_pipe = WakePipe()
        self._hot_until = 0.0

    def turn(self, now: float, *, woken: bool) -> Turn:
        """A piece of each."""
        busy = [follower.turn(now) for follower in self._followers]
        if any(busy):
            self._hot_until = now + HOT_SECONDS
        return Turn(self._batch(), any(busy), now < self._hot_until)

    def rest(self, seconds: float) -> bool:
        """Wait for output of a child, for the time of a new start, or to be woken."""
        starts = [at for follower in self._followers if (at := follower.next_start) is not None]
        if starts:
            seconds = max(0.0, min(seconds, min(starts) - time.monotonic()))
        return self._wake_pipe.wait([fd for follower in self._followers for fd in follower.fds], seconds)

    def wake(self) -> None:
        """End the rest."""
        self._wake_pipe.wake()

    def view(self) -> View:
        """Every unit, and what stands in the way."""
        now = time.monotonic()
        return View(
            feeds=[follower.state(now) for follower in self._followers],
            troubles={f.source: f.trouble for f in self._followers if f.trouble is not None},
        )

    def finish(self) -> Batch:
        """End the children; the positions at the end."""
        for follower in self._followers:
            follower.finish()
        self._wake_pipe.close()
        return self._batch()

    def _batch(self) -> Batch:
        taken = [follower.take() for follower in self._followers]
        return Batch(
            pieces=tuple(piece for piece, _, _ in taken if piece is not None),
            feeds=tuple(position for _, position, _ in taken if position is not None),
            gaps=tuple(gap for _, _, gaps in taken for gap in gaps),
        )
