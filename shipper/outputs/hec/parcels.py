"""The parcels: where the supply gets them from, and the same with names on their records."""

from __future__ import annotations

import time
from typing import Protocol

from shipper.journal import Parcel
from shipper.outputs.hec.names import Namer


class Parcels(Protocol):
    """Where parcels come from, as an outbox gives them."""

    def after(self, seq: int) -> Parcel | None:
        """The first parcel after a batch."""

    def at(self, seq: int) -> Parcel | None:
        """The parcel of a batch."""

    def put_back(self, seq: int) -> Parcel | None:
        """The next parcel of what was put back."""

    def newest(self, stored_ns: int) -> int:
        """The number of the newest batch that was stored by then, 0 where there is none."""


class NamedParcels:
    """Parcels of ``outbox`` with names; a new one whose people are not known yet may wait for a while."""

    def __init__(self, outbox: Parcels, namer: Namer) -> None:
        self._outbox = outbox
        self._namer = namer

    def after(self, seq: int) -> Parcel | None:
        parcel = self._outbox.after(seq)
        if parcel is not None and self._namer.silent:
            return parcel
        if parcel is None or self._namer.waits(parcel, time.time_ns()):
            return None
        return self._namer.named(parcel)

    def at(self, seq: int) -> Parcel | None:
        parcel = self._outbox.at(seq)
        return None if parcel is None else self._namer.named(parcel)

    def put_back(self, seq: int) -> Parcel | None:
        parcel = self._outbox.put_back(seq)
        return None if parcel is None else self._namer.named(parcel)

    def newest(self, stored_ns: int) -> int:
        return self._outbox.newest(stored_ns)
