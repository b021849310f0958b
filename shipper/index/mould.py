"""Moulds: the shapes that lines were found to have, so that the next lines of one are taken apart in a single pass.

To cut a line into all its pieces, and to see which of them all lines share, takes four times as long as to match it with
what lines of its shape have shared so far, and to keep what lies between.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from typing import Any

from shipper.index.template import QUOTE, Laid, Shape, Sheet, common_start, cut_lines

MOULDS_MAX = 64
"""Shapes with moulds, and those that can have none; then all are forgotten."""
LINES_MIN = 128
"""Lines of a shape before it gets a mould: to make one costs as much as it saves on a thousand lines."""
SHAPES_COUNTED_MAX = 1024
"""Shapes whose lines are counted; then all are forgotten."""
WIDENED_MAX = 32
"""How often a mould is made anew for lines that share less than those before, and its shape then has no mould."""
HINTS_MAX = 4096
"""Hints of which is remembered what mould they tell of; then all are forgotten."""
LONG_MIN = 48
"""Bytes that lines share in one place from which on they are compared at once."""
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
        self._finder: Callable[[bytes], list[Any]] | None = None
        self.widened += 1

    def apart(self, lines: Sequence[bytes]) -> list[bytes] | None:
        """The columns of lines without line ends of their own, values with line ends between them; None where it does not
        hold for all of them."""
        find = self._finder or self._find_all()
        text = b"\n".join(lines)
        rows, count = find(text), len(lines)
        if len(rows) != count:
            return None
        columns: list[bytes] = []
        for shared, column in zip(
            self._groups, zip(*rows, strict=True) if len(self._groups) > 1 else (rows,), strict=False
        ):
            if shared is None:
                columns.append(b"\n".join(column))
            elif column.count(shared) != count:
                return None
        # What was found ends at a line's end, and there are as many: each is a whole line if nothing lies between.
        held = sum(map(len, columns)) - len(columns) * (count - 1) + sum(map(len, self.shared)) * count
        return columns if held + count - 1 == len(text) else None

    def _find_all(self) -> Callable[[bytes], list[Any]]:
        """Finds the lines of a text. What they share is compared byte by byte; where it is long it is found as if it was a value,
        which is then compared at once."""
        self._groups: list[bytes | None] = []
        parts: list[bytes] = []
        for number, piece in enumerate(self.shared):
            if number:
                parts.append(b'([^"]*+)')
                self._groups.append(None)
            if len(piece) < LONG_MIN:
                parts.append(re.escape(piece))
            else:
                parts.append(b"(.{%d}+)" % len(piece))
                self._groups.append(piece)
        self._finder = re.compile(b"(?ms)^%b(?:\\n|\\Z)" % b"".join(parts)).findall
        return self._finder


Matched = dict[Mould, tuple[list[int], list[tuple[bytes, ...]]]]
"""Places of lines, and their values."""


class Moulds:
    """Takes lines apart as ``take_apart`` does, remembering their shapes. For one thread."""

    def __init__(self) -> None:
        self._moulds: dict[Shape, Mould | None] = {}
        self._by_quotes: dict[int, list[Mould]] = {}
        self._by_hint: dict[Hashable, Mould | None] = {}
        self._counted: Counter[Shape] = Counter()

    def take_apart(
        self, lines: Sequence[bytes], hints: Sequence[Hashable] | None = None
    ) -> tuple[Sheet, list[bytes]] | None:
        """The sheet of lines and its columns; None where they are better kept as they are. ``hints`` runs beside
        ``lines``: those with the same hint mostly are of one shape, and are then matched all at once."""
        whole = b"".join(lines)
        if b"\n" in whole:
            return None
        laid = Laid(len(lines))
        places: Sequence[int] = range(len(lines)) if hints is None else self._put_hinted(lines, hints, laid)
        matched, left = self._match(lines, places)
        cut = cut_lines(lines, left)
        if cut is None:
            return None
        if self._learn(cut):
            matched, left = self._match(lines, places)
            cut = cut_lines(lines, left)
            if cut is None:
                return None
        for mould, (found, values) in matched.items():
            mould.used += len(found)
            laid.put(found, mould.shared, [b"\n".join(column) for column in zip(*values, strict=True)])
        for shape, (found, rows) in cut.items():
            laid.lay(shape, found, rows)
        if hints is not None:
            self._take_hints(hints, matched)
        for moulds in self._by_quotes.values():
            moulds.sort(key=_frequent, reverse=True)
        return laid.done(whole)

    def _put_hinted(self, lines: Sequence[bytes], hints: Sequence[Hashable], laid: Laid) -> list[int]:
        """Take apart the lines whose hints tell of a mould; gives the places of the others."""
        by_hint: defaultdict[Hashable, list[int]] = defaultdict(list)
        for place, hint in enumerate(hints):
            by_hint[hint].append(place)
        left: list[int] = []
        guessed: dict[Mould, list[int]] = {}
        for hint, places in by_hint.items():
            mould = self._by_hint.get(hint)
            if mould is None:
                left += places
            else:
                guessed.setdefault(mould, []).extend(places)
        for mould, places in guessed.items():
            places.sort()  # of several hints; a template has its lines in their order
            columns = mould.apart([lines[place] for place in places])
            if columns is None:
                left += places
            else:
                mould.used += len(places)
                laid.put(places, mould.shared, columns)
        left.sort()
        return left

    def _take_hints(self, hints: Sequence[Hashable], matched: Matched) -> None:
        """Remember which mould each hint told of; None where there were several."""
        if len(self._by_hint) > HINTS_MAX:
            self._by_hint.clear()
        seen: dict[Hashable, Mould | None] = {}
        for mould, (places, _) in matched.items():
            for hint in {hints[place] for place in places}:
                seen[hint] = None if hint in seen else mould
        self._by_hint.update(seen)

    def _match(self, lines: Sequence[bytes], places: Sequence[int]) -> tuple[Matched, Sequence[int]]:
        """Those places of lines that a mould holds for, with their values, and the others."""
        matched: Matched = {}
        left: list[int] = []
        if not self._by_quotes:
            return matched, places
        for place in places:
            line = lines[place]
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
            kept = set(self._moulds.values())
            self._by_hint = {hint: mould for hint, mould in self._by_hint.items() if mould in kept}
        return learned
