"""Moments: the times a query or an option may name, as nanoseconds since 1970 UTC.

Read are RFC 3339 with a zone, a day (``2025-07-03``: its first moment, UTC), ``now``, ``today``,
``yesterday`` (their first moment, UTC) and an age (``2h``, ``3d``, ``1h30m``: that long ago).
RFC 3339 is read as Go's ``time.Parse`` does, which Coder uses: an hour may have one digit, a fraction may
stand behind a comma, and of more than nine digits of it the first nine count.
"""

from __future__ import annotations

import re
from functools import cache

from shipper import timestamp

GO_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"
_DAY_NS = 86_400_000_000_000
_MILLISECOND_NS = 1_000_000
_AGE = r"(?:\d{1,18}(?:ms|[smhdw]))+"
_DAY = r"\d{4}-\d\d-\d\d"
# Layout pieces as Go's parser takes them one after another, with what its message calls them.
_GO_STEPS: tuple[tuple[str, str, str, range | None], ...] = (
    (r"\d{4}", "2006", "year", range(10_000)),
    ("-", "-", "", None),
    (r"\d\d", "01", "month", range(1, 13)),
    ("-", "-", "", None),
    (r"\d\d", "02", "day", None),
    ("T", "T", "", None),
    (r"\d\d?", "15", "hour", range(24)),
    (":", ":", "", None),
    (r"\d\d", "04", "minute", range(60)),
    (":", ":", "", None),
    (r"\d\d(?:[.,]\d+)?", "05", "second", range(60)),
    (r"Z|[+-]\d\d:\d\d", "Z07:00", "zone", None),
)
_GO_TIME = (
    r"(?P<day>\d{4}-\d\d-\d\dT)(?P<hour>\d\d?)(?P<clock>:\d\d:\d\d)(?:[.,](?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)"
)


def parse_moment(text: str, now_ns: int) -> int:
    """Nanoseconds of ``text`` in any case of letters; raises ValueError with Go's words for what is wrong with it."""
    lower = text.lower()
    if re.fullmatch(_AGE, lower, re.ASCII):
        from shipper.config.quantity import parse_duration  # here: it brings the whole configuration

        try:
            return max(timestamp.NS_MIN, now_ns - parse_duration(lower) * _MILLISECOND_NS)
        except ValueError as error:
            raise ValueError(f'"{lower}" {error}') from None
    if lower in ("now", "today", "yesterday"):
        return now_ns if lower == "now" else now_ns - now_ns % _DAY_NS - (_DAY_NS if lower == "yesterday" else 0)
    upper = text.upper() + ("T00:00:00Z" if re.fullmatch(_DAY, text, re.ASCII) else "")
    canonical = timestamp.canonical(_strict(upper))
    if canonical is None:
        raise ValueError(_go_error(upper))
    return timestamp.to_ns(canonical)


def _strict(text: str) -> str:
    """A time that Go's parser takes though RFC 3339 doesn't, as RFC 3339 has it; any other text as it is."""
    found = re.fullmatch(_GO_TIME, text, re.ASCII)
    if found is None:
        return text
    fraction = f".{found['fraction'][:9]}" if found["fraction"] else ""
    return f"{found['day']}{found['hour']:0>2}{found['clock']}{fraction}{found['zone']}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A piece of the layout; only a wrong time needs them."""
    return re.compile(pattern, re.ASCII)


def _go_error(text: str) -> str:
    """What Go's time.Parse says of a text that is no RFC 3339, or has a year or an offset that isn't read here."""
    head = f'parsing time "{text}"'
    place = 0
    parts: dict[str, str] = {}
    for pattern, layout, name, allowed in _GO_STEPS:
        found = _compiled(pattern).match(text, place)
        if found is None:
            return f'{head} as "{GO_LAYOUT}": cannot parse "{text[place:]}" as "{layout}"'
        if allowed is not None and int(re.split("[.,]", found[0])[0]) not in allowed:
            return f"{head}: {name} out of range"
        parts[name] = found[0]
        place = found.end()
    if place < len(text):
        return f'{head}: extra text: "{text[place:]}"'
    from calendar import monthrange

    if not 1 <= int(parts["day"]) <= monthrange(int(parts["year"]), int(parts["month"]))[1]:
        return f"{head}: day out of range"
    zone = parts["zone"]
    if zone != "Z" and int(zone[1:3]) > 23:
        return f"{head}: time zone offset hour out of range"
    if zone != "Z" and int(zone[4:]) > 59:
        return f"{head}: time zone offset minute out of range"
    # All else is sound: the year, by itself or moved to UTC, is before 0001 or after 9999.
    return f"{head}: year out of range"
