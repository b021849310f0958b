"""The warm batches: the newest ones as they were written, so that an output that is close behind need not read them back.

They are a copy of what is committed, each given once. Only a batch that follows without a hole in the numbers is asked for
here, so that none of another process is passed over. Not for use by two threads at once.
"""

from __future__ import annotations

from collections import OrderedDict

from shipper.journal.parcel import Parcel

WARM_MAX_COUNT, WARM_MAX_BYTES = 8, 4 << 20
"""Batches, and the bytes of their packed records; the oldest go."""


class WarmParcels:
    """At most ``WARM_MAX_COUNT`` parcels of ``WARM_MAX_BYTES`` together, or the newest one alone where it is larger."""

    def __init__(self) -> None:
        self._parcels: OrderedDict[int, Parcel] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Keep a batch that is committed. One that is not kept as an output sends it is left to the database."""
        if parcel.sealed is None:
            return
        self._parcels[parcel.seq] = parcel
        self._bytes += _size(parcel)
        while len(self._parcels) > 1 and (len(self._parcels) > WARM_MAX_COUNT or self._bytes > WARM_MAX_BYTES):
            self._forget(next(iter(self._parcels)))

    def take(self, seq: int) -> Parcel | None:
        """The batch ``seq``, once; None where the database must be asked."""
        return self._forget(seq) if seq in self._parcels else None

    def clear(self) -> None:
        """The numbers have changed."""
        self._parcels.clear()
        self._bytes = 0

    def _forget(self, seq: int) -> Parcel:
        parcel = self._parcels.pop(seq)
        self._bytes -= _size(parcel)
        return parcel


def _size(parcel: Parcel) -> int:
    return 0 if parcel.sealed is None else len(parcel.sealed.sealed.packed) + len(parcel.sealed.sealed.times)
