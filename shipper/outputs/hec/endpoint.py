"""The endpoint: how one collector does, when it may be asked again, and which of several is the next to be asked.

One that fails is left out for a time that doubles with each failure, drawn at random below it (full jitter), unless the
server names one itself; then a single request tries it again. Nothing is given up. Not for use by two threads at once.
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
        self.busy = 0
        """Requests under way."""
        self.requests = 0
        self.reason: str | None = None
        self.held = False
        self.wants_health = False
        """Whether it is to be asked for its health before it gets events again: to send them may double them."""

    @property
    def well(self) -> bool:
        """Whether its last answer was a good one."""
        return self.reason is None

    def usable(self, now: float) -> bool:
        """Whether a request may go there now: while it is not well, one at a time."""
        return now >= self._until and (self.well or not self.busy)

    def wait_seconds(self, now: float) -> float:
        """How long until it may be asked."""
        return max(0.0, self._until - now)

    def hurry(self) -> None:
        """Something was mended: try it now."""
        self._until = 0.0

    def begin(self) -> None:
        """A request goes there."""
        self.busy += 1
        self.requests += 1

    def end(self) -> None:
        """A request is back."""
        self.busy -= 1

    def fine(self, now: float, *, slow: bool = False) -> bool:
        """It took events; returns whether that is news."""
        news = not self.well
        self.reason, self.held, self.wants_health, self._failures = None, False, False, 0
        self._until = now + SLOW_SECONDS if slow else 0.0
        return news

    def failed(self, answer: Answer, now: float, reason: str | None = None) -> bool:
        """It did not; returns whether the reason is news."""
        shown = reason or answer.shown
        news = self.reason != shown
        self.reason = shown
        self.held = answer.verdict is Verdict.HELD
        # What is refused for good reason is refused again; anything else might be taken, and the answer lost.
        self.wants_health = not self.held
        longest = min(self._backoff_max_seconds, BACKOFF_FIRST_SECONDS * 2 ** min(self._failures, DOUBLINGS_MAX_COUNT))
        self._failures += 1
        wait = max(BACKOFF_LEAST_SECONDS, longest * self._jitter())
        self._until = now + max(wait, answer.retry_after or 0.0)
        return news

    def state(self) -> EndpointState:
        """It as the status shows it."""
        word = "up" if self.well else "held" if self.held else "waiting"
        return EndpointState(self.url, word, self.reason, self.requests)


def pick(endpoints: Sequence[Endpoint], now: float) -> Endpoint | None:
    """The endpoint for the next request: one that is well before one to be tried, then the least used; None where
    none may be asked now. One that must be tried anyway goes first when it is due, so that it comes back."""
    usable = [one for one in endpoints if one.usable(now)]
    due = [one for one in usable if not one.well]
    if due and (len(due) == len(usable) or all(one.busy for one in usable if one.well) or due[0].wants_health):
        return min(due, key=lambda one: one.requests)
    return min((one for one in usable if one.well), key=lambda one: (one.busy, one.requests), default=None) or (
        due[0] if due else None
    )
