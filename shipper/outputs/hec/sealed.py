"""The sealed slice: events that go out as the journal keeps them, whole segments of batches, without being looked at.

It is opened, into one like any other, only where an answer tells its events apart or the body must be smaller.
"""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from shipper.journal import HandedSealed, SealedLines, Segment, Span, gzip_member, sent_times, unpack_segment
from shipper.key import ID_BYTES
from shipper.outputs.hec.slice import Slice


class Sheet(Struct, frozen=True):
    """One segment: its lines and times as they are kept, its ids, and its place: of the batch ``seq`` from the item
    ``first`` on."""

    segment: Segment
    packed: bytes
    times: bytes
    ids: bytes
    seq: int
    first: int


class SealedSlice(Struct):
    """What ``Slice`` is, for sheets. ``size`` is in bytes before compression, a line's end behind each sheet."""

    sheets: list[Sheet]
    size: int = 0
    count: int = 0

    def __len__(self) -> int:
        return self.count

    def add(self, sheet: Sheet) -> None:
        """One more sheet behind the others."""
        self.sheets.append(sheet)
        self.size += sheet.segment.plain + 1
        self.count += sheet.segment.count

    def opened(self) -> Slice:
        """The same events, each by itself. Raises StateDamaged."""
        made = Slice([], [], [], [])
        for sheet in self.sheets:
            count = sheet.segment.count
            bodies = unpack_segment(sheet.segment, sheet.packed).split(b"\n")
            made.bodies += bodies
            ids = range(0, len(sheet.ids), ID_BYTES)
            made.ids += [str(UUID(bytes=sheet.ids[at : at + ID_BYTES])).encode() for at in ids]
            made.times += sent_times(sheet.times)
            made.marks += [(sheet.seq, sheet.first + at) for at in range(count)]
            made.size += sum(map(len, bodies)) + count
        return made

    def cut(self, first: int, until: int) -> Slice:
        """The part from ``first`` up to, and without, ``until``."""
        return self.opened().cut(first, until)

    def within(self, max_bytes: int) -> int:
        """How many of the first items fit into ``max_bytes``, one at least."""
        return self.count if self.size <= max_bytes else self.opened().within(max_bytes)

    def body(self) -> bytes:
        """The body of the request, before compression."""
        return b"\n".join([unpack_segment(sheet.segment, sheet.packed) for sheet in self.sheets])

    def packed(self) -> bytes:
        """The same, as one gzip member."""
        return gzip_member([sheet.segment for sheet in self.sheets], [sheet.packed for sheet in self.sheets])

    def spans(self) -> tuple[Span, ...]:
        """The places of all items."""
        spans: list[Span] = []
        for sheet in self.sheets:
            until = sheet.first + sheet.segment.count
            if spans and spans[-1].seq == sheet.seq and spans[-1].until == sheet.first:
                spans[-1] = Span(sheet.seq, spans[-1].first, until)
            else:
                spans.append(Span(sheet.seq, sheet.first, until))
        return tuple(spans)

    def handed(self) -> HandedSealed:
        """What goes into the ledger."""
        return HandedSealed(
            b"".join([sheet.ids for sheet in self.sheets]),
            b"".join([sheet.times for sheet in self.sheets]),
            min(sheet.segment.low for sheet in self.sheets),
            max(sheet.segment.high for sheet in self.sheets),
            self.count,
        )


AnySlice = Slice | SealedSlice
"""Events that share a request."""


def sheets_of(lines: SealedLines, seq: int) -> list[Sheet]:
    """The sheets of a batch."""
    sealed = lines.sealed
    sheets: list[Sheet] = []
    packed = times = first = 0
    for segment in sealed.segments:
        until = first + segment.count
        ids = lines.ids[first * ID_BYTES : until * ID_BYTES]
        body, sent = sealed.packed[packed : packed + segment.packed], sealed.times[times : times + segment.times]
        sheets.append(Sheet(segment, body, sent, ids, seq, first))
        packed, times, first = packed + segment.packed, times + segment.times, until
    return sheets
