"""The search for a pattern: in the original line of each event, and in the texts of its fields."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import dropwhile, islice
from typing import Protocol

from msgspec import Struct

from shipper.index.block import Block
from shipper.index.literal import longest_literal
from shipper.index.reader import IndexReader
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
    ``lines`` for many of them in one text, None where that can't tell. ``anywhere``: what matches a piece of a line
    matches the line, and ``shared`` tells whether one of a template's does; ``literal`` is in every line that
    matches, where that is known."""

    regex: str
    line: Spans
    lines: Spans | None
    anywhere: bool = False
    literal: bytes | None = None
    shared: Callable[[bytes], bool] = bool


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

    return Wanted(regex, line, lines, anywhere, literal, shared)


def places(wanted: Wanted, text: str) -> list[tuple[int, int]]:
    """Where the pattern lies in a text; nowhere where only a field holds it."""
    return [found.span() for found in islice(wanted.line.finditer(text), SPANS_MAX)]


def find_lines(
    reader: IndexReader, numbers: Iterator[int], in_fields: Iterator[int], wanted: Wanted, *, invert: bool, all_: bool
) -> Iterator[Found]:
    """``numbers`` in order, the hits among them marked; ``invert`` marks the others, and without ``all_`` no
    others need be given. ``in_fields`` are those of ``numbers``, in order, that hold the pattern in a field."""
    field = next(in_fields, 0)
    first = last = 0
    places: frozenset[int] | None = None
    number = next(numbers, None)
    while number is not None:
        while field and field < number:
            field = next(in_fields, 0)
        if not first <= number < last:
            first, block = reader.block(number)
            last = first + len(block)
            places = _places(wanted, block)
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
    total = at = 0
    some: list[int] = []
    field = next(in_fields, 0)
    while not limit or total < limit:
        if at == len(some):
            at, some = 0, list(islice(numbers, NUMBERS_TOGETHER))
            if not some:
                return total
        first, block = reader.block(some[at])
        last = first + len(block)
        here = some[at : (at := bisect_left(some, last, at))]
        held: set[int] = set()
        while field and field < last:
            held.add(field)
            field = next(in_fields, 0)
        places = _places(wanted, block)
        if places is None:
            found = sum(one in held or wanted.line.search(line_of(reader, one)) is not None for one in here)
        elif len(here) == len(block):
            found = len(places | {one - first for one in held})
        else:
            found = sum(one - first in places or one in held for one in here)
        total += len(here) - found if invert else found
    return min(total, limit)


def _places_apart(wanted: Wanted, block: Block) -> frozenset[int] | None:
    """As ``_places``, from what lines share and from columns; None where that can't tell."""
    apart = block.apart()
    if apart is None or not apart.sheet.plain:
        return None
    found = apart.sharing(wanted.shared) if wanted.anywhere else set()
    if len(found) < len(block):
        if wanted.literal is None:
            return None
        maybe = apart.holding(wanted.literal) - found
        if len(maybe) * LINES_SHARE > len(block):
            apart.lines()  # all at once: that is less than so many one by one
        found.update(place for place in maybe if wanted.line.search(apart.line(place)) is not None)
    return frozenset(found)


def _places(wanted: Wanted, block: Block) -> frozenset[int] | None:
    """Which of a block's originals hold the pattern; None where each has to be looked at by itself."""
    try:
        apart = _places_apart(wanted, block)
    except ValueError:
        return None  # who reads the line tells of the damage
    if apart is not None or wanted.lines is None:
        return apart
    try:
        text = block.text()
    except ValueError:
        return None  # who reads the line tells of the damage
    # ASCII needs no decoding, which would take as long as the search.
    plain = text.isascii()
    if wanted.lines.search(text if plain else decode(text)) is None:
        return frozenset()
    if not plain or b"\r" in text or text.count(b"\n") != len(block):
        return None
    found: set[int] = set()
    line, begin, end = -1, 0, 0
    for match in wanted.lines.finditer(text):
        start, stop = match.span()
        if start >= end:
            line += 1 + text.count(b"\n", end, start)
            begin = text.rfind(b"\n", 0, start) + 1
            end = text.find(b"\n", start) + 1 or len(text) + 1
        if stop >= end or start < begin:
            return None  # it reaches into the next line
        found.add(line)
    found.discard(len(block))  # behind the last line end is no line
    return frozenset(found)
