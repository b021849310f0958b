"""The plan: where in the lines of one template a pattern can match, and what has to be looked at for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from shipper.index.probe import Probe, make_probe
from shipper.index.way import Part, Way

CHECKS_MAX = 256
"""Places in one template at which a pattern may match; of more is said nothing."""
MAYBE_MAX = 24
"""Of those at which the line has to be looked at."""
FEW = 4
"""Columns that a part is looked for in for each template by itself; else once for all."""


class Piece(Struct, frozen=True):
    """A piece between two cuts: what lines share of it, or the value of the column at ``place`` with that around it."""

    before: bytes
    place: int | None = None
    behind: bytes = b""


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


class Planner:
    """Plans for the ways of one pattern: those for lines that are cut in one manner, and in another."""

    def __init__(self, ways: dict[bytes, tuple[Way, ...]], *, fold: bool) -> None:
        self._ways, self._fold = ways, fold
        self._probes: dict[tuple[str, bool, bool], Probe] = {}

    def plan(self, shared: Sequence[bytes], between: bytes) -> Plan:
        """The plan for lines that share these texts between their values, and are cut ``between``."""
        ways, pieces = self._ways.get(between), _pieces(shared, between)
        if ways is None or pieces is None:
            return Plan(open=True)
        sure: list[tuple[Check, ...]] = []
        maybe: list[tuple[Check, ...]] = []
        if any(self._everywhere(way, pieces) for way in ways):
            return Plan(always=True)
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

    def _everywhere(self, way: Way, pieces: Sequence[Piece]) -> bool:
        """Whether a way of one part alone matches a piece that lines share; all of these are looked at together."""
        if len(way.runs) > 1 or len(way.runs[0]) > 1 or way.begin or way.end:
            return False
        probe = self._probe(way.runs[0][0], lead=False, trail=False)
        whole = b"\n".join([piece.before for piece in pieces if piece.place is None])
        return probe is None or probe.regex.search(b"\n%b\n" % whole, 1) is not None

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
        # A part that is plain text from cut to cut is in few of the shared pieces.
        fixed, plain = next(
            ((at, part.plain) for at, part in enumerate(run) if part.plain and 0 < at < cuts), (0, None)
        )
        places = range(1 if begin else len(pieces) - cuts)
        if end:
            places = places[max(0, len(pieces) - cuts - 1) :]
        firsts: Iterable[int] = places
        if plain is not None:
            held = (at - fixed for at, one in enumerate(pieces) if one.place is not None or one.before == plain)
            firsts = [first for first in held if first in places]
        for first in firsts:
            last = first + cuts
            if last >= len(pieces):
                continue
            checks: list[Check] = []
            for at, probe in enumerate(probes):
                piece = pieces[first + at]
                if probe is None:
                    continue
                if piece.place is not None:
                    checks.append(Check(piece.place, piece.before, piece.behind, probe))
                elif not probe.meets(piece.before):
                    break
            else:
                yield first, last, tuple(checks)

    def _probe(self, part: Part, *, lead: bool, trail: bool) -> Probe | None:
        """``lead``: it begins where the piece does; ``trail``: it ends where that ends. None where any piece will do."""
        if not part.pattern and not (lead and trail):
            return None
        known = self._probes.get((part.pattern, lead, trail))
        if known is None:
            known = self._probes[part.pattern, lead, trail] = make_probe(part, fold=self._fold, lead=lead, trail=trail)
        return known


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
