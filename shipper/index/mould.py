"""Moulds: the shapes that lines were found to have, so that the next lines of one are taken apart in a single pass.

To cut a line into all its pieces, and to see which of them all lines share, takes four times as long as to match it with
what lines of its shape have shared so far, and to keep what lies between.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

from shipper.index.template import QUOTE, Laid, Shape, Sheet, common_start, cut_lines

MOULDS_MAX = 64
"""Shapes with moulds, and those that can have none; then all are forgotten."""
LINES_MIN = 256
"""Lines of a shape before it gets a mould: to make one costs as much as it saves on a thousand lines."""
SHAPES_COUNTED_MAX = 1024
"""Shapes whose lines are counted; then all are forgotten."""
WIDENED_MAX = 32
"""How often a mould is made anew for lines that share less than those before, and its shape then has no mould."""
PIECES_MAX = 256
BYTES_MAX = 4096
"""Of the first line of a mould, which is what its lines can share."""


_frequent = attrgetter("used")


class Mould:
    """What lines of one shape share, and a pattern that holds for all of them alike."""

    def __init__(self, rows: Sequence[Sequence[bytes]]) -> None:
        self.used = self.widened = 0
        self._starts = list(rows[0])
        self._fixed = [True] * len(rows[0])
        self.widen(rows)

    def widen(self, rows: Sequence[Sequence[bytes]]) -> None:
        """Let it hold for these lines, cut into pieces, too."""
        for number, column in enumerate(zip(*rows, strict=True)):
            start = self._starts[number]
            low, high = min(start, *column), max(start, *column)
            if low != high:
                self._starts[number] = common_start(low, high)
                self._fixed[number] = False
        self.shared: list[bytes] = []
        held: list[bytes] = []
        for number, (start, fixed) in enumerate(zip(self._starts, self._fixed, strict=True)):
            held += [QUOTE, start] if number else [start]
            if not fixed:
                self.shared.append(b"".join(held))
                held = []
        self.shared.append(b"".join(held))
        # Nothing of a line is a pattern here; a value ends at the next quote, so that nothing is tried twice.
        self.match = re.compile(b'([^"]*+)'.join(map(re.escape, self.shared))).fullmatch
        self.widened += 1


class Moulds:
    """Takes lines apart as ``take_apart`` does, remembering their shapes. For one thread."""

    def __init__(self) -> None:
        self._moulds: dict[Shape, Mould | None] = {}
        self._by_quotes: dict[int, list[Mould]] = {}
        self._counted: Counter[Shape] = Counter()

    def take_apart(self, lines: Sequence[bytes]) -> tuple[Sheet, list[bytes]] | None:
        """The sheet of lines and its columns; None where they are better kept as they are."""
        matched, left = self._match(lines)
        cut = cut_lines(lines, left)
        if cut is None:
            return None
        if self._learn(cut):
            matched, left = self._match(lines)
            cut = cut_lines(lines, left)
            if cut is None:
                return None
        laid = Laid(len(lines))
        for mould, (places, values) in matched.items():
            mould.used += len(places)
            laid.put(places, mould.shared, list(zip(*values, strict=True)))
        for shape, (places, rows) in cut.items():
            laid.lay(shape, places, rows)
        for moulds in self._by_quotes.values():
            moulds.sort(key=_frequent, reverse=True)
        return laid.done(b"".join(lines))

    def _match(
        self, lines: Sequence[bytes]
    ) -> tuple[dict[Mould, tuple[list[int], list[tuple[bytes, ...]]]], list[int]]:
        """The places of lines that a mould holds for, with their values, and those of the others."""
        matched: dict[Mould, tuple[list[int], list[tuple[bytes, ...]]]] = {}
        left: list[int] = []
        if not self._by_quotes:
            return matched, list(range(len(lines)))
        for place, line in enumerate(lines):
            for mould in self._by_quotes.get(line.count(QUOTE), ()):
                found = mould.match(line)
                if found is not None:
                    rows = matched.get(mould)
                    if rows is None:
                        rows = matched[mould] = [], []
                    rows[0].append(place)
                    rows[1].append(found.groups())
                    break
            else:
                left.append(place)
        return matched, left

    def _learn(self, cut: dict[Shape, tuple[list[int], list[Sequence[bytes]]]]) -> bool:
        """Make moulds for shapes that are frequent, and widen those that did not hold; whether there was anything to."""
        learned = False
        for shape, (_, rows) in cut.items():
            if isinstance(shape, int):
                continue
            mould = self._moulds.get(shape)
            if mould is not None:
                mould.widen(rows)
            elif shape in self._moulds:
                continue  # it wore out, or is too long
            else:
                self._counted[shape] += len(rows)
                if self._counted[shape] < LINES_MIN:
                    continue
                if len(self._moulds) >= MOULDS_MAX:
                    self._moulds.clear()
                fits = len(rows[0]) <= PIECES_MAX and sum(map(len, rows[0])) <= BYTES_MAX
                mould = Mould(rows) if fits else None
            self._moulds[shape] = None if mould is None or mould.widened > WIDENED_MAX else mould
            learned = True
        if len(self._counted) > SHAPES_COUNTED_MAX:
            self._counted.clear()
        if learned:
            self._by_quotes = {}
            for shape, mould in self._moulds.items():
                if mould is not None and not isinstance(shape, int):
                    self._by_quotes.setdefault(shape[0] - 1, []).append(mould)
        return learned
