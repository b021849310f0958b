"""The entry: what of one line of ``journalctl -o json`` tells its place, its time and whose it is.

Facts: systemd 252. The order of the keys is random; quotes inside a value are escaped, so a key with its quotes
stands in a line only where it is one. Keys that begin with an underscore are journald's own, no client can set them.
"""

from __future__ import annotations

import orjson
from msgspec import Struct

from shipper.pattern import pattern

_place = pattern(r"(?:^|;)s=([0-9a-f]{32});i=([0-9a-f]{1,16})(?:;|$)")
_since_boot = pattern(r"(?:^|;)b=([0-9a-f]{32});m=([0-9a-f]{1,16})(?:;|$)")
_cursor = pattern(rb'"__CURSOR" ?: ?"([^"\\]{1,1024})"')
_realtime = pattern(rb'"__REALTIME_TIMESTAMP" ?: ?"(\d{1,19})"')
DROPPED_ID = "a596d6fe7bfa4994828e72309e95d61e"
"""MESSAGE_ID of journald's word that it dropped messages because there were too many (sd-messages.h)."""


class Place(Struct, frozen=True):
    """Where an entry stands: ``number`` counts the entries of one journal, ``journal`` names it; ``monotonic_us`` is when
    it came in the run of the system that ``boot`` names, which is empty where the cursor doesn't tell."""

    journal: str
    number: int
    boot: str
    monotonic_us: int

    def before(self, other: Place) -> bool:
        """Whether it is known to stand before the other one, or at it. A clock that is set back doesn't matter."""
        if self.journal == other.journal:
            return self.number <= other.number
        return bool(self.boot) and self.boot == other.boot and self.monotonic_us <= other.monotonic_us


def place_of(cursor: str) -> Place | None:
    """The place that a cursor tells, None where it is of another form: cursors are opaque."""
    found, since_boot = _place.search(cursor), _since_boot.search(cursor)
    if found is None:
        return None
    boot, monotonic = since_boot.groups() if since_boot is not None else ("", "0")
    return Place(found[1], int(found[2], 16), boot, int(monotonic, 16))


def cursor_of(line: bytes) -> str | None:
    """The cursor of an entry, None where the line, or the part of it that is there, has none."""
    found = _cursor.search(line)
    return None if found is None else found[1].decode("ascii", "replace")


def time_of(line: bytes) -> int:
    """When journald got the entry, in nanoseconds since 1970; 0 where the line doesn't say."""
    found = _realtime.search(line)
    return 0 if found is None else int(found[1]) * 1000


def fields_of(line: bytes) -> dict[str, str] | None:
    """The entry's fields that are text, or None where the line is no JSON object."""
    try:
        top = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return {key: value for key, value in top.items() if type(value) is str} if type(top) is dict else None


def dropped_count(fields: dict[str, str]) -> int | None:
    """How many messages journald says it dropped; None where it is another entry, or not journald's own."""
    if fields.get("MESSAGE_ID") != DROPPED_ID or fields.get("_TRANSPORT") != "driver":
        return None
    count = fields.get("N_DROPPED", "")
    return int(count) if count.isdigit() and len(count) < 19 else 0
