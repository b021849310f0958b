"""Times: every form that coderd writes, as canonical text and as integer nanoseconds.

Canonical text is ``YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ``: UTC, always nine digits, so that text order is
time order from year 0001 to 9999. Forms read: RFC 3339 with any fraction and offset (Go's
RFC3339Nano cuts trailing zeros) and Go's ``time.Time.String()``, e.g.
``2025-07-03 06:57:16.144719 +0000 UTC m=+0.1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache

_DATE = r"((?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))"
_CLOCK = r"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)"
_FRACTION = r"(?:\.(\d{1,9})\d*+)?"
"""Any; what is below a nanosecond Go cuts off as well."""
_RFC3339 = _DATE + r"[Tt]" + _CLOCK + _FRACTION + r"(?:[Zz]|([+-]\d\d:\d\d))"
_GO_STRING = _DATE + " " + _CLOCK + _FRACTION + r" ([+-]\d\d\d\d)(?: \S{1,16})?(?: m=[+-]\d{1,19}\.\d{1,9})?"
_HEADER = _DATE + " " + _CLOCK + r"\.(\d{3})"

SECONDS_MAX_COUNT = 4096
"""Seconds remembered as sound dates and times; when full they are forgotten."""
_seconds: set[str] = set()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NINE_ZEROS = "000000000"
NS_MIN, NS_MAX = -(2**63), 2**63 - 1


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when it is first needed: who only asks the index needs none."""
    return re.compile(text, re.ASCII)


def canonical(text: str) -> str | None:
    """The canonical text of a time as coderd prints it, or None where it is none of the known forms."""
    # The case that matters for speed: UTC, in a second that was met before, as lines in order are.
    if text[:19] in _seconds and text[-1] == "Z":
        fraction = text[20:-1]
        if fraction.isdecimal() and text[19] == "." and len(fraction) < 10 and text.isascii():
            return f"{text[:-1]:0<29}Z"
    found = _pattern(_RFC3339).fullmatch(text)
    if found is not None:
        day, clock, fraction, offset = found.groups()
        shifted = _shift(day, clock, fraction, "+0000" if offset is None else offset[:3] + offset[4:])
        if shifted is not None and offset is None and text[10] == "T":
            if len(_seconds) >= SECONDS_MAX_COUNT:
                _seconds.clear()
            _seconds.add(text[:19])
        return shifted
    found = _pattern(_GO_STRING).fullmatch(text)
    if found is not None:
        return _shift(*found.groups())
    return None


def canonical_header(text: str, zone: tzinfo | None = None) -> str | None:
    """The canonical text of a human line's stamp ``YYYY-MM-DD HH:MM:SS.mmm``.

    coderd writes UTC whatever TZ says; ``zone`` is for logs that something else restamped.
    """
    found = _pattern(_HEADER).fullmatch(text)
    if found is None or not _is_date(found[1]):
        return None
    if zone is None:
        return f"{found[1]}T{found[2]}.{found[3]}000000Z"
    local = datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=zone)
    try:
        moved = local.astimezone(UTC)
    except OverflowError:
        return None
    return f"{moved:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f".{found[3]}000000Z"


def _is_date(day: str) -> bool:
    try:
        datetime(int(day[:4]), int(day[5:7]), int(day[8:10]))
    except ValueError:
        return False
    return True


def _shift(day: str, clock: str, fraction: str | None, offset: str) -> str | None:
    """UTC of a local time with an offset ``+hhmm``; None where the date is none or leaves the calendar."""
    if not _is_date(day):
        return None
    nine = f"{fraction or '':0<9}"
    hours, minutes = int(offset[1:3]), int(offset[3:5])
    if hours > 23 or minutes > 59:
        return None
    if not hours and not minutes:
        return f"{day}T{clock}.{nine}Z"
    by = timedelta(hours=hours, minutes=minutes)
    try:
        local = datetime.fromisoformat(f"{day}T{clock}")
        moved = local + by if offset[0] == "-" else local - by
    except (ValueError, OverflowError):
        return None
    return f"{moved.isoformat()}.{nine}Z"


def from_ns(ns: int) -> str:
    """Canonical text of nanoseconds since 1970 UTC; clamped to years 0001 and 9999."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return "0001-01-01T00:00:00.000000000Z" if ns < 0 else "9999-12-31T23:59:59.999999999Z"
    return f"{moment.replace(tzinfo=None).isoformat()}.{fraction:09d}Z"


def to_ns(text: str) -> int:
    """Nanoseconds since 1970 UTC of canonical text, clamped to 64 bits (years 1678 to 2262)."""
    return max(NS_MIN, min(NS_MAX, _second_ns(text[:19]) + int(text[20:29])))


def all_to_ns(texts: Sequence[str]) -> list[int]:
    """``to_ns`` of each; many of near times at once take a quarter of the time."""
    seconds = [text[:19] for text in texts]
    begun = {second: _second_ns(second) - _ABOVE for second in set(seconds)}
    found = [begun[second] + fraction for second, fraction in zip(seconds, _fractions(texts), strict=True)]
    if found and (min(found) < NS_MIN or max(found) > NS_MAX):
        return [max(NS_MIN, min(NS_MAX, one)) for one in found]
    return found


_ABOVE, _LENGTH = 1_000_000_000, 30
"""More than any fraction has nanoseconds; the characters of canonical text."""


def _fractions(texts: Sequence[str]) -> list[int]:
    """The nanoseconds of each, and ``_ABOVE``: as JSON, whose numbers begin with no 0, they are read all at once."""
    from msgspec.json import decode

    data = "".join(texts).encode()
    if set(map(len, texts)) != {_LENGTH} or len(data) != _LENGTH * len(texts):
        return [int(text[20:29]) + _ABOVE for text in texts]
    numbers = bytearray(b",1........." * len(texts))
    for digit in range(9):
        numbers[2 + digit :: 11] = data[20 + digit :: 30]
    return decode(b"[" + numbers[1:] + b"]", type=list[int])


@lru_cache(SECONDS_MAX_COUNT)
def _second_ns(text: str) -> int:
    moment = datetime.fromisoformat(text + "+00:00") - _EPOCH
    return (moment.days * 86400 + moment.seconds) * 1_000_000_000


__all__ = ["NS_MAX", "NS_MIN", "all_to_ns", "canonical", "canonical_header", "from_ns", "to_ns"]
