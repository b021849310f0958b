"""Durations and sizes as people write them: ``"90s"``, ``"1h30m"``, ``"365d"``, ``"64KiB"``, ``"2GiB"``.

Durations are whole milliseconds, sizes whole bytes; what is written out reads back as the same number.
Both parsers raise ValueError with a sentence that says what was expected.
"""

from __future__ import annotations

import re

from shipper.pattern import pattern

DURATION_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
SIZE_BYTES = {
    "TiB": 1 << 40,
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 1000,
    "KB": 1000,
    "B": 1,
}
DIGITS_MAX = 15
"""Longest number read: more digits are no duration and no size, and cost time."""

_NUMBER = rf"(\d{{1,{DIGITS_MAX}}})"
_duration_part = pattern(_NUMBER + r"(ms|[wdhms])", re.ASCII)
_size = pattern(_NUMBER + " ?(" + "|".join(SIZE_BYTES) + ")", re.ASCII)
_NO_DURATION = 'is no duration; write a number with ms, s, m, h, d or w, such as "5s", "1h30m" or "365d"'
_NO_SIZE = 'is no size; write a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as "64KiB" or "2GiB"'


def parse_duration(text: str) -> int:
    """Milliseconds of ``"1h30m"``: numbers with units, each unit once, the longest first."""
    place, total, above = 0, 0, DURATION_MS["w"] + 1
    while place < len(text):
        part = _duration_part.match(text, place)
        if part is None or DURATION_MS[part[2]] >= above:
            raise ValueError(_NO_DURATION)
        above = DURATION_MS[part[2]]
        total += int(part[1]) * above
        place = part.end()
    if not text:
        raise ValueError(_NO_DURATION)
    return total


def duration_text(milliseconds: int) -> str:
    """The shortest single-unit form, such as ``365d`` or ``1500ms``; weeks are shown as days."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % DURATION_MS[unit] == 0:
            return f"{milliseconds // DURATION_MS[unit]}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def parse_size(text: str) -> int:
    """Bytes of ``"64KiB"`` (1024) or ``"64kB"`` (1000)."""
    found = _size.fullmatch(text)
    if found is None:
        raise ValueError(_NO_SIZE)
    return int(found[1]) * SIZE_BYTES[found[2]]


def size_text(size: int) -> str:
    """The shortest exact form in binary units, such as ``1GiB`` or ``1000B``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZE_BYTES[unit] == 0:
            return f"{size // SIZE_BYTES[unit]}{unit}"
    return f"{size}B"
