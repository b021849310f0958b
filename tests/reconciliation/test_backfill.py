"""The command reconcile tells what it found, and its backfill adds what only the API has, once, whatever comes after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.index import Connection
from tests.coder import fault
from tests.coder.form import MAIN_OCTOBER
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.reconciliation.conftest import (
    ARGUMENTS,
    Log,
    configure,
    rows,
    ship,
    write,
)


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


def test_log_lines_that_come_after_all_make_one_connection_with_what_the_api_gave(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The connect line is a copy by its id; the disconnect line has an id of its own and joins the connection."""
    session, web = log.session(1, 0, 120), log.web(2, 60)
    config = configure(tmp_path, coder, scene.auditor)
    ship(config, [])
    log.to_coder([*session, *web])
    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 1
    before = rows(tmp_path)
    ship(config, [*reversed(session), *web])
    after = rows(tmp_path)
    assert [one.id for one in after] == [one.id for one in before] == [session[0].id, web[0].id]
    connection = after[0]
    assert isinstance(connection, Connection)
    assert (connection.state, connection.duration_seconds, connection.code) == ("completed", 120.0, 0)
    assert set(connection.event_ids) >= {session[0].id, session[1].id}
    assert len(rows(tmp_path, events=True)) == 4, "both tell of the end, each under its own id"
    capsys.readouterr()
    assert main(["stats", "--by", "workspace", "-c", config, "--output", "csv"]) == 0
    assert "dev,2" in capsys.readouterr().out
    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 0
    assert "0 events were added" in capsys.readouterr().err


def test_an_end_that_the_log_tells_after_the_api_did_changes_nothing_that_was_said(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path
) -> None:
    begin, end = log.session(1, 0, 120)
    config = configure(tmp_path, coder, scene.auditor)
    ship(config, [begin])
    log.to_coder([begin, end])
    main([*ARGUMENTS, "-c", config, "--backfill"])
    (told,) = rows(tmp_path)
    ship(config, [end])
    (one,) = rows(tmp_path)
    assert replace(one, event_ids=told.event_ids) == told


def test_times_may_have_a_zone(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = log.web(1, 0)
    write(tmp_path / "index.db", records)
    config = configure(tmp_path, coder, scene.auditor)
    for since, until, count in (
        ("2026-09-01T12:05:00+02:00", "2026-09-01T12:06:00+02:00", 1),
        ("2026-09-01T10:05:00+02:00", "2026-09-01T10:06:00+02:00", 0),
        ("2026-09-01T15:34:59+05:30", "2026-09-01T15:35:00+05:30", 1),
    ):
        main(["reconcile", "--since", since, "--until", until, "-c", config, "--output", "json"])
        assert sum(hour["only_log"] for hour in json.loads(capsys.readouterr().out)["hours"]) == count
