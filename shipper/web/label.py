"""The label: text from logs and file names as the value of a metric's label, short, printable, and few of them."""

from __future__ import annotations

LABEL_MAX_CHARACTERS = 200
OTHERS = "(others)"
"""Stands for all values beyond the bound."""


def label(text: str) -> str:
    """``text`` with what is not plainly printed as an escape, and cut; its middle goes, since paths differ at the end."""
    safe = text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)
    if len(safe) <= LABEL_MAX_CHARACTERS:
        return safe
    half = LABEL_MAX_CHARACTERS // 2 - 1
    return f"{safe[:half]}…{safe[-half:]}"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class Labels:
    """Labels for at most ``max_count`` texts, whichever come first; every later one is ``OTHERS``.

    A text keeps its label for as long as the process lives, so that no counter ever goes back.
    """

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._known: dict[str, str] = {}

    def __getitem__(self, text: str) -> str:
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= self._max_count:
                return OTHERS
            found = self._known[text] = label(text)
        return found
