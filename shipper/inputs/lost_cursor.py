"""The lost cursor: what is known of a journal that no longer has the entry that was read last, as a gap or none."""

from __future__ import annotations

import time

from msgspec import Struct

from shipper.inputs.entry import Place, place_of
from shipper.record import SCHEMA, CompactSource, Gap
from shipper.timestamp import from_ns


class LostCursor(Struct, frozen=True):
    """``cursor`` is gone. Up to ``seen_ns`` (Unix time, 0: unknown) it was known that nothing came behind it.
    ``told``: there is no gap, or it was recorded."""

    cursor: str
    seen_ns: int
    told: bool = False

    def before(self, cursor: str) -> bool:
        """Whether the entry at ``cursor`` is known to stand before or at the lost one, and so was read."""
        lost, other = place_of(self.cursor), place_of(cursor)
        return lost is not None and other is not None and other.before(lost)

    def harmless(self, oldest: tuple[str, int] | None) -> bool:
        """Whether the journal proves that nothing is missing: its ``oldest`` entry (cursor and time) is of the same
        count, and not later than the lost one or than when nothing was known to be behind that."""
        lost = place_of(self.cursor)
        first: Place | None = place_of(oldest[0]) if oldest is not None else None
        if lost is None or first is None or oldest is None or lost.journal != first.journal:
            return False
        return first.number <= lost.number + 1 or 0 < oldest[1] <= self.seen_ns

    def gap(self, host: str, source: str, until_ns: int, policy: str) -> Gap:
        """The loss, which ends at ``until_ns``; what it held can't be known."""
        now = from_ns(time.time_ns())
        went = {
            "oldest": "reading went on with the oldest entry that is left",
            "nearest": "reading went on with the entry nearest to it",
            "newest": "reading went on with new entries, and what the journal still has of before is left out",
        }[policy]
        reason = (
            "the journal no longer has the entry that was read last, so entries behind it may be gone unread "
            f"(vacuumed, put away, or lost with its files); {went}"
        )
        place = CompactSource(host=host, input="journald", cursor=self.cursor, meta={"source": source})
        since = from_ns(self.seen_ns) if self.seen_ns else None
        return Gap(SCHEMA, "cursor_lost", place, since, from_ns(until_ns), None, False, now, reason)


def dropped(count: int, host: str, source: str, cursor: str | None, at_ns: int) -> Gap:
    """Messages that journald itself did not take in, because there were too many in a short time."""
    reason = (
        f"journald dropped {count} messages of it by its rate limit before they could be read; raise "
        "LogRateLimitBurst= in the unit, or RateLimitBurst= in journald.conf"
    )
    place = CompactSource(host=host, input="journald", cursor=cursor, meta={"source": source})
    return Gap(SCHEMA, "rate_limited", place, None, from_ns(at_ns), None, False, from_ns(time.time_ns()), reason)
