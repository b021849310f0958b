"""The waiting: requests that were accepted and are not acknowledged, by channel, and for how long they have waited.

How long is counted by a clock that nobody sets; of requests of an earlier process it is taken from their time in the
journal, within bounds, so that each is asked for once more before it is given up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from shipper.journal import Channel, Receipt

Key = tuple[str, int, int]
FIRST_ACK = 0
"""What a server gives for the first request on a channel, also after it was started anew."""


def key_of(receipt: Receipt) -> Key:
    """What tells a receipt from all others; a server may give the same id twice, after it was started anew."""
    return receipt.channel, receipt.ack, receipt.sent_ns


class Waiting:
    """What waits, ``receipts`` of ``channels`` to begin with. Not for use by two threads at once."""

    def __init__(self, receipts: Iterable[Receipt], channels: Iterable[Channel]) -> None:
        self._endpoints = {one.channel: one.endpoint for one in channels}
        self._receipts: dict[str, dict[int, Receipt]] = {}
        self._since: dict[Key, float] = {}
        now, now_ns = time.monotonic(), time.time_ns()
        for one in receipts:
            self._put(one, now - max(0, now_ns - one.sent_ns) / 1e9)

    def __len__(self) -> int:
        return len(self._since)

    def add(self, receipt: Receipt, channel: Channel) -> None:
        """A request was accepted just now."""
        self._endpoints[channel.channel] = channel.endpoint
        self._put(receipt, time.monotonic())

    def _put(self, receipt: Receipt, since: float) -> None:
        before = self._receipts.get(receipt.channel, {}).get(receipt.ack)
        if before is not None:
            self.drop([before])
        self._receipts.setdefault(receipt.channel, {})[receipt.ack] = receipt
        self._since[key_of(receipt)] = since

    def drop(self, receipts: Iterable[Receipt]) -> None:
        """These wait no longer."""
        for one in receipts:
            self._since.pop(key_of(one), None)
            here = self._receipts.get(one.channel, {})
            if one.ack in here and here[one.ack].sent_ns == one.sent_ns:
                del here[one.ack]

    def forget(self, channels: Iterable[str]) -> None:
        """Nothing will be sent on these channels any more, and nothing waits on them."""
        for name in channels:
            self._endpoints.pop(name, None)
            self._receipts.pop(name, None)

    def of(self, channel: str) -> Sequence[Receipt]:
        """What waits on a channel."""
        return tuple(self._receipts.get(channel, {}).values())

    def since(self, receipt: Receipt) -> float:
        """Since when a receipt waits, in monotonic seconds; infinity for one that no longer does."""
        return self._since.get(key_of(receipt), float("inf"))

    def known(self, key: Key) -> bool:
        """Whether a receipt still waits."""
        return key in self._since

    def at(self, url: str) -> bool:
        """Whether anything waits at an endpoint."""
        return any(waits and self._endpoints.get(name) == url for name, waits in self._receipts.items())
