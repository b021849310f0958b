"""The search for a pattern: in the original line of each event, and in the texts of its fields."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from itertools import dropwhile, islice
from typing import Protocol

from msgspec import Struct

from shipper.index.apart import Apart
from shipper.index.block import Block
from shipper.index.linewise import Linewise, compile_linewise, matching_lines
from shipper.index.literal import longest_literal
from shipper.index.reader import Everything, IndexReader
from shipper.index.sieve import Sieve, make_sieve
from shipper.text import decode

PATTERN_MAX_CHARACTERS = 4096
NUMBERS_TOGETHER = 65_536
TEMPLATES_CACHED_MAX = 4096
LINES_SHARE = 16
"""Of a block's lines; more than one of so many are not put together one by one."""
SPANS_MAX = 1000
"""Hits in one line that are told; a line has at most a million characters."""


class Match(Protocol):
    def span(self) -> tuple[int, int]: ...


class Spans(Protocol):
    """A compiled pattern."""

    def finditer(self, text: str | bytes) -> Iterator[Match]: ...

    def search(self, text: str | bytes) -> object: ...


class Found(Struct, frozen=True):
    """An event by its number, the text of its line where that was needed, and whether it is one of those looked for."""

    event: int
    text: str | None
    hit: bool


class Wanted(Struct, frozen=True):
    """A pattern ready to be looked for: ``regex`` as ``Pattern`` takes it, ``line`` for the line of one event,
    ``lines`` for many of them in one text, where it is found if any matches, None where that can't tell. ``anywhere``:
    what matches a piece of a line matches the line, and ``shared`` tells whether one of a template's does;
    ``literal`` is in every line that matches, where that is known; ``sieve`` looks into single columns, ``linewise`` at
    many lines of which none holds a line end."""

    regex: str
    line: Spans
    lines: Spans | None
    anywhere: bool = False
    literal: bytes | None = None
    shared: Callable[[bytes], bool] = bool
    sieve: Sieve | None = None
    linewise: Linewise | None = None


def compile_wanted(pattern: str, *, fold: bool, fixed: bool) -> Wanted:
    """A pattern that runs in linear time; raises ValueError with what is wrong with it."""
    from shipper.query.value import compile_regex

    if len(pattern) > PATTERN_MAX_CHARACTERS:
        raise ValueError(f"it has more than {PATTERN_MAX_CHARACTERS} characters")
    text = pattern
    if fixed:
        import re2

        text = re2.escape(pattern)
    regex = f"(?i){text}" if fold else text
    line: Spans = compile_regex(regex)  # type: ignore[assignment]  # re2 has both methods
    whole = "\\A" in text or "\\z" in text  # the ends of a text, of which many lines have only one
    lines: Spans | None = None if whole else compile_regex(f"(?m){regex}")  # type: ignore[assignment]  # the same
    anywhere = re.search(r"[\^$]|\\[bBAzQ]", text) is None
    literal = None if fold else longest_literal(text)

    @lru_cache(TEMPLATES_CACHED_MAX)
    def shared(whole: bytes) -> bool:
        if literal is not None and literal not in whole:
            return False
        return any(line.search(piece) is not None for piece in whole.split(b"\n"))

    return Wanted(regex, line, lines, anywhere, literal, shared, make_sieve(text, fold=fold), compile_linewise(regex))


def places(wanted: Wanted, text: str) -> list[tuple[int, int]]:
    """Where the pattern lies in a text; nowhere where only a field holds it."""
    return [found.span() for found in islice(wanted.line.finditer(text), SPANS_MAX)]


def find_lines(
    reader: IndexReader, numbers: Iterator[int], in_fields: Iterator[int], wanted: Wanted, *, invert: bool, all_: bool
) -> Iterator[Found]:
    """``numbers`` in order, the hits among them marked; ``invert`` marks the others, and without ``all_`` no
    others need be given. ``in_fields`` are those of ``numbers``, in order, that hold the pattern in a field; they are
    asked for once that is needed."""
    field = -1  # not asked for yet: where all lines match that isn't needed
    first = last = 0
    places: frozenset[int] | None = None
    number = next(numbers, None)
    while number is not None:
        if not first <= number < last:
            first, block = reader.block(number)
            last = first + len(block)
            places = _places(wanted, block)
        while field and field < number and (places is None or len(places) < last - first):
            field = next(in_fields, 0)
        held = field == number or (places is not None and number - first in places)
        if held is invert and not all_:
            if places is not None and not places and not invert and not field < last:
                # None of this block: the rest of its numbers are passed over without a look at each.
                number = next(dropwhile(last.__gt__, numbers), None)
                continue
            if places is not None:
                number = next(numbers, None)
                continue
        text = None
        if places is None:
            text = line_of(reader, number)
            held = held or wanted.line.search(text) is not None
        if all_ or held is not invert:
            yield Found(number, text, held is not invert)
        number = next(numbers, None)


def line_of(reader: IndexReader, number: int) -> str:
    """The original line of an event by its number, without its line end."""
    return decode(reader.original_of(number).removesuffix(b"\n").removesuffix(b"\r"))


def count_lines(
    reader: IndexReader, numbers: Iterator[int], in_fields: Iterator[int], wanted: Wanted, *, invert: bool, limit: int
) -> int:
    """How many of ``numbers`` are hits, at most ``limit`` (0: all); the arguments are those of ``find_lines``."""
    total = 0
    field = -1  # not asked for yet: where all lines match that isn't needed
    for first, block, here in _by_block(reader, numbers):
        if limit and total >= limit:
            break
        last = first + len(block)
        held: set[int] = set()
        places = _places(wanted, block)
        while field and field < last and (places is None or len(places) < len(block)):
            if field >= first:
                held.add(field)
            field = next(in_fields, 0)
        if places is None:
            found = sum(one in held or wanted.line.search(line_of(reader, one)) is not None for one in here)
        elif len(here) == len(block):
            found = len(places | {one - first for one in held})
        else:
            found = sum(one - first in places or one in held for one in here)
        total += len(here) - found if invert else found
    return min(total, limit) if limit else total


def _by_block(reader: IndexReader, numbers: Iterator[int]) -> Iterator[tuple[int, Block, Sequence[int]]]:
    """Each block that holds some of the numbers, behind the number of its first event, with them."""
    if isinstance(numbers, Everything):
        for all_ in numbers.blocks:
            if all_:
                yield all_[0], reader.block_at(all_[0]), all_
        return
    while some := list(islice(numbers, NUMBERS_TOGETHER)):
        at = 0
        while at < len(some):
            first, block = reader.block(some[at])
            here = some[at : (at := bisect_left(some, first + len(block), at))]
            yield first, block, here


def _places_apart(wanted: Wanted, block: Block) -> frozenset[int] | None:
    """As ``_places``, from what lines share and from columns; None where that can't tell."""
    apart = block.apart()
    if apart is None or not apart.sheet.plain:
        return None
    sieved = None if wanted.sieve is None else wanted.sieve.places(apart)
    if sieved is not None and len(sieved.maybe) * 2 <= len(block):
        return sieved.sure | _looked_at(wanted, apart, sieved.maybe) if sieved.maybe else sieved.sure
    found = apart.sharing(wanted.shared) if wanted.anywhere else set()
    if len(found) < len(block):
        if wanted.literal is None:
            return None
        found |= _looked_at(wanted, apart, apart.holding(wanted.literal) - found)
    return frozenset(found)


def _looked_at(wanted: Wanted, apart: Apart, maybe: Collection[int]) -> set[int]:
    """Those of some lines that match."""
    if len(maybe) * LINES_SHARE > len(apart.sheet.order):
        apart.lines()  # all at once: that is less than so many one by one
    return {place for place in maybe if wanted.line.search(apart.line(place)) is not None}


def _places(wanted: Wanted, block: Block) -> frozenset[int] | None:
    """Which of a block's originals hold the pattern; None where each has to be looked at by itself."""
    try:
        apart = _places_apart(wanted, block)
    except (ValueError, IndexError):
        return None  # who reads the line tells of the damage
    if apart is not None or wanted.lines is None:
        return apart
    try:
        text = block.text()
    except ValueError:
        return None  # who reads the line tells of the damage
    if not text.isascii():  # which needs no decoding
        text = decode(text).encode()
    if wanted.linewise is not None and text.count(b"\n") == len(block):
        return frozenset(matching_lines(wanted.linewise, text.replace(b"\r\n", b"\n")[:-1]))
    return None if b"\r" in text or wanted.lines.search(text) is not None else frozenset()
