"""The progress: which items of which batches are taken, and up to which batch that is everything.

Only batches of which something is left are kept, so that one event that waits for long costs no memory for all that are
taken behind it. What is taken twice counts once.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable

from shipper.journal import Span


class Progress:
    """Begins at ``cursor``. Batches up to ``read_until`` have all been added, each once."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.read_until = cursor
        self._taken: dict[int, bytearray] = {}
        self._left: dict[int, int] = {}
        self._open: list[int] = []
        """Batches of which something is left, in order; what was put back is not among them."""
        self._done: list[int] = []
        """Batches and what was put back that are all taken, until that is written down."""
        self._ahead: set[int] = set()

    def __len__(self) -> int:
        """How many batches are kept."""
        return len(self._left)

    def add(self, seq: int, count: int) -> None:
        """A batch of ``count`` items was read, for the first time but for ``expect``."""
        self._ahead.discard(seq)
        if seq not in self._left:
            self._taken[seq] = bytearray(count)
            self._left[seq] = count
            if not count:
                self._done.append(seq)
            elif seq > 0:
                insort(self._open, seq)

    def expect(self, seq: int, count: int) -> None:
        """Items of a batch wait since an earlier life; it is kept until it is read, even when all of it is taken."""
        self.add(seq, count)
        self._ahead.add(seq)

    def take(self, spans: Iterable[Span]) -> list[Span]:
        """Items are taken for good; returns those that were not before, which ``give_back`` takes."""
        fresh: list[Span] = []
        for span in spans:
            taken = self._taken.get(span.seq)
            if taken is None:
                continue  # all of it is taken, and written down
            until = min(span.until, len(taken))
            if span.first >= until:
                continue
            if not any(taken[span.first : until]):
                taken[span.first : until] = b"\1" * (until - span.first)
                self._count(span.seq, until - span.first)
                fresh.append(Span(span.seq, span.first, until))
                continue
            for place in range(span.first, until):
                if taken[place]:
                    continue
                taken[place] = 1
                self._count(span.seq, 1)
                if fresh and fresh[-1].seq == span.seq and fresh[-1].until == place:
                    fresh[-1] = Span(span.seq, fresh[-1].first, place + 1)
                else:
                    fresh.append(Span(span.seq, place, place + 1))
        return fresh

    def _count(self, seq: int, items: int) -> None:
        self._left[seq] -= items
        if not self._left[seq]:
            self._done.append(seq)
            if seq > 0:
                del self._open[bisect_right(self._open, seq) - 1]

    def give_back(self, spans: Iterable[Span]) -> None:
        """What ``take`` returned could not be written down."""
        for span in spans:
            taken = self._taken[span.seq]
            taken[span.first : span.until] = bytes(span.until - span.first)
            if not self._left[span.seq]:
                self._done.remove(span.seq)
                if span.seq > 0:
                    insort(self._open, span.seq)
            self._left[span.seq] += span.until - span.first

    def is_taken(self, seq: int, place: int) -> bool:
        """Whether an item of a batch that was read is taken."""
        taken = self._taken.get(seq)
        return taken is None or bool(taken[place])

    def finished(self) -> list[int]:
        """The numbers below 0, of what was put back, of which everything is taken."""
        return [seq for seq in self._done if seq < 0]

    def advanced(self) -> int:
        """The last number up to which everything is taken."""
        if self._open and self._open[0] <= self.read_until:
            return max(self.cursor, self._open[0] - 1)
        return max(self.cursor, self.read_until)

    def move(self, cursor: int) -> None:
        """The cursor, and what is taken beyond it, was written down: batches that are all taken are forgotten."""
        self.cursor = cursor
        kept = [seq for seq in self._done if seq > 0 and seq in self._ahead]
        for seq in self._done:
            if seq < 0 or seq not in self._ahead:
                del self._taken[seq], self._left[seq]
        self._done = kept
