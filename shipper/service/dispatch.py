"""The dispatch: the threads of an output with several requests under way, and a keeper that watches over them.

It has the surface of ``Sending``: the crew and the backfill use either. A lane that fails for a reason nobody thought of
begins anew from what is in the journal, after a while, and nothing else stops for it.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from shipper.errors import StateError
from shipper.outputs.hec.output import IDLE_SECONDS, HecOutput
from shipper.outputs.hec.state import HecState, Latency
from shipper.service.pulse import Pulse

if TYPE_CHECKING:
    from shipper.outputs.hec.lane import Lane  # brings http.client

KEEPER_SECONDS = 0.25
REQUESTS_MAX_COUNT = 4
"""Requests that one step of a lane may take: about acknowledgements, health, whether there are any, and events."""
FAULT_FIRST_SECONDS, FAULT_LONGEST_SECONDS = 5.0, 300.0
"""How long a lane rests after a fault of connlog's own: twice as long after each."""
CUT_SECONDS = 5.0
"""How long after the time for draining a request may still take; then it is cut, and counted as possibly doubled."""
log = logging.getLogger(__name__)


class Dispatch:
    """The threads of ``output``, one for each of ``lanes``. Other threads may ask everything that has no argument."""

    def __init__(self, output: HecOutput, lanes: list[Lane]) -> None:
        self.name = output.name
        self._output = output
        self._lanes = lanes
        self._changed = threading.Condition()
        self._generation = 0
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._pulses = [Pulse(f"{self.name}-{lane.number}") for lane in lanes]
        self.pulse = Pulse(self.name)

    @property
    def last_error(self) -> str | None:
        """Why nothing gets through."""
        return self._output.last_error

    @property
    def errors_count(self) -> int:
        """Requests that did no good."""
        return self._output.pool.errors_count

    @property
    def last_success_ns(self) -> int | None:
        """When events were taken last."""
        return self._output.last_success_ns

    @property
    def taken_count(self) -> int | None:
        """It counts for longer than the daemon runs: see ``hec``."""
        return None

    @property
    def latency(self) -> Latency:
        """What a request took."""
        return self._output.latency

    @property
    def hec(self) -> HecState | None:
        """What else there is to tell."""
        return self._output.state()

    def wake(self) -> None:
        """The journal has a new batch."""
        with self._changed:
            self._generation += 1
            self._changed.notify(1)

    def stop(self, drain_seconds: float) -> None:
        """Deliver what is there, for at most so long, and end."""
        self._deadline = time.monotonic() + drain_seconds
        self._output.flush = True
        self._stop.set()
        with self._changed:
            self._generation += 1
            self._changed.notify_all()

    def run(self) -> None:
        """Deliver until ``stop``."""
        threads = [
            threading.Thread(target=self._run_lane, args=(at,), name=f"output-{pulse.name}", daemon=True)
            for at, pulse in enumerate(self._pulses)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            now = time.monotonic()
            if not any(pulse.stalled(now) for pulse in self._pulses):
                self.pulse.beat()
            for lane in self._lanes:
                lane.cut(now, always=now > self._deadline + CUT_SECONDS)
            try:
                self._output.tidy(now)
            except StateError as error:
                log.debug("output %s: the ledger can't be tidied up now: %s", self.name, error)
            threads[0].join(KEEPER_SECONDS)
            for thread in threads[1:]:
                if not threads[0].is_alive():
                    thread.join(KEEPER_SECONDS)
        self.pulse.end()

    def close(self) -> None:
        """Nothing is open before ``run``."""

    def _run_lane(self, at: int) -> None:
        lane, pulse = self._lanes[at], self._pulses[at]
        rest = FAULT_FIRST_SECONDS
        try:
            while True:
                try:
                    self._lane_loop(lane, pulse)
                except Exception as error:
                    # The boundary of a worker: whatever it was must not end what others do.
                    log.exception("output %s: a fault of connlog, please report it", self.name)
                    what = f"a fault of connlog ({type(error).__name__}); it begins anew after {rest:g} s; please report it"
                    self._output.trouble(f"lane {at}", what)
                    if self._begin_anew(lane, pulse, rest):
                        rest = min(2 * rest, FAULT_LONGEST_SECONDS)
                        continue
                return
        finally:
            pulse.end()

    def _begin_anew(self, lane: Lane, pulse: Pulse, rest: float) -> bool:
        """Rest, and let a lane begin with what is in the journal; returns False where all is to end first."""
        while True:
            pulse.beat(rest)
            if self._stop.wait(rest):
                return False
            try:
                lane.begin_anew()
            except StateError as error:
                log.warning("output %s can't begin anew yet: %s", self.name, error)
                continue
            return True

    def _lane_loop(self, lane: Lane, pulse: Pulse) -> None:
        longest = REQUESTS_MAX_COUNT * self._output.settings.total_timeout_seconds
        while True:
            generation = self._generation
            pulse.beat(longest)
            now = time.monotonic()
            rest = lane.step(now)
            self._output.trouble(f"lane {lane.number}", None)
            if self._stop.is_set() and (rest > 0 or time.monotonic() > self._deadline):
                break
            if rest > 0:
                pulse.beat(rest + longest)
                with self._changed:
                    if generation == self._generation:
                        self._changed.wait(min(rest, IDLE_SECONDS))
            elif self._output.more:
                with self._changed:
                    self._changed.notify(1)
        lane.finish()
