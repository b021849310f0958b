"""Reconcile: walks a range of time of the index and of the API side by side, window by window, in bounded memory.

What lies near the edge of a day is looked for beyond it, since the two sides may have another time for a connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from shipper import timestamp
from shipper.coder.client import CoderClient
from shipper.coder.walk import BAD_KEPT_MAX_COUNT, LogRow, Walked, find_rows, walk_log
from shipper.index import Connection, IndexReader
from shipper.index.lookup import find_connections
from shipper.index.sql import COUNT_GAPS, COUNT_NOTICES
from shipper.query.filter import Filter
from shipper.query.value import read_uuid
from shipper.reconciliation.difference import Key, differences, key_of_connection, key_of_row
from shipper.reconciliation.event import ApiEvents
from shipper.reconciliation.finding import (
    DIFFERS,
    FINDINGS_MAX_COUNT,
    HOUR_NS,
    ONLY_API,
    ONLY_LOG,
    Finding,
    Hour,
    Known,
    Report,
    differing_reason,
    only_api_reason,
    only_log_reason,
)
from shipper.record import Record

WINDOW_NS = 24 * HOUR_NS
WINDOW_MIN_NS = 60_000_000_000
"""The range that is compared at first, and the shortest; it grows where there is little."""
MARGIN_NS = HOUR_NS
"""How far beyond its edges a window looks, or as far as it is long."""
ROWS_MAX_COUNT = 20_000
"""Rows of the API that are held at once: a window with more is cut in half, unless it is as short as can be."""
LOOKUPS_MAX_COUNT = 200
"""Connections of the log for which the API is asked one by one, in one run; the rest is judged by the time range."""
SETTLE_NS = 60_000_000_000
"""What is younger may not be written yet: Coder's writer waits five seconds and more, and the log has its own way."""

Missing = tuple[LogRow, list[Record]]
"""A row of the API with the events that the log does not have."""


class Reconciler:
    """One run over the index at ``path`` and the API behind ``client``."""

    def __init__(self, client: CoderClient, path: Path, events: ApiEvents) -> None:
        self._client = client
        self._path = path
        self._events = events
        self._known = Known()
        self._hours: dict[int, Hour] = {}
        self._findings: list[tuple[int, Finding]] = []
        self._left_out = 0
        self._lookups = 0
        self._walked = Walked()
        self._range = (0, 0)
        self.missing_count = 0

    def run(self, since_ns: int, until_ns: int) -> Iterator[Missing]:
        """Compare; gives what only the API has, as it is found. ``report`` is ready when it has ended.

        Raises RemoteError and StateError."""
        reader, lookup = IndexReader(self._path), IndexReader(self._path)
        try:
            self._learn(reader)
            # What is older is no time that anybody's clock had.
            since_ns = max(since_ns, timestamp.NS_MIN + MARGIN_NS + 1)
            self._range = (since_ns, until_ns)
            at_ns, length_ns = since_ns, WINDOW_NS
            while at_ns <= until_ns:
                end_ns = min(at_ns + length_ns - 1, until_ns)
                rows = self._rows(at_ns, end_ns, min(MARGIN_NS, length_ns))
                if rows is None:
                    length_ns = max(WINDOW_MIN_NS, (end_ns + 1 - at_ns) // 2)
                    continue
                yield from self._window(reader, lookup, at_ns, end_ns, min(MARGIN_NS, length_ns), rows)
                at_ns = end_ns + 1
                if len(rows) < ROWS_MAX_COUNT // 4:
                    length_ns *= 2
            self._learn_hours(reader)
        finally:
            reader.close()
            lookup.close()

    def report(self, since_ns: int, until_ns: int) -> Report:
        """What was found, each with its reason."""
        for at_ns, one in self._findings:
            if one.kind == ONLY_LOG:
                one.reason = only_log_reason(one, at_ns, self._known)
            elif one.kind == ONLY_API:
                one.reason = only_api_reason(at_ns, self._known)
            else:
                one.reason = differing_reason(one.fields)
            reasons = self._hours[at_ns // HOUR_NS].reasons
            reasons[one.reason] = reasons.get(one.reason, 0) + 1
        self._findings.sort(key=lambda found: found[0])
        report = Report(
            timestamp.from_ns(since_ns),
            timestamp.from_ns(until_ns),
            [self._hours[hour] for hour in sorted(self._hours)],
            [one for _, one in self._findings],
            self._left_out,
            self._walked.bad,
        )
        if self._left_out:
            report.notes.append(f"{self._left_out} findings more are in the counts of the hours only")
        if self._walked.bad:
            report.notes.append(
                f"{self._walked.bad} rows of the API could not be read, such as: {self._walked.problems[0]}"
            )
        return report

    # ---- one window ----------------------------------------------------------------------------

    def _rows(self, since_ns: int, until_ns: int, margin_ns: int) -> dict[Key, LogRow] | None:
        """The rows of a window by their keys; None where they are too many and it can be made shorter."""
        rows: dict[Key, LogRow] = {}
        walked = Walked()
        for row in walk_log(self._client, since_ns - margin_ns, until_ns + margin_ns, walked):
            self._note(row)
            rows[key_of_row(row)] = row
            if len(rows) > ROWS_MAX_COUNT and until_ns + 1 - since_ns > WINDOW_MIN_NS:
                return None
        self._walked.bad += walked.bad
        self._walked.problems += walked.problems[: BAD_KEPT_MAX_COUNT - len(self._walked.problems)]
        return rows

    def _window(
        self,
        reader: IndexReader,
        lookup: IndexReader,
        since_ns: int,
        until_ns: int,
        margin_ns: int,
        rows: dict[Key, LogRow],
    ) -> Iterator[Missing]:
        ids = {row.row.id.lower(): row for row in rows.values()}
        matched: set[Key] = set()
        for one in self._connections(reader, since_ns - margin_ns, until_ns + margin_ns):
            inside = since_ns <= timestamp.to_ns(one.connect_time) <= until_ns
            found = rows.get(key_of_connection(one)) or _first(ids, one)
            if found is None and inside:
                found = self._ask(one)
            if found is not None:
                key = key_of_row(found)
                if key in matched:
                    continue
                matched.add(key)
                # Told in the window where the API has it, or here where that lies beyond all that is compared.
                beyond = key not in rows and inside and not self._range[0] <= found.time_ns <= self._range[1]
                if since_ns <= found.time_ns <= until_ns or beyond:
                    yield from self._both(one, found)
            elif inside:
                self._only_log(one)
        for key, row in rows.items():
            if key in matched or not since_ns <= row.time_ns <= until_ns:
                continue
            far = self._find(lookup, row, key)
            if far is not None:
                yield from self._both(far, row)
            else:
                events = self._events.of(row)
                self._only_api(row, events)
                yield row, events

    def _connections(self, reader: IndexReader, since_ns: int, until_ns: int) -> Iterator[Connection]:
        answer = reader.search(
            Filter(), events=False, limit=0, sort="time", since_ns=since_ns, until_ns=until_ns, now_ns=until_ns
        )
        yield from (row for row in answer.rows if isinstance(row, Connection))

    def _find(self, lookup: IndexReader, row: LogRow, key: Key) -> Connection | None:
        """A row's connection wherever in the index it is."""
        if key[1] is not None or key[2] is not None:
            for one in find_connections(lookup, self._path, key[0], 10):
                if key_of_connection(one) == key:
                    return one
        for one in find_connections(lookup, self._path, row.row.id, 1):
            if row.row.id.lower() in one.event_ids:
                return one
        return None

    def _ask(self, one: Connection) -> LogRow | None:
        """The API's row of a connection wherever in time it is."""
        if one.connection_id is None or read_uuid(one.connection_id) is None or self._lookups >= LOOKUPS_MAX_COUNT:
            return None
        self._lookups += 1
        for row in find_rows(self._client, f"connection_id:{one.connection_id}"):
            if key_of_row(row) == key_of_connection(one):
                self._note(row)
                return row
        return None

    # ---- findings ------------------------------------------------------------------------------

    def _both(self, one: Connection, row: LogRow) -> Iterator[Missing]:
        told = self._events.of(row)
        fields = differences(one, row, told[0] if told else None)
        hour = self._hour(row.time_ns)
        hour.both += 1
        if not fields:
            return
        hour.differing += 1
        self._add(row.time_ns, _finding(DIFFERS, one.id, one.connect_time, one, fields))
        ends = fields.get("disconnect_time")
        if ends is not None and ends[0] is None:
            missing = [event for event in told if event.status == "disconnected" and event.id not in one.event_ids]
            if missing:
                self.missing_count += len(missing)
                yield row, missing

    def _only_log(self, one: Connection) -> None:
        at_ns = timestamp.to_ns(one.connect_time)
        self._hour(at_ns).only_log += 1
        self._add(at_ns, _finding(ONLY_LOG, one.id, one.connect_time, one, {}))

    def _only_api(self, row: LogRow, events: list[Record]) -> None:
        self._hour(row.time_ns).only_api += 1
        self.missing_count += len(events)
        time = timestamp.from_ns(row.time_ns)
        self._add(row.time_ns, _finding(ONLY_API, row.row.id.lower(), time, events[0], {}))

    def _hour(self, at_ns: int) -> Hour:
        number = at_ns // HOUR_NS
        if number not in self._hours:
            self._hours[number] = Hour(timestamp.from_ns(number * HOUR_NS))
        return self._hours[number]

    def _add(self, at_ns: int, finding: Finding) -> None:
        if len(self._findings) < FINDINGS_MAX_COUNT:
            self._findings.append((at_ns, finding))
        else:
            self._left_out += 1

    # ---- what is known around it ---------------------------------------------------------------

    def _note(self, row: LogRow) -> None:
        known = self._known
        known.api_oldest_ns = row.time_ns if known.api_oldest_ns is None else min(known.api_oldest_ns, row.time_ns)
        known.api_organizations.add(read_uuid(row.row.organization.id) or "")
        known.api_workspaces.add(read_uuid(row.row.workspace_id) or "")

    def _learn(self, reader: IndexReader) -> None:
        usable = "SELECT min(time_ns), max(time_ns) FROM events WHERE time_ns > ?"
        oldest, newest = reader.view().execute(usable, (timestamp.NS_MIN,)).fetchone()
        self._known.log_oldest_ns, self._known.log_newest_ns = oldest, newest

    def _learn_hours(self, reader: IndexReader) -> None:
        """Gaps and quarantined lines of the hours that need a reason."""
        database = reader.view()
        for number, hour in self._hours.items():
            if hour.only_api:
                ends = (number * HOUR_NS, (number + 1) * HOUR_NS - 1)
                self._known.gaps[number] = database.execute(COUNT_GAPS, ends).fetchone()[0]
                self._known.quarantined[number] = database.execute(COUNT_NOTICES, ends).fetchone()[0]


def _first(ids: dict[str, LogRow], one: Connection) -> LogRow | None:
    return next((ids[id_] for id_ in one.event_ids if id_ in ids), None)


def _finding(
    kind: str, id_: str, time: str, of: Connection | Record, fields: dict[str, tuple[object, object]]
) -> Finding:
    return Finding(
        kind, id_, time, of.connection_id, of.organization_id, of.workspace_id, of.workspace_name, of.agent_name,
        of.type, fields=fields,
    )  # fmt: skip


def exhausted(missing: Iterable[Missing]) -> None:
    """Walk to the end for the report alone."""
    for _ in missing:
        pass
