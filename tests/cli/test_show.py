"""``connlog show``: everything of one connection, found by any of its ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.record import Record

SESSION = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
REQUEST = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WORKSPACE = "0e8ce218-3126-4f13-b45f-2577c57fb8c7"


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T{number:02d}:00:00.000000000Z",
        status="connected",
        type="ssh",
        method="ssh",
        workspace_name=f"w{number}",
    )
    return replace(made, **fields)


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    made = [
        event(1, connection_id=SESSION, workspace_id=WORKSPACE, workspace_name="dev", agent_name="a\x1b[2Jb"),
        event(
            2,
            connection_id=SESSION,
            workspace_id=WORKSPACE,
            workspace_name="dev",
            agent_name="a\x1b[2Jb",
            status="disconnected",
            code=7,
            disconnect_reason="process exited",
            request_id=REQUEST,
        ),
        event(
            1, id="000000a0-0000-4000-8000-000000000000", workspace_id=WORKSPACE, workspace_name="dev", type="vscode"
        ),
        event(9, workspace_id=WORKSPACE, workspace_name="dev", type="jetbrains", client_session_id="s-1"),
    ]
    writer.add(1, made, [f"line {n}\x1b[31m".encode() for n in range(4)], stored_ns=0)
    writer.close()
    return str(path)


@pytest.mark.parametrize("id_", [SESSION, SESSION.upper(), SESSION[:8], SESSION.replace("-", ""), REQUEST, "00000002"])
def test_a_connection_is_told_in_full_by_any_of_its_ids(
    index: str, capsys: pytest.CaptureFixture[str], id_: str
) -> None:
    assert main(["show", "--index", index, id_]) == 0
    said = capsys.readouterr().out
    for expected in (
        f"connection:    {SESSION}",
        "state:         completed",
        "lasted:        1h00m",
        "agent:         a\\x1b[2Jb",
        "reason:        process exited",
        "Events (2)",
        "00000001-0000-4000-8000-000000000000",
        "00000002-0000-4000-8000-000000000000",
        "vscode",
        "line 0\\x1b[31m\nline 1\\x1b[31m\n",
    ):
        assert expected in said
    assert "jetbrains" not in said  # eight hours later
    assert "\x1b" not in said


def test_the_same_as_json(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--index", index, "s-1", "--output", "ndjson"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["connection"]["type"] == "jetbrains"
    assert [event["client_session_id"] for event in told["events"]] == ["s-1"]
    assert told["originals"] == ["line 3\x1b[31m"]


def test_an_unknown_id_is_1_and_none_is_2(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--index", index, "dev"]) == 1
    assert "at least its first eight digits" in capsys.readouterr().err
    assert main(["show", "--index", index, " "]) == 2
    assert "the ID is empty" in capsys.readouterr().err


def test_times_are_in_the_zone_asked_for_with_their_offset(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--index", index, SESSION, "--tz", "Asia/Tokyo"]) == 0
    said = capsys.readouterr().out
    assert "connected:     2026-01-01T10:00:00.000000000+09:00\n" in said
    assert "  2026-01-01T11:00:00.000000000+09:00  disconnected" in said
    assert "CONNECTED (Asia/Tokyo)" in said


def test_raw_is_the_original_lines_alone_and_json_one_document(
    index: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["show", "--index", index, SESSION, "--output", "raw"]) == 0
    assert capfdbinary.readouterr().out == b"line 0\x1b[31m\nline 1\x1b[31m\n"
    assert main(["show", "--index", index, "00000000", "--output", "json"]) == 1
    assert json.loads(capfdbinary.readouterr().out) == {"found": []}
    assert main(["show", "--index", index, SESSION, "--output", "json"]) == 0
    (told,) = json.loads(capfdbinary.readouterr().out)["found"]
    assert told["connection"]["connection_id"] == SESSION
