"""Reconciliation finds each difference between log and API, and says the likely reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.reconciliation.finding import Report
from shipper.reconciliation.reconcile import Reconciler
from shipper.record import Gap, Record, Source
from tests.coder import fault
from tests.coder.form import VERSIONS, Version
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.reconciliation.conftest import (
    BEGIN,
    Log,
    compare,
    sums,
    uuid,
    write,
)

# ---- equal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("writer", ["batch", "single"])
def test_the_same_events_are_the_same_in_every_version(version: Version, writer: str, tmp_path: Path) -> None:
    scene = Scene(writer)
    log = Log(scene)
    records = [
        *log.session(1, 0, 7200),
        *log.session(2, 10),
        *log.session(3, 100, 100.4, type="vscode", app="vscode"),
        *reversed(log.session(4, 300, 310)),
        *log.web(5, 50),
        *log.web(6, 60, user_id=None, code=303),
        *log.web(7, 70, type="port_forwarding", method="port_forwarding", slug_or_port="8080"),
        *log.session(8, 86_400 - 400, 90_000),
        *log.session(9, 500, None, ip=None),
    ]
    if version.tunnel:
        records += log.web(20, 80, type="tunnel", method="tunnel", slug_or_port=None, code=101)
    write(tmp_path / "index.db", records)
    log.to_coder(records, together=False)
    with CoderServer(scene.world, version=version, limit=-1) as coder:
        report, missing = compare(coder, tmp_path)
    assert report.findings == []
    assert report.equal
    assert sums(report)[0] == 9 + version.tunnel
    assert missing == []


def test_times_that_a_revision_of_coder_merged_are_no_difference(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path
) -> None:
    records = log.session(1, 0, 5)
    write(tmp_path / "index.db", records)
    log.to_coder(records)
    scene.world.rows[0].connect_time = scene.world.rows[0].disconnect_time or BEGIN
    assert compare(coder, tmp_path)[0].equal


def test_more_rows_than_coder_counts(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    records = [record for n in range(2300) for record in log.web(n, n / 10)]
    write(tmp_path / "index.db", records[:-1])
    log.to_coder(records)
    assert sums(compare(coder, tmp_path)[0]) == (2299, 0, 1, 0)


# ---- differences and their reasons ---------------------------------------------------------------


def reasons(report: Report) -> set[str]:
    return {one.reason for one in report.findings}


def test_what_the_database_lost(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    records = [record for n in range(1, 6) for record in log.web(n, 60 * n)]
    write(tmp_path / "index.db", records)
    log.to_coder(records)
    scene.world.lose(uuid(6))
    report, _ = compare(coder, tmp_path)
    assert sums(report) == (4, 1, 0, 0)
    (one,) = report.findings
    assert (one.kind, one.id, one.workspace_name) == ("only_log", uuid(6), "dev")
    assert "lost by Coder's database" in one.reason


def test_what_was_purged_hidden_or_deleted(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    old, new = log.web(1, 0), log.web(2, 50_000)
    gone = log.web(3, 50_001, workspace_id=uuid(77))
    hidden = log.web(4, 50_002, organization_id=scene.other.id)
    write(tmp_path / "index.db", [*old, *new, *gone, *hidden])
    log.to_coder(new)
    found = {one.id: one.reason for one in compare(coder, tmp_path)[0].findings}
    assert "purged by Coder's retention" in found[uuid(2)]
    assert "no row of its workspace" in found[uuid(6)]
    assert "no row of its organization" in found[uuid(8)]


def test_an_api_without_any_row(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    write(tmp_path / "index.db", log.web(1, 0))
    (reason,) = reasons(compare(coder, tmp_path)[0])
    assert "gives this token no row at all" in reason


def test_what_the_log_lost(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    seen = [*log.web(1, 4000), *log.web(2, 40_000)]
    gap = Gap(1, "rotated_unread", Source(), "2026-09-01T14:10:00.000000000Z", "2026-09-01T14:20:00.000000000Z")
    write(tmp_path / "index.db", seen, gaps=[gap])
    log.to_coder(seen)
    log.to_coder([*log.web(3, 0), *log.session(4, 4 * 3600, 4 * 3600 + 30), *log.web(5, 25_000), *log.web(6, 90_000)])
    report, missing = compare(coder, tmp_path)
    assert sums(report) == (2, 0, 4, 0)
    assert [one.reason.split(":")[0] for one in report.findings] == [
        "older than every event of the index",
        "a known gap of the log lies in this hour",
        "the log line was lost or never read",
        "newer than every event of the index",
    ]
    assert sum(len(records) for _, records in missing) == 5


def test_an_end_that_one_side_has_not_heard_of(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    first, second = log.session(1, 0, 60), log.session(2, 10, 70)
    write(tmp_path / "index.db", [*first, second[0]])
    log.to_coder([first[0], *second])
    report, missing = compare(coder, tmp_path)
    assert sums(report) == (2, 0, 0, 2)
    by_id = {one.id: one for one in report.findings}
    assert by_id[uuid(2)].fields["disconnect_time"][1] is None
    assert "the API has no disconnect" in by_id[uuid(2)].reason
    assert "the log has no disconnect event" in by_id[uuid(4)].reason
    ((_, (record,)),) = missing
    assert (record.status, record.connection_id) == ("disconnected", second[0].connection_id)


def test_a_connection_with_another_time_on_each_side_is_one(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path
) -> None:
    """The log lost the connect line: its only time is that of the end, hours and a window later."""
    begin, end = log.session(1, 0, 100_000)
    write(tmp_path / "index.db", [end])
    log.to_coder([begin, end])
    report, missing = compare(coder, tmp_path)
    assert sums(report) == (1, 0, 0, 0)
    assert missing == []


def test_values_that_differ(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    write(tmp_path / "index.db", log.web(1, 0))
    log.to_coder(log.web(1, 0, ip="10.0.0.9", code=502))
    (one,) = compare(coder, tmp_path)[0].findings
    assert one.fields == {"ip": ("fd7a:115c:a1e0::1", "10.0.0.9"), "code": (200, 502)}


def test_what_a_row_has_no_place_for_is_no_difference(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path
) -> None:
    records = log.session(1, 0, 60, user_agent="curl", slug_or_port="x")
    write(tmp_path / "index.db", records)
    log.to_coder(records)
    assert compare(coder, tmp_path)[0].equal


def test_rows_that_can_not_be_read_are_told(log: Log, coder: CoderServer, tmp_path: Path) -> None:
    write(tmp_path / "index.db", log.web(1, 0))
    coder.fail(fault.garbage(b'{"connection_logs":[{"id":7}],"count":1}'))
    report, _ = compare(coder, tmp_path)
    assert report.bad_rows == 1
    assert "could not be read" in report.notes[0]


ends = st.tuples(
    st.integers(0, 200_000), st.none() | st.floats(0.5, 100_000), st.booleans(), st.booleans(), st.booleans()
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ends, max_size=25), st.booleans())
def test_every_difference_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[int, float | None, bool, bool, bool]], web: bool
) -> None:
    """Random connections of which the log, the API, or both lost all: the counts are exactly those."""
    tmp_path = tmp_path_factory.mktemp("run")
    scene = Scene()
    log = Log(scene)
    mine: list[Record] = []
    expected = [0, 0, 0]
    for number, (begin, lasted, in_log, in_api, is_web) in enumerate(cases, start=1):
        if is_web and web:
            records = log.web(number, begin)
        else:
            records = log.session(number, begin, None if lasted is None else begin + lasted)
        if in_log:
            mine += records
        if in_api:
            log.to_coder(records)
        if in_log or in_api:
            expected[0 if in_log and in_api else 1 if in_log else 2] += 1
    write(tmp_path / "index.db", mine)
    with CoderServer(scene.world, limit=-1) as coder:
        report, missing = compare(coder, tmp_path)
    assert sums(report) == (*expected, 0)
    assert len(missing) == expected[2]
    assert all(one.reason for one in report.findings)


def test_a_window_with_too_many_rows_is_cut_and_nothing_is_lost_at_its_edges(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.reconciliation.reconcile.ROWS_MAX_COUNT", 40)
    records = [record for n in range(1, 400) for record in log.session(n, 37.5 * n, 37.5 * n + 300)]
    write(tmp_path / "index.db", [record for record in records if record.id != uuid(200)])
    log.to_coder(records)
    scene.world.lose(uuid(300))
    held: list[int] = []
    walk = Reconciler._rows

    def rows(self: Reconciler, since_ns: int, until_ns: int, margin_ns: int) -> Any:
        found = walk(self, since_ns, until_ns, margin_ns)
        held.append(-1 if found is None else len(found))
        return found

    monkeypatch.setattr(Reconciler, "_rows", rows)
    report, missing = compare(coder, tmp_path)
    assert sums(report) == (398, 1, 0, 0)
    assert missing == []
    assert -1 in held
    assert max(held) <= 40


@pytest.mark.parametrize("at", ["2026-09-01T00:00:00.000000000Z", "2026-09-02T00:00:00.000000000Z"])
def test_what_is_at_the_very_edge_of_an_hour_and_a_window_is_told_once(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, at: str
) -> None:
    both = [*log.web(1, 0, time=at), *log.web(2, 0, time=at[:-11] + ".000001000Z")]
    write(tmp_path / "index.db", [*both, *log.web(3, 0, time=at)])
    log.to_coder([*both, *log.web(4, 0, time=at)])
    report, _ = compare(coder, tmp_path, "2026-09-01T00:00:00.000000000Z", "2026-09-03T00:00:00.000000000Z")
    assert sums(report) == (2, 1, 1, 0)
    (hour,) = report.hours
    assert hour.start == at
    assert sums(compare(coder, tmp_path, at, at)[0]) == (1, 1, 1, 0), "both ends belong to the range"


def test_a_row_of_year_1_harms_nothing(scene: Scene, log: Log, coder: CoderServer, tmp_path: Path) -> None:
    """An agent whose clock is unset."""
    records = [*log.web(1, 0), *log.session(2, 0, 60)]
    unset = [replace(record, time="0001-01-01T00:00:00.000000000Z") for record in log.session(3, 0)]
    write(tmp_path / "index.db", [*records, *unset])
    log.to_coder([*records, *unset])
    assert sums(compare(coder, tmp_path)[0]) == (2, 0, 0, 0)
    coder.forget()
    assert sums(compare(coder, tmp_path, "0001-01-01T00:00:00.000000000Z")[0]) == (2, 0, 0, 0)
    assert len(coder.paths()) < 50, "three and a half centuries of nothing are few questions"
