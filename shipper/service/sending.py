"""Sending: the thread of one output, which waits and tries again for as long as its target fails."""

from __future__ import annotations

import logging
import threading
import time

from shipper.errors import ConnlogError
from shipper.outputs.delivery import Delivery
from shipper.outputs.hec.state import HecState, Latency
from shipper.service.pulse import Pulse

BACKOFF_MIN_SECONDS, BACKOFF_MAX_SECONDS = 0.5, 30.0
IDLE_SECONDS = 5.0
log = logging.getLogger(__name__)


class Sending:
    """The loop of one output's thread. Other threads may ask ``last_error``, ``errors_count``, ``last_success_ns`` and ``pulse``."""

    def __init__(self, delivery: Delivery) -> None:
        self.name = delivery.name
        self._delivery = delivery
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._deadline = float("inf")
        self.pulse = Pulse(self.name)
        self.last_error: str | None = None
        self.errors_count = 0
        self.last_success_ns: int | None = None

    @property
    def taken_count(self) -> int:
        """Events taken since the daemon started."""
        return self._delivery.taken_count

    @property
    def latency(self) -> Latency:
        """What a batch took."""
        return self._delivery.latency

    @property
    def hec(self) -> HecState | None:
        """Nothing more is to be told of this kind of output."""
        return None

    def wake(self) -> None:
        """The journal has a new batch."""
        self._wake.set()

    def stop(self, drain_seconds: float) -> None:
        """Deliver what is there, for at most so long, and end."""
        self._deadline = time.monotonic() + drain_seconds
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Deliver until ``stop``."""
        backoff = BACKOFF_MIN_SECONDS
        try:
            while True:
                self._wake.clear()
                self.pulse.beat()
                try:
                    more = self._delivery.step(time.monotonic())
                except ConnlogError as error:
                    self.last_error = str(error)
                    self.errors_count += 1
                    if self._stop.is_set():
                        log.warning(
                            "output %s ends with events it has not taken, which stay in the journal: %s",
                            self.name,
                            _cause(error),
                        )
                        return
                    log.warning("output %s waits and will try again: %s", self.name, error)
                    self.pulse.beat(backoff)
                    if self._stop.wait(backoff):
                        return
                    backoff = min(2 * backoff, BACKOFF_MAX_SECONDS)
                    continue
                if self.last_error is not None:
                    log.info("output %s goes on", self.name)
                self.last_error, backoff = None, BACKOFF_MIN_SECONDS
                if more:
                    self.last_success_ns = time.time_ns()
                if self._stop.is_set() and (not more or time.monotonic() > self._deadline):
                    return
                if not more:
                    self.pulse.beat(IDLE_SECONDS)
                    self._wake.wait(IDLE_SECONDS)
        finally:
            self.pulse.end()
            self.close()

    def close(self) -> None:
        """Let go of the target, before ``run`` or at its end."""
        try:
            self._delivery.close()
        except ConnlogError as error:
            # What it has taken for good is there, in files of its own if need be; the rest is in the journal.
            log.warning(
                "output %s is closed, but not tidied up, which the next start does; nothing is lost: %s",
                self.name,
                _cause(error),
            )


def _cause(error: ConnlogError) -> str:
    """What happened, without the advice of one who goes on."""
    return str(error.__cause__ or error)
