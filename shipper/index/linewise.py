"""Lines by number: which lines of a text match a pattern, looked for in all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

TOGETHER_MAX = 4096
"""Texts that are looked at together."""


class Match(Protocol):
    """A place where a pattern is found."""

    def start(self) -> int: ...


class Linewise(Protocol):
    """A compiled pattern of which no match holds a line end, and to which each line is a text of its own."""

    def search(self, text: bytes, pos: int | None = None) -> Match | None: ...


def compile_linewise(pattern: str) -> Linewise | None:
    """The pattern for many lines; None where it asks for an end of the text, of which they have only one. Raises ValueError
    with what is wrong with it."""
    from shipper.query.value import compile_regex

    if "\\A" in pattern or "\\z" in pattern:
        return None
    regex: Linewise = compile_regex(f"(?m){pattern}", in_lines=True)  # type: ignore[assignment]  # re2 takes both
    return regex


def matching_lines(regex: Linewise, text: bytes) -> Iterator[int]:
    """The numbers of the lines (from 0) that match, in order; behind a last line end is a line too."""
    place = line = 0
    while (match := regex.search(text, place)) is not None:
        start = match.start()
        line += text.count(b"\n", place, start)
        yield line
        place = text.find(b"\n", start) + 1
        if not place:
            return
        line += 1


def matching_texts(pattern: str, texts: Sequence[str]) -> Iterator[int]:
    """The places of the texts that match, in order."""
    from shipper.query.value import compile_regex

    search, regex = compile_regex(pattern).search, compile_linewise(pattern)
    for first in range(0, len(texts), TOGETHER_MAX):
        some = texts[first : first + TOGETHER_MAX]
        together = "\n".join(some)
        if regex is not None and together.count("\n") == len(some) - 1:
            yield from (first + line for line in matching_lines(regex, together.encode()))
        else:
            # A text with a line end of its own is not looked at line by line.
            yield from (first + place for place, text in enumerate(some) if search(text))
