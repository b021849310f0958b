"""The pool: the endpoints of one output together: which is next, how they do, and what is told of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from shipper.outputs.hec.answer import Answer
from shipper.outputs.hec.endpoint import Endpoint, EndpointState, pick
from shipper.outputs.hec.trouble import GOES_ON, HOLDS, WAITS, Troubles

REST_MAX_SECONDS = 1.0
"""How long a lane rests at most while something stands in its way."""
REST_MIN_SECONDS = 0.2


class Pool:
    """The collectors at ``urls``. Any thread may ask; ``lock`` is the output's own."""

    def __init__(
        self,
        urls: Sequence[str],
        backoff_max_seconds: float,
        jitter: Callable[[], float],
        troubles: Troubles,
        lock: threading.RLock,
    ) -> None:
        self._endpoints = [Endpoint(url, backoff_max_seconds, jitter) for url in urls]
        self._offers: dict[str, bool] = {}
        self._troubles = troubles
        self._lock = lock
        self.errors_count = 0
        """Requests that did no good."""

    # ---- which is next -------------------------------------------------------------------------

    def claim(self, now: float, waits: Callable[[str], bool]) -> Endpoint | None:
        """The endpoint for the next request, which ``release`` gives back; None where nothing may be sent now. One that
        is not believed gets nothing as long as something ``waits`` there for its acknowledgement."""
        with self._lock:
            found = pick([one for one in self._endpoints if one.doubt is None or not waits(one.url)], now)
            if found is not None:
                found.begin()
            return found

    def release(self, endpoint: Endpoint) -> None:
        """The lane is done with it."""
        with self._lock:
            endpoint.end()

    def rest(self, now: float) -> float:
        """How long a lane may rest that could not claim an endpoint."""
        with self._lock:
            return min(REST_MAX_SECONDS, *(max(REST_MIN_SECONDS, one.wait_seconds(now)) for one in self._endpoints))

    def hurry(self) -> None:
        """Something was mended: try all of them now."""
        with self._lock:
            for one in self._endpoints:
                one.hurry()

    # ---- how they do ---------------------------------------------------------------------------

    def failed(self, endpoint: Endpoint, answer: Answer, now: float, reason: str | None = None) -> None:
        """A request to an endpoint did no good."""
        with self._lock:
            self.errors_count += 1
            news = endpoint.failed(answer, now, reason)
            does = GOES_ON if self.works else HOLDS if self.held else WAITS
            self._troubles.tell(endpoint.url, f"{endpoint.url}: {endpoint.reason}", now, news=news, does=does)

    def fine(self, endpoint: Endpoint, now: float, *, slow: bool) -> None:
        """An endpoint took events."""
        if endpoint.settled and not slow:
            return  # nothing would change; whoever is about to say that it failed comes after this
        with self._lock:
            if endpoint.fine(now, slow=slow):
                self._back(endpoint)

    def doubt(self, url: str, why: str) -> None:
        """What an endpoint took was not acknowledged: one request at a time is tried there until one is."""
        with self._lock:
            for endpoint in self._endpoints:
                if endpoint.url == url:
                    news = endpoint.doubt is None
                    endpoint.doubted(why)
                    self._troubles.tell(url, f"{url}: {why}", time.monotonic(), news=news)

    def believe(self, url: str) -> None:
        """What an endpoint took was acknowledged, or it offers no acknowledgement."""
        if all(endpoint.doubt is None for endpoint in self._endpoints):
            return
        with self._lock:
            for endpoint in self._endpoints:
                if endpoint.url == url and endpoint.believed(time.monotonic()):
                    self._back(endpoint)

    def _back(self, endpoint: Endpoint) -> None:
        """An endpoint is well again: it shares in what comes, and does not catch up with what it missed."""
        endpoint.turns = max(one.turns for one in self._endpoints)
        self._troubles.over(endpoint.url, f"{endpoint.url} is well again")

    # ---- what can be said ----------------------------------------------------------------------

    def offered(self, url: str, yes: bool) -> bool | None:
        """Whether an endpoint offers acknowledgement now; returns whether it did before, None where nobody knows."""
        if self._offers.get(url) is yes:
            return yes
        with self._lock:
            before = self._offers.get(url)
            self._offers[url] = yes
            return before

    @property
    def ack(self) -> str:
        """Whether what is taken is acknowledged: unknown, acknowledged, or unacknowledged where one endpoint offers none."""
        with self._lock:
            if not self._offers:
                return "unknown"
            return "acknowledged" if all(self._offers.values()) else "unacknowledged"

    def askable(self, url: str, now: float) -> bool:
        """Whether an endpoint can be asked for acknowledgements."""
        return any(one.url == url and one.askable(now) for one in self._endpoints)

    @property
    def works(self) -> bool:
        """Whether any endpoint takes events."""
        return any(one.well for one in self._endpoints)

    @property
    def held(self) -> bool:
        """Whether something must be mended before any takes events."""
        return any(one.held for one in self._endpoints) and not self.works

    @property
    def reason(self) -> str | None:
        """Why no endpoint takes events, None where one does."""
        return None if self.works else "; ".join(f"{one.url}: {one.reason}" for one in self._endpoints[:3])

    def states(self) -> list[EndpointState]:
        """All of them as the status shows them."""
        return [one.state() for one in self._endpoints]
