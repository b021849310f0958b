"""The state of an output to a collector, as the status, the metrics and ``connlog status`` show it."""

from __future__ import annotations

from msgspec import Struct

from shipper.outputs.hec.endpoint import EndpointState

LATENCY_BOUNDS_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class HecState(Struct, frozen=True):
    """Events are counted since the journal knows the output, requests since the daemon started.

    ``sent`` were taken, ``retried`` sent again, ``quarantined`` refused for good, ``possible_duplicates`` sent again
    though they may have been taken, ``unconfirmed`` taken where the server offers no acknowledgement. ``ack`` is
    unknown, acknowledged or unacknowledged; ``ack_pending`` are requests. ``put_back`` wait to be sent once more.
    ``undecided`` met a filter on names, since the daemon started, only because a name was not known yet; ``left_out`` did
    not meet the filter, None where there is none.
    """

    endpoints: list[EndpointState]
    ack: str
    ack_pending: int
    held: str | None
    sent: int
    retried: int
    quarantined: int
    possible_duplicates: int
    unconfirmed: int
    put_back: int
    undecided: int = 0
    left_out: int | None = None


class Latency:
    """A histogram of seconds: ``counts`` runs beside ``LATENCY_BOUNDS_SECONDS`` with one more for all above."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self.sum_seconds = 0.0

    def add(self, seconds: float) -> None:
        """One delivery took so long."""
        at = next((at for at, bound in enumerate(LATENCY_BOUNDS_SECONDS) if seconds <= bound), len(self.counts) - 1)
        self.counts[at] += 1
        self.sum_seconds += seconds
