"""After a backfill both sides tell the same, whatever the rows were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.cli.main import main
from tests.coder.form import MAIN_OCTOBER
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.reconciliation.conftest import ARGUMENTS, Log, configure, ship, uuid, write

_kinds = st.sampled_from(
    ["ssh", "vscode", "jetbrains", "reconnecting_pty", "workspace_app", "port_forwarding", "tunnel"]
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_second_reconcile_is_quiet(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    tmp_path = tmp_path_factory.mktemp("again")
    scene = Scene()
    with CoderServer(scene.world, limit=-1) as coder:
        coder.version = MAIN_OCTOBER
        log = Log(scene)
        config = configure(tmp_path, coder, scene.auditor)
        known = []
        for number in range(1, data.draw(st.integers(1, 6))):
            kind = data.draw(_kinds)
            at = data.draw(st.sampled_from([0, 5, 3590, 90000, 90000.5]))
            fields = {
                "agent_name": data.draw(st.sampled_from(["main", "Main", "", "ünï", "a b", "a\x00b", None])),
                "workspace_name": data.draw(st.sampled_from(["dev", "", "\x1b[31m"])),
            }
            if kind in ("workspace_app", "port_forwarding", "tunnel"):
                records = log.web(number, at, type=kind, method=kind, **fields)
            else:
                end = data.draw(st.sampled_from([None, at, at + 0.4, at + 5, at + 60, at + 90000]))
                app = (
                    {"type": kind, "method": "ssh", "app": kind}
                    if kind in ("vscode", "jetbrains")
                    else {"type": kind, "method": kind}
                )
                records = log.session(number, at, end, **app, **fields)
                if data.draw(st.integers(0, 5)) == 0:
                    records = [replace(one, connection_id=uuid(10_000)) for one in records]
            keep = data.draw(st.integers(0, 3))
            known += records[:keep] if keep < 3 else []
            log.to_coder(records, together=data.draw(st.booleans()))
        ship(config, known)
        main([*ARGUMENTS, "-c", config, "--backfill"])
        first = capsys.readouterr()
        main([*ARGUMENTS, "-c", config, "--output", "json"])
        again = capsys.readouterr().out
        assert not [one for one in json.loads(again)["findings"] if one["kind"] == "only_api"], first.out
        main([*ARGUMENTS, "-c", config, "--backfill"])
        assert "connlog: 0 events were added" in capsys.readouterr().err


def test_a_run_that_adds_says_that_its_counts_are_those_from_before(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, coder, scene.auditor)
    ship(config, [])
    log.to_coder(log.web(1, 0))
    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 1
    said = capsys.readouterr().err
    assert "1 event was added from the API" in said
    assert "from before; the next run finds it on both sides" in said
    assert main([*ARGUMENTS, "-c", config]) == 0
    assert "from before" not in capsys.readouterr().err


def test_what_the_journal_has_and_the_index_lacks_is_named(
    scene: Scene, log: Log, coder: CoderServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configure(tmp_path, coder, scene.auditor)
    records = log.web(1, 0)
    ship(config, records)
    log.to_coder(records)
    for path in tmp_path.glob("index.db*"):
        path.unlink()
    write(tmp_path / "index.db", [], seq=1000)
    assert main([*ARGUMENTS, "-c", config, "--backfill"]) == 1
    said = capsys.readouterr().err
    assert "0 events were added from the API" in said
    assert "1 event had been delivered before and is missing in this index" in said
