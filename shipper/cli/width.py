"""The width: how many columns of a terminal a text takes, so that what stands in columns stays there."""

from __future__ import annotations

_JOINED = frozenset(range(0xFE00, 0xFE10)) | frozenset(range(0x1F3FB, 0x1F400))
"""Variation selectors, and skin tones, which belong to the character before."""


def width(text: str) -> int:
    """Columns of a text in which every character is plainly printed."""
    if text.isascii():
        return len(text)
    # Imported here: its table is a megabyte, and most answers are plain.
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(one) or ord(one) in _JOINED else 2 if east_asian_width(one) in "WF" else 1 for one in text
    )


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text with blanks behind it, or before it, up to so many columns; never cut."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def cut(text: str, room: int) -> str:
    """The text, or its beginning and an ellipsis where it takes more than ``room`` columns."""
    if width(text) <= room:
        return text
    while text and width(text) >= room:
        text = text[:-1]
    return f"{text}…"
