"""The follower: one unit, identifier or container of the journal, read from a cursor on through a child journalctl.

The cursor moves only with the records: what a turn gives holds both. The child is asked for the entry at the cursor
too, and begins with it if it is still there; so a journal that lost it is noticed, and no other process is needed.
The child is expendable: it is ended and begun again when it fails, when it is silent for long (it may hang, and the
cursor is proved by that), and when nobody read from it for a while, because the journal may have been vacuumed under it.
"""

from __future__ import annotations

import logging
import random

from shipper.errors import InputError
from shipper.inputs.child import Child
from shipper.inputs.input import FeedState
from shipper.inputs.journalctl import PERMISSION, PROGRAM, environment, follow
from shipper.inputs.unit import Unit
from shipper.journal import FeedPosition, Piece
from shipper.record import Gap
from shipper.timestamp import from_ns

READ_MAX_BYTES = 1 << 20
BACK_OFF_SECONDS = 0.25
BACK_OFF_MAX_SECONDS = 30.0
SOUND_SECONDS = 10.0
"""A child that lived so long did not fail at its start."""
SILENT_MAX_SECONDS = 900.0
MISSED_SECONDS = 0.5
"""How long after journalctl has missed the entry that was read last it is asked again."""
UNREAD_MAX_SECONDS = 30.0
IDLE_FLUSH_SECONDS = 0.5
PARTIAL_MAX_SECONDS = 60.0
"""How long the rest of a line that journald cut is waited for."""
DRAINED_SECONDS = 5.0
"""A child that gave nothing for so long, after it had begun at the cursor, has nothing more to give."""
COMPLAINTS_MAX_COUNT = 20
"""Complaints of the child that are logged in a minute."""
_random = random.SystemRandom()
log = logging.getLogger(__name__)


class Follower:
    """Keeps a child running that reads what ``unit`` takes. Not for two threads."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.source = unit.match.source
        self._child: Child | None = None
        self._started_at = self._grown_at = self._turned_at = 0.0
        self._next_start = float("-inf")
        self._failures_count = 0
        self._starts_count = 0
        self._complaints: list[str] = []
        self._said: list[float] = []
        self._failure: str | None = None
        self._hint: str | None = None

    @property
    def fds(self) -> tuple[int, ...]:
        """What tells of more to read."""
        return self._child.fds if self._child is not None else ()

    @property
    def next_start(self) -> float | None:
        """When the next child is started, in monotonic seconds; None while there is one."""
        return self._next_start if self._child is None else None

    @property
    def trouble(self) -> str | None:
        """What stands in the way."""
        return self._failure or self._hint

    def state(self, now: float) -> FeedState:
        """What the status shows."""
        if self._child is None or (self._failures_count and not self._unit.given):
            state = "retrying"
        else:
            state = "reading" if now - self._grown_at < 1.0 else "waiting"
        at = from_ns(self._unit.time_ns) if self._unit.time_ns else None
        lag_bytes = self._child.unread_bytes if self._child is not None else 0
        # While it can't be asked nobody knows what there is; the last time that there was nothing is what is known.
        behind_ns = self._unit.time_ns if lag_bytes else self._unit.seen_ns if state == "retrying" else 0
        behind = from_ns(behind_ns) if behind_ns else None
        return FeedState(self.source, state, at, max(0, self._starts_count - 1), lag_bytes, behind)

    def turn(self, now: float) -> bool:
        """Read what the child has, one piece; whether there is more at once."""
        if self._child is not None and self._turned_at and now - self._turned_at > UNREAD_MAX_SECONDS:
            self._renew(now)
        self._turned_at = now
        if self._child is None:
            if now < self._next_start:
                return False
            self._start(now)
        child = self._child
        if child is None:
            return False
        self._hear(child, now)
        data = child.read(READ_MAX_BYTES)
        if data:
            self._grown_at = now
            if not self._unit.feed(data):
                self._renew(now)
            elif self._unit.given:
                self._failures_count, self._failure = 0, None
            return self._child is not None
        if child.ended:
            self._ended(child, now)
        else:
            self._idle(now)
        return False

    def take(self) -> tuple[Piece | None, FeedPosition | None, list[Gap]]:
        """What was read since the last call; the position where it moved."""
        return self._unit.take()

    def finish(self) -> None:
        """Give what is complete; the child is ended."""
        if self._unit.waiting and not self._unit.flushed:
            self._unit.flush()
        self._unit.end()
        if self._child is not None:
            self._child.close()
            self._child = None

    # ---- the child -----------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._starts_count += 1
        cursor, since_ns = self._unit.begin()
        try:
            self._child = Child(follow(self._unit.match, cursor=cursor, since_ns=since_ns), environment())
        except InputError as error:
            self._failed(now, str(error))
            return
        self._started_at = self._grown_at = self._turned_at = now
        self._complaints, self._hint = [], None

    def _renew(self, now: float) -> None:
        """Begin again at the cursor."""
        if self._child is not None:
            self._child.close()
            self._child = None
        self._next_start = now + MISSED_SECONDS * self._unit.missed_count

    def _ended(self, child: Child, now: float) -> None:
        self._hear(child, now)
        code = child.close()
        self._child = None
        if self._unit.given or now - self._started_at >= SOUND_SECONDS:
            self._failures_count = 0
        said = self._complaints[-1] if self._complaints else "it said nothing"
        if any("permission" in word.lower() for word in self._complaints):
            said += PERMISSION
        if self._unit.expects and any("seek to cursor" in word for word in self._complaints):
            self._unit.lose()
            self._renew(now)
            return
        self._failed(now, f"{PROGRAM} ended with {code}: {said}")

    def _failed(self, now: float, why: str) -> None:
        seconds = min(BACK_OFF_MAX_SECONDS, BACK_OFF_SECONDS * 2**self._failures_count) * _random.uniform(0.75, 1.25)
        self._failures_count = min(self._failures_count + 1, 16)
        self._next_start = now + seconds
        if self._failures_count > 1 or not self._unit.given:
            self._failure = f"{self.source}: {why}; tried again and again"
        else:
            log.info("%s: %s; begun again", self.source, why)

    def _hear(self, child: Child, now: float) -> None:
        for word in child.complaints():
            self._complaints = [*self._complaints[-9:], word]
            self._said = [at for at in self._said if now - at < 60.0]
            if len(self._said) < COMPLAINTS_MAX_COUNT:
                self._said.append(now)
                log.info("%s: %s says: %s", self.source, PROGRAM, word)
            if "not seeing messages from other users" in word:
                self._hint = f"{self.source}: {PROGRAM} may not read all of the journal{PERMISSION}"

    def _idle(self, now: float) -> None:
        silent = now - max(self._grown_at, self._started_at)
        if self._unit.waiting:
            if silent >= PARTIAL_MAX_SECONDS:
                self._unit.flush(final=True)
            elif not self._unit.flushed and silent >= IDLE_FLUSH_SECONDS:
                self._unit.flush()
        if silent >= IDLE_FLUSH_SECONDS and self._failures_count and now - self._started_at >= SOUND_SECONDS:
            self._failures_count, self._failure = 0, None
        if DRAINED_SECONDS <= silent < 2 * DRAINED_SECONDS:
            self._unit.drained()
        if silent >= SILENT_MAX_SECONDS:
            self._renew(now)
