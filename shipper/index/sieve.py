"""The sieve: tells which lines of a block match a pattern from what they share and from single columns.

Where a pattern's ways (``shipper.index.way``) can be read, each part of a way is looked for in the pieces that all lines
of a template share, once for all of them, and then in the columns that are left, all values at once. Mostly few columns are
unpacked, and no line is put together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from shipper.index.apart import Apart
from shipper.index.linewise import Linewise
from shipper.index.way import Part, Way, read_ways

PLANS_MAX = 4096
"""Templates for which is remembered how a pattern is looked for; blocks have the same ones."""
PLANS_BYTES_MAX = 16 << 20
"""What those templates take."""
CHECKS_MAX = 256
"""Places in one template at which a pattern may match; of more is said nothing."""
MAYBE_MAX = 24
"""Of those at which the line has to be looked at."""
VERDICTS_MAX = 65_536
"""Values for which is remembered whether they match."""
OFTEN = 16
"""Where so many values of a column match, each different one is looked at by itself."""
FEW = 4
"""Columns that a part is looked for in for each template by itself; else once for all."""
_QUOTE, _BLANKS = b'"', b"  "


class Piece(Struct, frozen=True):
    """A piece between two cuts: what lines share of it, or the value of the column at ``place`` with that around it."""

    before: bytes
    place: int | None = None
    behind: bytes = b""


class Probe(Struct, frozen=True, eq=False):
    """A part, as it is looked for in pieces with a line end before and behind each. Its ``regex`` begins at that before
    where ``edged``, else behind it. ``needed``: texts that are in all that match; ``verdicts`` are those of values met
    before, with what was around them."""

    regex: Linewise
    edged: bool
    strange: bool
    needed: tuple[bytes, ...]
    verdicts: dict[bytes, bool]

    def meets(self, text: bytes) -> bool:
        """Whether a piece matches."""
        return self.regex.search(b"\n%b\n" % text, not self.edged) is not None

    def cells(self, text: bytes, most: int) -> list[int]:
        """The numbers of the pieces that match; ``most``: no more than so many."""
        found: list[int] = []
        place = cell = 0
        behind = not self.edged
        while (match := self.regex.search(text, place + behind)) is not None:
            start = match.start() + self.edged
            cell += text.count(b"\n", place + 1, start)
            found.append(cell)
            place = text.find(b"\n", start)
            cell += 1
            if place == len(text) - 1 or len(found) == most:
                break
        return found


class Check(Struct, frozen=True, eq=False):
    """A value that has to match: that of the column at ``place``, with what stands around it."""

    place: int
    before: bytes
    behind: bytes
    probe: Probe


class Plan(Struct, frozen=True):
    """How lines of one template match: ``always``, or where all of some checks are met. Those of ``alone`` are checks of
    bare values by one probe each; ``sure`` need no look at the line, ``maybe`` do. ``open``: nothing is known."""

    always: bool = False
    open: bool = False
    alone: tuple[tuple[Probe, tuple[int, ...]], ...] = ()
    sure: tuple[tuple[Check, ...], ...] = ()
    maybe: tuple[tuple[Check, ...], ...] = ()


class Sieved(Struct, frozen=True):
    """Places of lines that match, and of those that may."""

    sure: frozenset[int]
    maybe: frozenset[int]


class Sieve:
    """Looks for one pattern in many blocks."""

    def __init__(self, ways: dict[bytes, tuple[Way, ...]], *, fold: bool) -> None:
        self._ways, self._fold = ways, fold
        self._probes: dict[tuple[str, bool, bool], Probe] = {}
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
                sure |= look.alone(number, plan.alone)
                for checks in plan.sure:
                    sure |= look.met(number, checks)
                for checks in plan.maybe:
                    maybe |= look.met(number, checks)
        return Sieved(frozenset(sure), frozenset(maybe - sure))

    def _plan(self, key: bytes, shared: Sequence[bytes], between: bytes) -> Plan:
        plan = self._plans.get((key, between))
        if plan is None:
            plan = self._make_plan(shared, between)
            if len(self._plans) >= PLANS_MAX or self._plans_bytes + len(key) > PLANS_BYTES_MAX:
                self._plans.clear()
                self._plans_bytes = 0
            self._plans[key, between] = plan
            self._plans_bytes += len(key)
        return plan

    def _make_plan(self, shared: Sequence[bytes], between: bytes) -> Plan:
        ways, pieces = self._ways.get(between), _pieces(shared, between)
        if ways is None or pieces is None:
            return Plan(open=True)
        sure: list[tuple[Check, ...]] = []
        maybe: list[tuple[Check, ...]] = []
        for way in ways:
            for checks, known in self._way_checks(way, pieces):
                (sure if known else maybe).append(checks)
                if len(sure) > CHECKS_MAX or len(maybe) > MAYBE_MAX:
                    return Plan(open=True)
        if () in sure:
            return Plan(always=True)
        alone: dict[Probe, list[int]] = {}
        for checks in sure:
            if len(checks) == 1 and not checks[0].before and not checks[0].behind:
                alone.setdefault(checks[0].probe, []).append(checks[0].place)
        many = {probe: tuple(places) for probe, places in alone.items() if len(places) > FEW}
        rest = [
            checks
            for checks in sure
            if len(checks) > 1 or checks[0].before or checks[0].behind or checks[0].probe not in many
        ]
        return Plan(False, False, tuple(many.items()), tuple(rest), tuple(maybe))

    def _way_checks(self, way: Way, pieces: Sequence[Piece]) -> Iterator[tuple[tuple[Check, ...], bool]]:
        """The checks for each place at which a way may match, and whether they are all there is to it."""
        found = []
        for at, run in enumerate(way.runs):
            first, last = way.begin and not at, way.end and at == len(way.runs) - 1
            found.append(list(self._run_checks(run, pieces, begin=first, end=last)))
        if len(found) == 1:
            yield from ((checks, True) for _, _, checks in found[0])
            return
        for places in _ascending(found, 0, 0):
            known = way.loose and all(one[1] < other[0] for one, other in pairwise(places))
            yield tuple(check for _, _, checks in places for check in checks), known

    def _run_checks(
        self, run: Sequence[Part], pieces: Sequence[Piece], *, begin: bool, end: bool
    ) -> Iterator[tuple[int, int, tuple[Check, ...]]]:
        """The first and last piece of each place at which a run may match, and the checks for it."""
        cuts = len(run) - 1
        probes = [self._probe(part, lead=at > 0 or begin, trail=at < cuts or end) for at, part in enumerate(run)]
        firsts = range(1) if begin else range(len(pieces) - cuts)
        for first in firsts:
            last = first + cuts
            if last >= len(pieces) or (end and last != len(pieces) - 1):
                continue
            checks: list[Check] = []
            for probe, piece in zip(probes, pieces[first : last + 1], strict=True):
                if piece.place is not None:
                    checks.append(Check(piece.place, piece.before, piece.behind, probe))
                elif not probe.meets(piece.before):
                    break
            else:
                yield first, last, tuple(checks)

    def _probe(self, part: Part, *, lead: bool, trail: bool) -> Probe:
        """``lead``: it begins where the piece does; ``trail``: it ends where that ends."""
        known = self._probes.get((part.pattern, lead, trail))
        if known is None:
            known = self._probes[part.pattern, lead, trail] = _make_probe(part, fold=self._fold, lead=lead, trail=trail)
        return known


def _make_probe(part: Part, *, fold: bool, lead: bool, trail: bool) -> Probe:
    from shipper.query.value import compile_regex

    needed = sorted((one.encode() for one in part.needed), key=len, reverse=True)
    flags = "(?i)" if fold else ""
    if part.ended:
        whole = f"(?m){flags}{'^' if lead else ''}{part.pattern}{'$' if trail else ''}"
        regex = compile_regex(whole, in_lines=True)
    else:
        # Line ends as characters of the pattern: what begins with plain text is looked for many bytes at a time.
        line_end = "\\n"
        regex = compile_regex(f"{flags}{line_end if lead else ''}{part.pattern}{line_end if trail else ''}")
        if part.begun:
            needed = []  # the pattern's begin, which is looked for in this way
    return Probe(regex, lead and not part.ended, part.strange, tuple(needed), {})  # type: ignore[arg-type]  # re2 takes bytes


class _Look:
    """A look at one block."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._cells: dict[tuple[int, bytes, bytes, Probe], Sequence[int]] = {}
        self._alive: dict[Probe, dict[int, Sequence[int]]] = {}
        self._places: list[list[int]] = []

    def places(self, number: int) -> list[int]:
        """The places of the lines of one template."""
        if not self._places:
            self._places = [[] for _ in self._apart.sheet.templates]
            for place, one in enumerate(self._apart.sheet.order):
                self._places[one].append(place)
        return self._places[number]

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
    verdicts = probe.verdicts
    if len(verdicts) > VERDICTS_MAX:
        verdicts.clear()
    met = set()
    distinct = set(values)
    for value in distinct:
        whole = b"%b%b%b" % (before, value, behind) if before or behind else value
        verdict = verdicts.get(whole)
        if verdict is None:
            verdict = verdicts[whole] = probe.meets(whole)
        if verdict:
            met.add(value)
    if len(met) == len(distinct):
        return range(len(values))
    return [cell for cell, value in enumerate(values) if value in met]


def _ascending(
    found: Sequence[Sequence[tuple[int, int, tuple[Check, ...]]]], at: int, least: int
) -> Iterator[tuple[tuple[int, int, tuple[Check, ...]], ...]]:
    """One place of each run, none of which begins in a piece before that in which the one before it ends."""
    if at == len(found):
        yield ()
        return
    for one in found[at]:
        if one[0] >= least:
            yield from ((one, *more) for more in _ascending(found, at + 1, one[1]))


def _pieces(shared: Sequence[bytes], between: bytes) -> list[Piece] | None:
    """What lines of a template are cut into; None where two values are in one piece, which no writer makes."""
    pieces: list[Piece] = []
    for place, text in enumerate(shared):
        first, *more = text.split(between)
        if place:
            last = pieces[-1]
            pieces[-1] = Piece(last.before, place - 1, first)
        else:
            pieces.append(Piece(first))
        pieces += map(Piece, more)
        if place < len(shared) - 1 and pieces[-1].place is not None:
            return None
    return pieces


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
