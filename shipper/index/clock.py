"""The clock: what the clocks of a zone show at a time, as nanoseconds, and as SQL for all rows at once.

Between two changes of a zone's offset the clock is the time and a constant; the changes that lie within the times of an
index are few.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS = 1_000_000_000
_STEP = timedelta(days=7)
"""No zone changes twice within it and back."""
YEARS_MAX = 200
"""How far from 1970 changes are looked for; beyond, the clock goes on as at the end."""


def wall(database: sqlite3.Connection, table: str, column: str, zone: tzinfo | None) -> str:
    """What the clock of ``zone`` shows at the time in ``column`` of ``table``, as an SQL expression; None: UTC."""
    if zone is None:
        return column
    low, high = database.execute(f"SELECT min({column}), max({column}) FROM {table}").fetchone()  # noqa: S608  # own names
    if low is None:
        return column
    *before, last = _offsets(_moment(low), _moment(high), zone)
    cases = "".join(f"WHEN {column} < {until} THEN {offset} " for until, offset in before)
    return f"{column} + CASE {cases}ELSE {last[1]} END" if cases else f"{column} + {last[1]}"


def to_wall(ns: int, zone: tzinfo) -> int:
    """What the clock of ``zone`` shows at a time."""
    return ns + _offset(_moment(ns), zone)


def from_wall(ns: int, zone: tzinfo) -> int:
    """When the clock of ``zone`` shows this; the first time where it does so twice."""
    shown = _moment(ns).replace(tzinfo=zone)
    return ns - _seconds(shown.utcoffset()) * _SECOND_NS


def _offsets(low: datetime, high: datetime, zone: tzinfo) -> list[tuple[int, int]]:
    """Until when, in ns, each offset, in ns, holds between two times; the last for ever."""
    found: list[tuple[int, int]] = []
    at, offset = low, _offset(low, zone)
    while at < high:
        after = at + _STEP
        if _offset(after, zone) != offset:
            before, behind = at, after
            while behind - before > timedelta(seconds=1):
                middle = before + (behind - before) / 2
                if _offset(middle, zone) == offset:
                    before = middle
                else:
                    behind = middle
            found.append((_whole_ns(behind), offset))
            offset = _offset(after, zone)
        at = after
    return [*found, (0, offset)]


def _offset(moment: datetime, zone: tzinfo) -> int:
    return _seconds(moment.astimezone(zone).utcoffset()) * _SECOND_NS


def _seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset.days * 86400 + offset.seconds


def _moment(ns: int) -> datetime:
    seconds = max(-YEARS_MAX * 31_556_952, min(YEARS_MAX * 31_556_952, ns // _SECOND_NS))
    return _EPOCH + timedelta(seconds=seconds)


def _whole_ns(moment: datetime) -> int:
    """A moment to the second, since offsets change at whole ones."""
    since = moment - _EPOCH
    return (since.days * 86400 + since.seconds) * _SECOND_NS
