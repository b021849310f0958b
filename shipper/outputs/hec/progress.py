"""The progress: which items of which batches are taken, and up to which batch that is everything.

A batch is known from when it is read until the cursor passes it. What is taken twice counts once.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipper.journal import Span


class Progress:
    """Begins at ``cursor``. Batches up to ``read_until`` have all been added."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.read_until = cursor
        self._taken: dict[int, bytearray] = {}
        self._left: dict[int, int] = {}

    def add(self, seq: int, count: int) -> None:
        """A batch of ``count`` items was read. One that is known already changes nothing."""
        if seq not in self._taken:
            self._taken[seq] = bytearray(count)
            self._left[seq] = count

    def take(self, spans: Iterable[Span]) -> list[Span]:
        """Items are taken for good; returns those that were not before, which ``give_back`` takes."""
        fresh: list[Span] = []
        for span in spans:
            taken = self._taken.get(span.seq)
            if taken is None:
                continue  # the cursor is past it
            until = min(span.until, len(taken))
            if span.first >= until:
                continue
            if not any(taken[span.first : until]):
                taken[span.first : until] = b"\1" * (until - span.first)
                self._left[span.seq] -= until - span.first
                fresh.append(Span(span.seq, span.first, until))
                continue
            for place in range(span.first, until):
                if taken[place]:
                    continue
                taken[place] = 1
                self._left[span.seq] -= 1
                if fresh and fresh[-1].seq == span.seq and fresh[-1].until == place:
                    fresh[-1] = Span(span.seq, fresh[-1].first, place + 1)
                else:
                    fresh.append(Span(span.seq, place, place + 1))
        return fresh

    def give_back(self, spans: Iterable[Span]) -> None:
        """What ``take`` returned could not be written down."""
        for span in spans:
            taken = self._taken[span.seq]
            taken[span.first : span.until] = bytes(span.until - span.first)
            self._left[span.seq] += span.until - span.first

    def is_taken(self, seq: int, place: int) -> bool:
        """Whether an item of a known batch is taken."""
        taken = self._taken.get(seq)
        return taken is None or bool(taken[place])

    def finished(self) -> list[int]:
        """The numbers below 0, of what was put back, of which everything is taken."""
        return [seq for seq, left in self._left.items() if seq < 0 and not left]

    def advanced(self) -> int:
        """The last batch up to which everything is taken."""
        cursor = self.cursor
        for seq in sorted(seq for seq in self._left if cursor < seq <= self.read_until):
            if self._left[seq]:
                return cursor
            cursor = seq
        return max(cursor, self.read_until)

    def move(self, cursor: int) -> None:
        """The cursor was written down: batches up to it are forgotten."""
        self.cursor = cursor
        for seq in [seq for seq in self._taken if 0 <= seq <= cursor]:
            self.forget(seq)

    def forget(self, seq: int) -> None:
        """A batch, or what was put back, is done with."""
        self._taken.pop(seq, None)
        self._left.pop(seq, None)
