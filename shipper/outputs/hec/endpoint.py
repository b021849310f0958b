"""The endpoint: how one collector does, when it may be asked again, and which of several is the next to be asked.

One that fails is left out for a time that doubles with each failure, drawn at random below it (full jitter), unless the
server names one itself; then a single request tries it again. One that takes events and never acknowledges them gets a
single request at a time too, so that the others have the work. Nothing is given up. Not for use by two threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from shipper.outputs.hec.answer import Answer, Verdict

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_LEAST_SECONDS = 0.05
SLOW_SECONDS = 1.0
"""How long an endpoint rests that says it nears its limits."""
DOUBLINGS_MAX_COUNT = 16
HEALTH_MAX_COUNT = 10
"""After so many answers in a row that it is not well, events are tried all the same: a balancer may answer for it."""


class EndpointState(Struct, frozen=True):
    """One endpoint as the status shows it. ``state``: up, waiting (it fails and is tried again) or held (something must
    be mended), with the reason."""

    url: str
    state: str
    reason: str | None
    requests: int


class Endpoint:
    """The collector at ``url``. ``jitter`` gives a random number from 0 up to 1."""

    def __init__(self, url: str, backoff_max_seconds: float, jitter: Callable[[], float]) -> None:
        self.url = url
        self._backoff_max_seconds = backoff_max_seconds
        self._jitter = jitter
        self._failures = 0
        self._until = 0.0
        self._rest_until = 0.0
        self._answered = True
        self._sick_count = 0
        self.busy = 0
        """Lanes that are at it."""
        self.requests = 0
        self.turns = 0
        """Requests, and those that it missed while it was left out: it is not to catch up with them."""
        self.doubt: str | None = None
        """Why it is not believed: what it took was never acknowledged."""
        self.reason: str | None = None
        self.held = False
        self.wants_health = False
        """Whether it is to be asked for its health before it gets events again: to send them may double them."""

    @property
    def well(self) -> bool:
        """Whether its last answer was a good one."""
        return self.reason is None

    @property
    def settled(self) -> bool:
        """Whether it is well, and one more good answer changes nothing."""
        troubled = self.reason is not None or self.held or self.wants_health or not self._answered
        return not (troubled or self._failures or self._sick_count or self._until)

    def usable(self, now: float) -> bool:
        """Whether a request may go there now: while it is not well, one at a time."""
        return now >= self._until and (self.well or not self.busy)

    def askable(self, now: float) -> bool:
        """Whether it can be asked for acknowledgements: also while it takes no events, as long as it answers."""
        return self.well or self.doubt is not None or (self._answered and now >= self._rest_until)

    def wait_seconds(self, now: float) -> float:
        """How long until it may be asked."""
        return max(0.0, self._until - now)

    def hurry(self) -> None:
        """Something was mended: try it now."""
        self._until = 0.0

    def begin(self) -> None:
        """A lane turns to it, perhaps with nothing to send."""
        self.busy += 1

    def count(self) -> None:
        """Events go there."""
        self.requests += 1
        self.turns += 1

    def end(self) -> None:
        """The lane is done with it."""
        self.busy -= 1

    def fine(self, now: float, *, slow: bool = False) -> bool:
        """It took events; returns whether that is news."""
        news = not self.well and self.doubt is None
        self.reason, self.held, self.wants_health = self.doubt, self.doubt is not None, False
        self._failures = self._sick_count = 0
        self._answered = True
        self._until = now + SLOW_SECONDS if slow else 0.0
        return news

    def doubted(self, why: str) -> None:
        """What it took was not acknowledged."""
        self.doubt = self.reason = why
        self.held = True

    def believed(self, now: float) -> bool:
        """What it took was acknowledged, or is not to be; returns whether that is news."""
        if self.doubt is None:
            return False
        self.doubt = None
        return self.fine(now)

    def failed(self, answer: Answer, now: float, reason: str | None = None) -> bool:
        """It did not; returns whether the reason is news."""
        shown = reason or answer.shown
        news = self.reason != shown
        # Of several requests that were under way one failure is enough.
        resting = not self.well and now < self._until
        self.reason = shown
        self.held = answer.verdict is Verdict.HELD
        # What is refused for good reason is refused again; anything else might be taken, and the answer lost.
        self.wants_health = not self.held
        self._answered = answer.status > 0 and not self.held
        self._rest_until = now + (answer.retry_after or 0.0)
        if not resting:
            longest = BACKOFF_FIRST_SECONDS * 2 ** min(self._failures, DOUBLINGS_MAX_COUNT)
            self._failures += 1
            wait = max(BACKOFF_LEAST_SECONDS, min(self._backoff_max_seconds, longest) * self._jitter())
            self._until = now + wait
        self._until = max(self._until, self._rest_until)
        return news

    def sick(self) -> bool:
        """It says that it is not well; returns whether it has said so often enough to be tried all the same."""
        self._sick_count += 1
        if self._sick_count < HEALTH_MAX_COUNT:
            return False
        self._sick_count = 0
        return True

    def state(self) -> EndpointState:
        """It as the status shows it."""
        word = "up" if self.well else "held" if self.held else "waiting"
        return EndpointState(self.url, word, self.reason, self.requests)


def pick(endpoints: Sequence[Endpoint], now: float) -> Endpoint | None:
    """The endpoint for the next request: one that is to be tried again goes first, so that it comes back however little
    there is to do, else the one with the fewest turns; None where none may be asked now."""
    usable = [one for one in endpoints if one.usable(now)]
    due = [one for one in usable if not one.well]
    if due:
        return min(due, key=lambda one: one.turns)
    return min(usable, key=lambda one: (one.busy, one.turns), default=None)
