"""The list of requests that a server saw, each with its answer, for any thread to ask."""

from __future__ import annotations

import threading
import time
from collections import deque

from msgspec import Struct

from tests.hec.answer import Answer
from tests.hec.wire import Request

SEEN_MAX_COUNT = 100_000


class Seen(Struct, frozen=True, kw_only=True):
    """One request: where it came, with what, and how the rules answered it.

    ``at`` is a monotonic time. ``faulted``: a fault took the place of the rules, which never saw it.
    """

    number: int
    connection: int
    node: int
    service: str
    channel: str | None
    status: int
    code: int | None
    bytes_sent: int
    bytes_plain: int
    events: int
    at: float
    faulted: bool = False


class SeenList:
    """The newest requests, in the order of their answers; ``count`` is of all."""

    def __init__(self) -> None:
        self.count = 0
        self._seen: deque[Seen] = deque(maxlen=SEEN_MAX_COUNT)
        self._lock = threading.Lock()

    def all(self) -> list[Seen]:
        """A copy."""
        with self._lock:
            return list(self._seen)

    def drain(self) -> list[Seen]:
        """Gives what is there and forgets it."""
        with self._lock:
            seen = list(self._seen)
            self._seen.clear()
            return seen

    def note(
        self, request: Request, answer: Answer, *, node: int = 0, plain: int = 0, events: int = 0, faulted: bool = False
    ) -> None:
        """One more."""
        seen = Seen(
            number=request.number,
            connection=request.connection,
            node=node,
            service=request.service,
            channel=request.channel,
            status=answer.status,
            code=answer.code,
            bytes_sent=len(request.body),
            bytes_plain=plain,
            events=events,
            at=time.monotonic(),
            faulted=faulted,
        )
        with self._lock:
            self.count += 1
            self._seen.append(seen)
