"""The ways: a pattern cut where lines are cut, so that each part of it is looked for in one piece of a line.

A line is cut at ``"``, or at two blanks (``shipper.index.template``). No match of a part holds what lines are cut at; so
parts with a cut between match neighbouring pieces, the first one up to its end, the last one from its begin on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from msgspec import Struct

from shipper.index.syntax import Character, Edge, End, Group, Item, Repeated, ends, matches, needs_other, read_choices

WAYS_MAX = 16
"""Ways of one pattern; of one that has more is said nothing."""
RUNS_MAX = 4
CHOICES_MAX = 4
"""Alternatives that are looked for one by one."""
DIGITS = "0123456789abcdef-"
_ANYTHING = frozenset({".*", ".*?", ".{0,}"})


class Part(Struct, frozen=True):
    """What is looked for in one piece. ``strange``: it needs another character than hexadecimal digits and hyphens;
    ``needed``: texts that are in all it matches, of which it begins with the first where it is ``begun``. ``ended``: it
    may hold a line end, were there one. ``plain``: it is this text and nothing else."""

    pattern: str
    strange: bool
    needed: tuple[str, ...]
    begun: bool
    plain: bytes | None
    ended: bool


class Way(Struct, frozen=True):
    """One way to match: ``runs`` stand in the line in this order, the parts of a run one after the other with cuts
    between. ``begin``, ``end``: the first one begins with the line, the last one ends with it. ``loose``: between
    two runs may stand anything at all; else that has to be looked at."""

    runs: tuple[tuple[Part, ...], ...]
    begin: bool = False
    end: bool = False
    loose: bool = True


class _Mark(Item, frozen=True):
    """What lines are cut at, and nothing else."""


class _Gap(Item, frozen=True):
    """What may hold a cut, and be long. ``loose``: it matches anything at all."""

    loose: bool


_Flat = tuple[Item, ...]


def read_ways(pattern: str, between: bytes, *, fold: bool) -> tuple[Way, ...] | None:
    """The ways of a pattern for lines that are cut at ``between``; None where it has what isn't looked into."""
    cutter = _Cutter(between.decode(), fold)
    try:
        choices = read_choices(pattern)
        if len(choices) > CHOICES_MAX:
            # Many are looked for together.
            text = "|".join("".join(item.text for item in choice) for choice in choices)
            choices = ((Group(f"(?:{text})", choices),),)
        return tuple(cutter.way(flat) for choice in choices for flat in cutter.flat(choice))
    except ValueError:
        return None


class _Cutter:
    def __init__(self, between: str, fold: bool) -> None:
        self._mark, self._double, self._fold = between[0], len(between) > 1, fold

    def flat(self, items: Sequence[Item]) -> list[_Flat]:
        """The sequences of items that one stands for; those that may hold a mark and stand once are marks or hold none."""
        found: list[_Flat] = [()]
        for item in items:
            found = [(*before, *more) for before in found for more in self._choices(item)]
            if len(found) > WAYS_MAX:
                raise ValueError("too many ways")
        return found

    def _choices(self, item: Item) -> list[_Flat]:
        asks = ends(item)
        if isinstance(item, End) or not (asks or matches(item, self._mark, self._fold)):
            return [(item,)]
        if isinstance(item, Character):
            if item.literal == self._mark:
                return [(_Mark(item.text),)]
            return [(item,)] if self._double else [(_Mark(""),), (item,)]
        if isinstance(item, Group):
            return [flat for choice in item.choices for flat in self.flat(choice)]
        if not isinstance(item, Repeated) or asks:
            raise ValueError("a repetition that isn't looked into")
        if item.once:
            return [(), *self._choices(item.item)]
        return [(_Gap("", item.least == 0 and item.text in _ANYTHING),)]

    def way(self, flat: _Flat) -> Way:
        """The way of one sequence."""
        items = list(flat)
        begin = end = False
        while items and isinstance(items[0], End) and items[0].begin:
            begin = True
            del items[0]
        while items and isinstance(items[-1], End) and not items[-1].begin:
            end = True
            del items[-1]
        if any(isinstance(item, End) for item in items):
            raise ValueError("an end in the middle")
        if self._double:
            items = self._doubled(items)
        runs: list[list[list[Item]]] = [[[]]]
        loose = True
        for item in items:
            if isinstance(item, _Gap):
                runs.append([[]])
                loose = loose and item.loose
            elif isinstance(item, _Mark):
                runs[-1].append([])
            else:
                runs[-1][-1].append(item)
        if len(runs) > RUNS_MAX:
            raise ValueError("too many runs")
        return Way(tuple(tuple(map(self._part, run)) for run in runs), begin, end, loose)

    def _part(self, items: Sequence[Item]) -> Part:
        literals = [item.literal if isinstance(item, Character) and not self._fold else None for item in items]
        runs = [list(run) for known, run in groupby(literals, lambda one: one is not None) if known]
        return Part(
            "".join(item.text for item in items),
            any(needs_other(item, DIGITS, self._fold) for item in items),
            tuple("".join(filter(None, run)) for run in runs),
            bool(literals) and literals[0] is not None,
            None if None in literals else "".join(filter(None, literals)).encode(),
            any(matches(item, "\n", self._fold) for item in items),
        )

    def _doubled(self, items: Sequence[Item]) -> list[Item]:
        """The items where two marks are a cut. One blank alone says nothing of where a line is cut only where other
        characters are on both sides of it, and the same holds for two: three are two and one, or one and two."""
        made: list[Item] = []
        place = 0
        while place < len(items):
            item = items[place]
            width = 1
            if isinstance(item, _Mark) and place + 1 < len(items) and isinstance(items[place + 1], _Mark):
                width = 2
            if matches(item, self._mark, self._fold) or isinstance(item, _Mark):
                after = items[place + width :]
                if not (self._closed(items[:place][::-1]) and self._closed(after)):
                    raise ValueError("blanks that aren't looked into")
                made.append(item if width == 2 else Character("\\ " if isinstance(item, _Mark) else item.text))
            else:
                made.append(item)
            place += width
        return made

    def _closed(self, items: Sequence[Item]) -> bool:
        """Whether the nearest character that these items match, from the first one on, is there and is no mark."""
        for item in items:
            if isinstance(item, (_Mark, _Gap, End)) or matches(item, self._mark, self._fold):
                return False
            if _solid(item):
                return True
        return False


def _solid(item: Item) -> bool:
    """Whether an item matches nothing without a character."""
    if isinstance(item, Group):
        return all(any(map(_solid, choice)) for choice in item.choices)
    if isinstance(item, Repeated):
        return item.least > 0 and _solid(item.item)
    return not isinstance(item, (Edge, End))
