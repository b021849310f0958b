"""The slice: events that share a request, rendered, each with its place in the journal, to be cut where an answer says."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

from isal import isal_zlib
from msgspec import Struct

from shipper.journal import Handed, Span
from shipper.journal.seal import rest_registers

GZIP_LEVEL, GZIP_WBITS = 1, 31
Mark = tuple[int, int]
"""The number of a batch, and the place of an item in it."""


class Slice(Struct):
    """Four lists side by side: ``bodies`` are envelopes, ``ids`` UUID texts and ``times`` canonical texts as they are
    sent, both empty for a gap."""

    bodies: list[bytes]
    ids: list[bytes]
    times: list[bytes]
    marks: list[Mark]
    size: int = 0
    """Bytes of all bodies."""

    def __len__(self) -> int:
        return len(self.bodies)

    def cut(self, first: int, until: int) -> Slice:
        """The part from ``first`` up to, and without, ``until``."""
        bodies = self.bodies[first:until]
        return Slice(
            bodies, self.ids[first:until], self.times[first:until], self.marks[first:until], sum(map(len, bodies))
        )

    def within(self, max_bytes: int) -> int:
        """How many of the first items fit into ``max_bytes``, one at least."""
        if self.size <= max_bytes:
            return len(self)
        size = 0
        for at, body in enumerate(self.bodies):
            size += len(body)
            if size > max_bytes:
                return max(1, at)
        return len(self)

    def body(self) -> bytes:
        """The body of the request, before compression."""
        return b"\n".join(self.bodies)

    def packed(self) -> bytes:
        """The same, as one gzip member."""
        packed = isal_zlib.compress(self.body(), GZIP_LEVEL, GZIP_WBITS)
        rest_registers()
        return packed

    def opened(self) -> Slice:
        """It holds its events one by one already."""
        return self

    def spans(self) -> tuple[Span, ...]:
        """The places of all items."""
        return spans_of(self.marks)

    def handed(self) -> Handed:
        """What goes into the ledger: gaps don't."""
        if b"" in self.ids:
            ids, times = list(filter(None, self.ids)), list(compress(self.times, self.ids))
        else:
            ids, times = self.ids, self.times
        return Handed(bytes.fromhex(b"".join(ids).replace(b"-", b"").decode()), times)


def spans_of(marks: Iterable[Mark]) -> tuple[Span, ...]:
    """Marks as spans; those that follow each other become one."""
    spans: list[Span] = []
    seq = first = until = -1
    begun = False
    for number, place in marks:
        if begun and number == seq and place == until:
            until += 1
            continue
        if begun:
            spans.append(Span(seq, first, until))
        begun, seq, first, until = True, number, place, place + 1
    if begun:
        spans.append(Span(seq, first, until))
    return tuple(spans)
