"""The sieve: tells which lines of a block match a pattern from what they share and from single columns.

Where a pattern's ways (``shipper.index.way``) can be read, each part of a way is looked for in the pieces that all lines
of a template share, once for all of them, and then in the columns that are left, all values at once. Mostly few columns are
unpacked, and no line is put together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress

from msgspec import Struct

from shipper.index.apart import Apart
from shipper.index.plan import Check, Plan, Planner
from shipper.index.probe import Probe
from shipper.index.way import Way, read_ways

PLANS_MAX = 4096
"""Templates for which is remembered how a pattern is looked for; blocks have the same ones."""
PLANS_BYTES_MAX = 16 << 20
"""What those templates take."""
OFTEN = 16
"""Where so many values of a column match, each different one is looked at by itself."""
_QUOTE, _BLANKS = b'"', b"  "


class Sieved(Struct, frozen=True):
    """Places of lines that match, and of those that may."""

    sure: frozenset[int]
    maybe: frozenset[int]


class Sieve:
    """Looks for one pattern in many blocks."""

    def __init__(self, ways: dict[bytes, tuple[Way, ...]], *, fold: bool) -> None:
        self._planner = Planner(ways, fold=fold)
        self._plans: dict[tuple[bytes, bytes], Plan] = {}
        self._plans_bytes = 0

    def places(self, apart: Apart) -> Sieved | None:
        """What is known of the lines of a block of ASCII; None where that is nothing. Raises ValueError where what that
        needs is damaged."""
        sheet = apart.sheet
        plans = [self._plan(key, one.shared, one.between) for key, one in zip(apart.keys, sheet.templates, strict=True)]
        if all(plan.always for plan in plans):
            return Sieved(_all(len(sheet.order)), frozenset())
        if all(plan.open for plan in plans):
            return None
        look = _Look(apart)
        sure: set[int] = set()
        maybe: set[int] = set()
        for number, plan in enumerate(plans):
            if plan.always:
                sure.update(look.places(number))
            elif plan.open:
                maybe.update(look.places(number))
            else:
                if plan.alone:
                    sure |= look.alone(number, plan.alone)
                for checks in plan.sure:
                    sure |= look.met(number, checks)
                for checks in plan.maybe:
                    maybe |= look.met(number, checks)
        return Sieved(frozenset(sure), frozenset(maybe - sure))

    def _plan(self, key: bytes, shared: Sequence[bytes], between: bytes) -> Plan:
        plan = self._plans.get((key, between))
        if plan is None:
            plan = self._planner.plan(shared, between)
            if len(self._plans) >= PLANS_MAX or self._plans_bytes + len(key) > PLANS_BYTES_MAX:
                self._plans.clear()
                self._plans_bytes = 0
            self._plans[key, between] = plan
            self._plans_bytes += len(key)
        return plan


class _Look:
    """A look at one block."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._cells: dict[tuple[int, bytes, bytes, Probe], Sequence[int]] = {}
        self._alive: dict[Probe, dict[int, Sequence[int]]] = {}
        self._places: dict[int, list[int]] = {}

    def places(self, number: int) -> list[int]:
        """The places of the lines of one template."""
        places = self._places.get(number)
        if places is None:
            order = self._apart.sheet.order
            places = self._places[number] = list(compress(range(len(order)), map(number.__eq__, order)))
        return places

    def alone(self, number: int, alone: Sequence[tuple[Probe, Sequence[int]]]) -> set[int]:
        """The places of a template's lines of which a bare value meets one of the probes."""
        rows: set[int] = set()
        columns = self._apart.sheet.templates[number].columns
        for probe, places in alone:
            alive = self._alive.get(probe)
            if alive is None:
                every = ((which, self._cell(which, b"", b"", probe)) for which in range(len(self._apart)))
                alive = self._alive[probe] = {which: cells for which, cells in every if cells}
            if alive:
                for place in places:
                    if columns[place] in alive:
                        rows.update(self._rows(number, place, alive[columns[place]]))
        return self._of_rows(number, rows)

    def met(self, number: int, checks: Sequence[Check]) -> set[int]:
        """The places of a template's lines that meet all checks."""
        columns = self._apart.sheet.templates[number].columns
        found: list[Sequence[int]] = []
        for check in checks:
            cells = self._cell(columns[check.place], check.before, check.behind, check.probe)
            rows = self._rows(number, check.place, cells) if cells else cells
            if not rows:
                return set()
            found.append(rows)
        return self._of_rows(number, set(found[0]).intersection(*found[1:])) if found else set(self.places(number))

    def _of_rows(self, number: int, rows: set[int]) -> set[int]:
        if not rows:
            return rows
        places = self.places(number)
        if max(rows) >= len(places):
            raise ValueError("its lines are not as many as its templates say")
        return {places[row] for row in rows}

    def _rows(self, number: int, place: int, cells: Sequence[int]) -> Sequence[int]:
        """Those of a column's values that are of a template's lines at ``place``, by the number of the line among them."""
        begin = self._apart.first_value(number, place)
        count = self._apart.sheet.templates[number].count
        if isinstance(cells, range):
            return range(max(0, min(count, len(cells) - begin)))
        low = bisect_left(cells, begin)
        return [cell - begin for cell in cells[low : bisect_left(cells, begin + count, low)]]

    def _cell(self, which: int, before: bytes, behind: bytes, probe: Probe) -> Sequence[int]:
        """The numbers of a column's values that meet a probe with what is around them, in order."""
        key = which, before, behind, probe
        cells = self._cells.get(key)
        if cells is None:
            cells = self._cells[key] = self._look(which, before, behind, probe)
        return cells

    def _look(self, which: int, before: bytes, behind: bytes, probe: Probe) -> Sequence[int]:
        digits = bool(self._apart.sheet.digits[which])
        bare = not before and not behind
        if digits and probe.strange and bare:
            return ()
        text = values = self._apart.column(which)
        inside = values if bare else values.replace(b"\n", b"%b\n%b" % (behind, before))
        text = b"\n%b%b%b\n" % (before, inside, behind)
        if not all(map(text.__contains__, probe.needed)):
            return ()
        if digits:
            return probe.cells(text, len(text))
        found = probe.cells(text, OFTEN)
        return found if len(found) < OFTEN else _each(values.split(b"\n"), before, behind, probe)


def _each(values: Sequence[bytes], before: bytes, behind: bytes, probe: Probe) -> Sequence[int]:
    """The numbers of values that meet a probe; each different one is looked at once."""
    distinct = set(values)
    if before or behind:
        met = {value for value in distinct if probe.meets(b"%b%b%b" % (before, value, behind))}
    else:
        met = {value for value in distinct if probe.meets(value)}
    if len(met) == len(distinct):
        return range(len(values))
    return [cell for cell, value in enumerate(values) if value in met]


@lru_cache(8)
def _all(count: int) -> frozenset[int]:
    return frozenset(range(count))


def make_sieve(pattern: str, *, fold: bool) -> Sieve | None:
    """The sieve for a pattern; None where nothing can be told of it."""
    if pattern.startswith("(?i)"):
        pattern, fold = pattern[4:], True
    ways = {between: read_ways(pattern, between, fold=fold) for between in (_QUOTE, _BLANKS)}
    known = {between: some for between, some in ways.items() if some is not None}
    return Sieve(known, fold=fold) if known else None
