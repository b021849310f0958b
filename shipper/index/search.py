"""The search for a pattern: in the original line of each event, and in the texts of its fields."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from msgspec import Struct

from shipper.index.block import Block
from shipper.index.reader import IndexReader
from shipper.text import decode

PATTERN_MAX_CHARACTERS = 4096
SPANS_MAX = 1000
"""Hits in one line that are told; a line has at most a million characters."""


class Match(Protocol):
    def span(self) -> tuple[int, int]: ...


class Spans(Protocol):
    """A compiled pattern."""

    def finditer(self, text: str) -> Iterator[Match]: ...

    def search(self, text: str | bytes) -> object: ...


class Found(Struct, frozen=True):
    """An event by its number, the text of its line, and whether it is one of those looked for."""

    event: int
    text: str
    hit: bool


class Wanted(Struct, frozen=True):
    """A pattern ready to be looked for: ``regex`` as ``Pattern`` takes it, ``line`` for the line of one event,
    ``lines`` for many of them in one text, None where that can't tell."""

    regex: str
    line: Spans
    lines: Spans | None


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
    return Wanted(regex, line, lines)


def places(wanted: Wanted, text: str) -> list[tuple[int, int]]:
    """Where the pattern lies in a text; nowhere where only a field holds it."""
    return [found.span() for found in islice(wanted.line.finditer(text), SPANS_MAX)]


def _may_hold(wanted: Wanted, block: Block) -> bool:
    """Whether an original of a block can hold the pattern."""
    assert wanted.lines is not None
    try:
        text = block.text()
    except ValueError:
        return True  # who reads the line tells of the damage
    # ASCII needs no decoding, which would take as long as the search.
    return wanted.lines.search(text if text.isascii() else decode(text)) is not None


def find_lines(
    reader: IndexReader, numbers: Iterator[int], in_fields: Iterator[int], wanted: Wanted, *, invert: bool, all_: bool
) -> Iterator[Found]:
    """``numbers`` in order, the hits among them marked; ``invert`` marks the others, and without ``all_`` no
    others need be given. ``in_fields`` are those of ``numbers``, in order, that hold the pattern in a field."""
    field = next(in_fields, 0)
    first = last = 0
    may_hold = True
    skip = not (invert or all_) and wanted.lines is not None
    for number in numbers:
        while field and field < number:
            field = next(in_fields, 0)
        if skip:
            if not first <= number < last:
                first, block = reader.block(number)
                last = first + len(block)
                may_hold = _may_hold(wanted, block)
            if not may_hold and field != number:
                continue
        text = decode(reader.original_of(number).removesuffix(b"\n").removesuffix(b"\r"))
        held = field == number or wanted.line.search(text) is not None
        yield Found(number, text, held is not invert)
