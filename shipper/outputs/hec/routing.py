"""The routing: which source type and index an event goes to, by an explicit table on closed fields, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipper.config.kind import Route
from shipper.record import Record


class Routing:
    """``choose`` is None where all events go to one place: then no record need be decoded for it."""

    def __init__(self, routes: Sequence[Route], sourcetype: str, index: str) -> None:
        self._tables = [
            (route.field, frozenset(route.values), (route.sourcetype or sourcetype, route.index or index))
            for route in routes
        ]
        self._default = (sourcetype, index)
        self.choose: Callable[[Record], tuple[str, str]] | None = self._choose if routes else None

    def _choose(self, record: Record) -> tuple[str, str]:
        """Source type and index of the first route that fits."""
        for field, values, place in self._tables:
            if getattr(record, field) in values:
                return place
        return self._default
