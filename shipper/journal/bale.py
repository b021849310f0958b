"""The bale: records of a source that were sealed as soon as they were read, while the processor's caches still hold them.

A batch is some megabytes of text by the time it is written: to go through it once more for sealing costs a seventh of all
that reading and sealing cost. A bale that holds a copy of an event, or is for another output than the batch, is opened.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from shipper.journal.recent import joined_ids
from shipper.journal.seal import SEGMENT_MAX_COUNT, Sealed, Wrapping, seal
from shipper.key import ID_BYTES
from shipper.record import Encoded


class Bale(Struct, frozen=True):
    """Records, sealed. ``ids`` are 16 bytes each, ``low`` and ``high`` the least and the greatest of their times."""

    sealed: Sealed
    ids: bytes
    low: str
    high: str

    @property
    def count(self) -> int:
        """Its records."""
        return len(self.ids) // ID_BYTES

    def opened(self) -> list[Encoded]:
        """The records by themselves again, in their order."""
        lines = self.sealed.lines()
        return [Encoded(found.id, found.time, line.decode()) for line in lines for found in (_decode(line),)]


class Baler:
    """Makes bales for the wrapping that ``wrapping`` names at that moment, and none while it names none. For one thread."""

    def __init__(self, wrapping: Callable[[], Wrapping | None]) -> None:
        self._wrapping = wrapping
        self._theirs: Wrapping | None = None
        self._own: Wrapping | None = None

    def bale(self, encoded: list[Encoded]) -> Bale | None:
        """Take what fills whole segments off the front of ``encoded``; None where it fills none."""
        whole = len(encoded) - len(encoded) % SEGMENT_MAX_COUNT
        if not whole:
            return None
        wrapping = self._wrapping()
        if wrapping is not self._theirs:
            # The journal's own is used by whoever writes.
            self._theirs, self._own = wrapping, None if wrapping is None else wrapping.another()
        if self._own is None:
            return None
        some = encoded[:whole]
        times = [record.time for record in some]
        ids = joined_ids([record.id for record in some])
        bale = Bale(seal(some, self._own), ids, min(times), max(times))
        del encoded[:whole]
        return bale


class _Named(Struct):
    id: str
    time: str


_decode = msgspec.json.Decoder(_Named).decode
