"""Moments: the times a query or an option may name, as nanoseconds since 1970 UTC.

Read are RFC 3339 with a zone, a day (``2025-07-03``: its first moment, UTC), ``now``, ``today``,
``yesterday`` (their first moment, UTC) and an age (``2h``, ``3d``, ``1h30m``: that long ago).
"""

from __future__ import annotations

import re

from shipper import timestamp

GO_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"
_DAY_NS = 86_400_000_000_000
_MILLISECOND_NS = 1_000_000
_match_age = re.compile(r"(?:\d+(?:ms|[smhdw]))+", re.ASCII).fullmatch
_match_day = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII).fullmatch
# Layout pieces as Go's parser takes them one after another, with what its message calls them.
_GO_STEPS = (
    (re.compile(r"\d{4}", re.ASCII), "2006", "year", range(10_000)),
    (re.compile("-"), "-", "", None),
    (re.compile(r"\d\d", re.ASCII), "01", "month", range(1, 13)),
    (re.compile("-"), "-", "", None),
    (re.compile(r"\d\d", re.ASCII), "02", "day", range(1, 32)),
    (re.compile("T"), "T", "", None),
    (re.compile(r"\d\d?", re.ASCII), "15", "hour", range(24)),
    (re.compile(":"), ":", "", None),
    (re.compile(r"\d\d", re.ASCII), "04", "minute", range(60)),
    (re.compile(":"), ":", "", None),
    (re.compile(r"\d\d(?:[.,]\d+)?", re.ASCII), "05", "second", range(60)),
    (re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII), "Z07:00", "", None),
)


def parse_moment(text: str, now_ns: int) -> int:
    """Nanoseconds of ``text`` in any case of letters; raises ValueError with Go's words for what is wrong with it."""
    lower = text.lower()
    if _match_age(lower):
        from shipper.config.quantity import parse_duration  # here: it brings the whole configuration

        return max(timestamp.NS_MIN, now_ns - parse_duration(lower) * _MILLISECOND_NS)
    if lower in ("now", "today", "yesterday"):
        return now_ns if lower == "now" else now_ns - now_ns % _DAY_NS - (_DAY_NS if lower == "yesterday" else 0)
    upper = text.upper()
    canonical = timestamp.canonical(upper + "T00:00:00Z" if _match_day(upper) else upper)
    if canonical is None:
        raise ValueError(_go_error(upper))
    return timestamp.to_ns(canonical)


def _go_error(text: str) -> str:
    """What Go's time.Parse says of a text that is no RFC 3339."""
    head = f'parsing time "{text}"'
    place = 0
    for pattern, layout, name, allowed in _GO_STEPS:
        found = pattern.match(text, place)
        if found is None:
            return f'{head} as "{GO_LAYOUT}": cannot parse "{text[place:]}" as "{layout}"'
        if allowed is not None and int(re.split("[.,]", found[0])[0]) not in allowed:
            return f"{head}: {name} out of range"
        place = found.end()
    if place < len(text):
        return f'{head}: extra text: "{text[place:]}"'
    return f"{head}: day out of range"
