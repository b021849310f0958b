"""Reconciliation finds each difference between log and API, says the likely reason, and adds what only the API has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.coder.client import CoderClient
from shipper.config import FileInput, load_config
from shipper.config.settings import Coder
from shipper.index import Connection, IndexReader, IndexWriter
from shipper.journal import Piece
from shipper.query import parse_query
from shipper.reconciliation.event import ApiEvents
from shipper.reconciliation.finding import Report
from shipper.reconciliation.reconcile import Missing, Reconciler
from shipper.record import Gap, Record, Source, encoded
from shipper.service.backfill import Backfill
from shipper.timestamp import to_ns
from tests.coder import fault
from tests.coder.form import MAIN_OCTOBER, VERSIONS, Version
from tests.coder.loading import event_of
from tests.coder.scene import Scene
from tests.coder.server import CoderServer

BEGIN = datetime(2026, 9, 1, 10, 5, tzinfo=UTC)
SINCE, UNTIL = "2026-09-01T10:00:00.000000000Z", "2026-09-04T00:00:00.000000000Z"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


class Log:
    """Records of connections of the scene, written to a log, to Coder's table, or to one of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def record(self, number: int, seconds: float, **fields: Any) -> Record:
        moment = BEGIN + timedelta(seconds=seconds)
        made = Record(
            1,
            uuid(number),
            f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z",
            "connected",
            type="ssh",
            method="ssh",
            organization_id=self.scene.org.id,
            workspace_owner_id=self.scene.alice.id,
            workspace_id=self.scene.dev.id,
            workspace_name="dev",
            agent_name="main",
            ip="fd7a:115c:a1e0::1",
        )
        return replace(made, **fields)

    def session(self, number: int, begin: float, end: float | None = None, **fields: Any) -> list[Record]:
        connection = {"connection_id": uuid(10_000 + number)} | fields
        records = [self.record(2 * number, begin, **connection)]
        if end is not None:
            gone = {"status": "disconnected", "code": 0, "disconnect_reason": "bye"} | connection
            records.append(self.record(2 * number + 1, end, **gone))
        return records

    def web(self, number: int, at: float, **fields: Any) -> list[Record]:
        app = {"type": "workspace_app", "method": "workspace_app", "slug_or_port": "code-server", "code": 200}
        return [self.record(2 * number, at, **(app | {"user_id": self.scene.bob.id} | fields))]

    def to_coder(self, records: Sequence[Record], together: bool = True) -> None:
        events = [event_of(record) for record in records]
        for batch in [events] if together else [[event] for event in events]:
            self.scene.world.log(*batch)


def write(path: Path, records: Sequence[Record], seq: int = 1, gaps: Sequence[Gap] = ()) -> None:
    writer = IndexWriter(path)
    writer.add(seq, records, [b"line"] * len(records), gaps=gaps, stored_ns=1)
    writer.close()


def compare(coder: CoderServer, tmp_path: Path, since: str = SINCE, until: str = UNTIL) -> tuple[Report, list[Missing]]:
    token = tmp_path / "token"
    token.write_text(coder.world.token_of(next(iter(coder.world.users.values()))))
    with CoderClient(Coder(url=coder.url, token_file=token, timeout_seconds=10.0), attempts=1) as client:
        run = Reconciler(client, tmp_path / "index.db", ApiEvents("host", coder.url))
        missing = list(run.run(to_ns(since), to_ns(until)))
    return run.report(to_ns(since), to_ns(until)), missing


def sums(report: Report) -> tuple[int, int, int, int]:
    both, only_log, only_api, differing = (
        sum(getattr(hour, name) for hour in report.hours) for name in ("both", "only_log", "only_api", "differing")
    )
    return both, only_log, only_api, differing


@pytest.fixture
def log(scene: Scene) -> Log:
    return Log(scene)


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


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


# ---- the command and the backfill ----------------------------------------------------------------


def configure(tmp_path: Path, coder: CoderServer, user: object) -> str:
    (tmp_path / "token").write_text(coder.world.token_of(user))  # type: ignore[arg-type]  # a user of the world
    path = tmp_path / "connlog.toml"
    path.write_text(
        f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "{coder.url}"\ntoken_file = "token"\n[metrics]\nlisten = ""\n'
    )
    return str(path)


def rows(tmp_path: Path, query: str = "", events: bool = False) -> list[Any]:
    reader = IndexReader(tmp_path / "index.db")
    answer = reader.search(
        parse_query(query, 0), events=events, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0
    )
    found = list(answer.rows)
    reader.close()
    return found


def ship(config: str, records: Sequence[Record]) -> None:
    """Records on their way through the journal, as the daemon would take them."""
    piece = Piece(
        "test", [encoded(one) for one in records], [b"line"] * len(records), entries=len(records), lines=len(records)
    )
    Backfill(load_config(Path(config)), [], FileInput(paths=()), lambda _: None).take([piece])


ARGUMENTS = ["reconcile", "--since", "2026-09-01", "--until", "2026-09-04"]


def test_backfill_adds_what_only_the_api_has_once_and_changes_nothing(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coder.version = MAIN_OCTOBER
    kept, half = log.web(1, 0), log.session(2, 10, 70)
    lost = [*log.session(3, 100, 200, type="cursor", app="cursor"), *log.web(4, 300)]
    short = log.session(5, 400, 400)
    config = configure(tmp_path, coder, scene.auditor)
    ship(config, [*kept, half[0]])
    before = rows(tmp_path, events=True)
    for records in (kept, half, lost, short):
        log.to_coder(records)
    assert main([*ARGUMENTS, "-c", config]) == 1
    assert len(rows(tmp_path, events=True)) == len(before)
    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 1
    said = capsys.readouterr()
    assert "5 events were added from the API" in said.err, said.out
    after = rows(tmp_path, events=True)
    added = [row for row in after if row.log.format == "api"]
    assert [row for row in after if row.log.format != "api"] == before
    assert {row.source.input for row in added} == {"coder_api"}
    assert {row.id for row in added if "derived_id" not in row.extra} == {lost[0].id, lost[2].id, short[0].id}
    assert {row.extra["derived_id"] for row in added if row.extra} == {half[0].id, lost[0].id}
    cursor = next(row for row in rows(tmp_path) if row.type == "cursor")
    assert isinstance(cursor, Connection)
    assert (cursor.state, cursor.duration_seconds, cursor.code, cursor.disconnect_reason) == (
        "completed",
        100.0,
        0,
        "bye",
    )
    capsys.readouterr()

    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 0, "again it adds nothing, and both are the same"
    said = capsys.readouterr()
    assert "0 events were added" in said.err
    assert "log and API tell the same" in said.err
    assert len(rows(tmp_path, events=True)) == len(after)


def test_the_row_itself_stands_for_the_original_line(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, coder, scene.alice)
    ship(config, [])
    log.to_coder(log.web(1, 0))
    main([*ARGUMENTS, "-c", config, "--backfill"])
    capsys.readouterr()
    assert main(["search", "-c", config, "--output", "raw"]) == 0
    assert json.loads(capsys.readouterr().out)["web_info"]["slug_or_port"] == "code-server"


def test_the_table_and_the_details(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "index.db", [*log.web(1, 0), *log.web(2, 60, workspace_name="\x1b[31mred")])
    log.to_coder(log.web(1, 0, ip="10.0.0.9"))
    config = configure(tmp_path, coder, scene.auditor)
    assert main([*ARGUMENTS, "-c", config, "--details"]) == 1
    out = capsys.readouterr().out
    assert "2026-09-01 10:00     1         1         0       1" in out
    assert "ip: fd7a:115c:a1e0::1 in the log, 10.0.0.9 in the API" in out
    assert "\x1b" not in out
    assert main([*ARGUMENTS, "-c", config, "--output", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["hours"][0]["only_log"] == 1
    assert {one["kind"] for one in document["findings"]} == {"only_log", "differs"}
    assert main([*ARGUMENTS, "-c", config, "--output", "ndjson", "--details"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_token_that_may_not_read_the_log_is_told_of(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = log.web(1, 0)
    write(tmp_path / "index.db", records)
    log.to_coder(records)
    assert main([*ARGUMENTS, "-c", configure(tmp_path, coder, scene.bob)]) == 1
    said = capsys.readouterr()
    assert "gives this token no row at all" in said.out
    assert "neither the role Auditor nor Owner" in said.err
    main([*ARGUMENTS, "-c", configure(tmp_path, coder, scene.warden)])
    assert "only what is of its organizations" in capsys.readouterr().err


@pytest.mark.parametrize("broken", [fault.unauthorized(), fault.forbidden(), fault.proxy_page(), fault.broken()])
def test_a_coder_that_fails_ends_it_with_4(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: fault.Fault
) -> None:
    write(tmp_path / "index.db", log.web(1, 0))
    coder.fail(broken, times=9)
    assert main([*ARGUMENTS, "-c", configure(tmp_path, coder, scene.alice), "--backfill"]) == 4
    assert coder.url in capsys.readouterr().err


def test_a_range_that_is_none(
    scene: Scene, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, coder, scene.alice)
    assert main(["reconcile", "--since", "now", "-c", config]) == 2
    assert main(["reconcile", "--since", "2026-09-02", "--until", "2026-09-01", "-c", config]) == 2
    assert "--since: is after --until" in capsys.readouterr().err
