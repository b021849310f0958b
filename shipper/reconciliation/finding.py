"""Findings: what a reconciliation found, by hour and one by one, each with its likely reason."""

from __future__ import annotations

from msgspec import Struct

HOUR_NS = 3_600_000_000_000
FINDINGS_MAX_COUNT = 100_000
"""Single findings kept; more are counted by the hour only."""

ONLY_LOG, ONLY_API, DIFFERS = "only_log", "only_api", "differs"


class Finding(Struct):
    """One connection that is not the same on both sides. ``reason`` is the likeliest, ``fields`` what differs, with the
    log's value and the API's."""

    kind: str
    id: str
    time: str
    connection_id: str | None
    organization_id: str | None
    workspace_id: str | None
    workspace_name: str | None
    agent_name: str | None
    type: str | None
    reason: str = ""
    fields: dict[str, tuple[object, object]] = {}


class Hour(Struct):
    """The counts of one hour; ``start`` is its beginning. ``reasons`` counts those of its findings."""

    start: str
    both: int = 0
    only_log: int = 0
    only_api: int = 0
    differing: int = 0
    reasons: dict[str, int] = {}

    @property
    def equal(self) -> bool:
        """Whether both sides tell the same."""
        return not (self.only_log or self.only_api or self.differing)


class Report(Struct):
    """All of it. ``bad_rows`` of the API could not be read; ``backfilled`` events were added to the log's."""

    since: str
    until: str
    hours: list[Hour] = []
    findings: list[Finding] = []
    left_out: int = 0
    bad_rows: int = 0
    backfilled: int | None = None
    notes: list[str] = []

    @property
    def equal(self) -> bool:
        """Whether both sides tell the same."""
        return all(hour.equal for hour in self.hours)


class Known(Struct):
    """What is known around the findings, to tell why. Times in ns; None: there is none."""

    api_oldest_ns: int | None = None
    log_oldest_ns: int | None = None
    log_newest_ns: int | None = None
    api_organizations: set[str] = set()
    api_workspaces: set[str] = set()
    gaps: dict[int, int] = {}
    quarantined: dict[int, int] = {}


def only_log_reason(one: Finding, at_ns: int, known: Known) -> str:
    """Why the API has no row of what the log tells."""
    if known.api_oldest_ns is None:
        return "the API gives this token no row at all: it needs an Auditor's or Owner's, or all rows were purged"
    if at_ns < known.api_oldest_ns:
        return "older than every row of the API: purged by Coder's retention"
    if one.organization_id is not None and one.organization_id not in known.api_organizations:
        return "no row of its organization: hidden from the token, or deleted with the organization"
    if one.workspace_id is not None and one.workspace_id not in known.api_workspaces:
        return "no row of its workspace: deleted with the workspace, or lost by Coder's database"
    return "lost by Coder's database, whose writer drops rows under load"


def only_api_reason(at_ns: int, known: Known) -> str:
    """Why the log does not tell of a row of the API."""
    hour = at_ns // HOUR_NS
    if known.log_oldest_ns is None:
        return "the index holds no event at all: no log has been read"
    if known.gaps.get(hour):
        return "a known gap of the log lies in this hour"
    if known.quarantined.get(hour):
        return "malformed lines of this hour are in the quarantine"
    if at_ns < known.log_oldest_ns:
        return "older than every event of the index: before the first log that was read, or expired"
    if known.log_newest_ns is not None and at_ns > known.log_newest_ns:
        return "newer than every event of the index: the log is behind, or is not read any more"
    return "the log line was lost or never read: a replica whose log is not collected, or a file rotated away"


def differing_reason(fields: dict[str, tuple[object, object]]) -> str:
    """Why the two differ."""
    ends = fields.get("disconnect_time")
    if ends is not None and ends[0] is None:
        return "the log has no disconnect event of it: its line was lost or never read"
    if ends is not None and ends[1] is None:
        return "the API has no disconnect of it: lost by Coder's database"
    if set(fields) <= {"connect_time", "disconnect_time"}:
        return "the times differ: another event of the connection was written first"
    return "the two were written with different values"
