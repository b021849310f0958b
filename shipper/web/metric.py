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


class Metric(Struct, frozen=True):
    """One metric: ``kind`` is counter or gauge, and a counter's name ends in _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    prose: str
    read: Callable[[Status, Reading], Iterator[Sample]]
