"""The probe: a part of a pattern, ready to be looked for in pieces of lines, in one or in many at once."""

from __future__ import annotations

from msgspec import Struct

from shipper.index.linewise import Linewise
from shipper.index.way import Part

VERDICTS_MAX = 65_536
"""Pieces for which is remembered whether they match."""
VERDICT_BYTES_MAX = 256
"""Of one of them; a longer one is looked at each time."""


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
        verdict = self.verdicts.get(text)
        if verdict is None:
            if len(self.verdicts) >= VERDICTS_MAX:
                self.verdicts.clear()
            verdict = self.regex.search(b"\n%b\n" % text, not self.edged) is not None
            if len(text) <= VERDICT_BYTES_MAX:
                self.verdicts[text] = verdict
        return verdict

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


def make_probe(part: Part, *, fold: bool, lead: bool, trail: bool) -> Probe:
    """``lead``: it begins where the piece does; ``trail``: it ends where that ends. ``fold``: letters of either case are the
    same."""
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
