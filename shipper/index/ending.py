"""The ending: tells which connections without an end are no longer called ongoing, since their end can't come any more.

The agent was started anew (the same workspace's agent of that name connects under another id, so the process that would
have told the end is gone), the connection is older than what the configuration calls ongoing, or the end may lie in a
gap of the log. All three are looked at when a question is asked: a gap or a new start may be known later than the row.
"""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from shipper.index import sql
from shipper.index.schema import ONGOING, UNKNOWN
from shipper.timestamp import from_ns

LIMIT_FACT = "ongoing_max_seconds"
_SECOND_NS = 1_000_000_000


class Ending(Struct, frozen=True):
    """Connections that began up to ``gap_ns`` may have ended in a gap; those up to ``age_ns`` are older than
    ``limit_seconds``. None: there is no such bound."""

    gap_ns: int | None = None
    age_ns: int | None = None
    limit_seconds: int = 0

    @property
    def state(self) -> str:
        """The state of a row of ``connections`` as an SQL expression without parameters."""
        bounds = [bound for bound in (self.gap_ns, self.age_ns) if bound is not None]
        old = f"connections.connect_ns <= {max(bounds)} OR " if bounds else ""
        return f"CASE WHEN state = {ONGOING} AND ({old}{sql.STARTED_ANEW}) THEN {UNKNOWN} ELSE state END"

    def reason(self, connect_ns: int, anew_ns: int | None) -> str | None:
        """Why the end of a connection that began at ``connect_ns`` can't come any more, None where it can;
        ``anew_ns``: when its agent connected under another id after that."""
        if anew_ns is not None:
            return f"its agent came back under another id at {from_ns(anew_ns)[:19]}Z: it was started anew, and can't tell the end"
        if self.age_ns is not None and connect_ns <= self.age_ns:
            return f"no end came within {_days(self.limit_seconds)}, which ongoing_max allows"
        if self.gap_ns is not None and connect_ns <= self.gap_ns:
            return "its disconnect event may lie in a gap of the log"
        return None


def read_ending(database: sqlite3.Connection, now_ns: int) -> Ending:
    """What holds at this moment, in the view that ``database`` has."""
    gap_ns = database.execute(sql.LAST_GAP).fetchone()[0]
    row = database.execute(sql.GET_FACT, (LIMIT_FACT,)).fetchone()
    limit = 0 if row is None else int(row[0])
    return Ending(gap_ns, now_ns - limit * _SECOND_NS if limit else None, limit)


def started_anew(database: sqlite3.Connection, connection: int) -> int | None:
    """When the agent of a connection, by its number, first connected under another id after the connection began."""
    row = database.execute(sql.ANEW, (connection,)).fetchone()
    return None if row is None else row[0]


def _days(seconds: int) -> str:
    from shipper.config.quantity import duration_text  # here: few answers have one, and it brings the configuration

    return duration_text(seconds * 1000)
