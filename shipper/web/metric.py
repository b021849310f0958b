"""The metric: its name, labels and meaning, and how it is read out of a status."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from shipper.status import Status
from shipper.web.label import Labels

SOURCES_MAX_COUNT = 1000
DRIFT_MAX_COUNT = 1024

Sample = tuple[tuple[str, ...], float]
"""The values of a metric's labels, and its value; samples with equal labels are added up."""


class Reading:
    """One reading of a status, with the labels that stay the same over all readings."""

    def __init__(self) -> None:
        self.sources = Labels(SOURCES_MAX_COUNT)
        self.drift = Labels(DRIFT_MAX_COUNT)


INFINITE, SUM = "+Inf", "sum"
"""The last bucket of a histogram, and in the place of a bucket the sum of all that was measured."""


class Metric(Struct, frozen=True):
    """One metric: ``kind`` is counter, gauge or histogram. A counter's name ends in _total; a histogram's last label is
    ``le``, its samples count what is at most that, and one more has ``SUM`` there."""

    name: str
    kind: str
    labels: tuple[str, ...]
    prose: str
    read: Callable[[Status, Reading], Iterator[Sample]]
