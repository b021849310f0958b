"""The evidence for who was behind a session is found in the index, and told by search, show and their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shipper.attribution import AMBIGUOUS, CERTAIN, LIKELY, UNKNOWN, Attribution
from shipper.cli.main import main
from shipper.directory.sighting import USER, sighting
from shipper.index import IndexReader, IndexWriter
from shipper.index import evidence as evidence_module
from shipper.index.evidence import Witness
from shipper.index.names import NamesKeeper
from shipper.query import parse_query
from shipper.record import Record

BOB, CAROL, OWNER, DEV = (f"{n:08x}-0000-4000-9000-000000000000" for n in range(4))
CLIENT = "0123456789abcdef0123456789abcdef"
OTHER_CLIENT = "fedcba9876543210fedcba9876543210"


def event(number: int, hour: float, **fields: Any) -> Record:
    minute = round(hour * 60)
    made = Record(
        1,
        f"{number:08x}-0000-4000-8000-000000000000",
        f"2026-01-{1 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00.000000000Z",
        "connected",
        type="ssh",
        method="ssh",
        workspace_owner_id=OWNER,
        workspace_id=DEV,
        workspace_name="dev",
        agent_name="main",
    )
    return replace(made, **fields)


def session(number: int, hour: float, **fields: Any) -> Record:
    return event(number, hour, **({"connection_id": f"{number:08x}-0000-4000-a000-000000000000"} | fields))


def tunnel(number: int, hour: float, user: str | None, **fields: Any) -> Record:
    return event(number, hour, **({"type": "tunnel", "method": "tunnel", "code": 101, "user_id": user} | fields))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def put(path: Path, *records: Record) -> None:
    writer = IndexWriter(path)
    writer.add(writer.cursor + 1, records, [b"line"] * len(records), stored_ns=1)
    writer.close()


def answers(path: Path, events: bool = False) -> dict[int, Attribution]:
    reader, witness = IndexReader(path), Witness(path)
    rows = reader.search(
        parse_query("", 0), events=events, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0
    ).rows
    found = {int(row.id[:8], 16): witness.of(row) for row in rows}
    reader.close()
    witness.close()
    return {number: one for number, one in found.items() if one is not None}


def test_each_grade_with_the_ids_of_its_evidence(path: Path) -> None:
    put(
        path,
        tunnel(1, 1, BOB),
        session(2, 1.5),
        tunnel(3, 2, CAROL, client_session_id=CLIENT),
        session(4, 2.5),
        session(5, 2.6, client_session_id=CLIENT),
        session(6, 0.5, workspace_id=BOB),
        session(7, 1.5, agent_name="other"),
        event(8, 1, type="workspace_app", method="workspace_app", slug_or_port="terminal", code=200, user_id=BOB),
        session(9, 1.5, type="reconnecting_pty", method="reconnecting_pty"),
        tunnel(10, 2, CAROL, workspace_id=CAROL, client_session_id=OTHER_CLIENT),
        tunnel(11, 1, BOB, workspace_id=CAROL, code=403),
        session(12, 2.6, workspace_id=CAROL, client_session_id=OTHER_CLIENT),
    )
    found = answers(path)
    assert set(found) == {2, 4, 5, 6, 7, 9, 12}, "only sessions are asked about"
    grades = {number: (one.grade, one.user_id) for number, one in found.items()}
    assert grades == {
        2: (LIKELY, BOB),
        4: (AMBIGUOUS, None),
        5: (LIKELY, CAROL),
        12: (CERTAIN, CAROL),
        6: (UNKNOWN, None),
        7: (UNKNOWN, None),
        9: (LIKELY, BOB),
    }
    assert found[2].evidence == ("00000001-0000-4000-8000-000000000000",)
    assert found[4].candidates == (CAROL, BOB)
    assert found[6].candidates == (OWNER,)
    assert len(found[9].evidence) == 2


def test_an_end_is_attributed_as_its_beginning_and_without_one_not_at_all(path: Path) -> None:
    connection = {"connection_id": DEV}
    put(
        path,
        tunnel(1, 1, BOB),
        session(2, 1.5, **connection),
        session(3, 40, status="disconnected", **connection),
        tunnel(4, 39, CAROL),
        session(5, 40, status="disconnected"),
    )
    found = answers(path, events=True)
    assert (found[3].grade, found[3].user_id) == (LIKELY, BOB)
    assert found[5].grade == UNKNOWN
    assert answers(path)[5].grade == UNKNOWN
    put(path, session(6, 40, status="disconnected", time="0001-01-01T00:00:00.000000000Z"))
    assert answers(path)[6].grade == UNKNOWN


def test_more_evidence_than_is_looked_through_is_never_one_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, *(tunnel(n, 1 + n / 100, BOB) for n in range(1, 8)), session(9, 2))
    assert answers(path)[9].grade == LIKELY
    monkeypatch.setattr(evidence_module, "EVENTS_MAX_COUNT", 5)
    assert answers(path)[9].grade == AMBIGUOUS


@pytest.mark.parametrize(
    ("other", "grade"),
    [
        (tunnel(3, 1, BOB), LIKELY),
        (tunnel(3, 719, BOB), LIKELY),
        (tunnel(3, 743, BOB), LIKELY),
        (tunnel(3, 1, BOB, agent_name="Main"), LIKELY),
        (tunnel(3, 719, None), LIKELY),
        (tunnel(3, 719, BOB, code=403), CERTAIN),
        (tunnel(3, 719, BOB, agent_name="second"), CERTAIN),
        (tunnel(3, 719, BOB, workspace_id=OWNER), CERTAIN),
    ],
)
def test_nobody_is_certain_where_anybody_else_was_in_a_month(path: Path, other: Record, grade: str) -> None:
    """Bob's tunnel may be from long ago and still be used by him, with the id of Carol's client."""
    put(path, tunnel(1, 720, CAROL, client_session_id=CLIENT), session(2, 720.5, client_session_id=CLIENT), other)
    assert (answers(path)[2].grade, answers(path)[2].user_id) == (grade, CAROL)


def test_an_id_of_another_agent_is_no_answer_where_another_user_was_let_through(path: Path) -> None:
    put(path, tunnel(1, 2, CAROL, client_session_id=CLIENT, agent_name="other"))
    put(path, session(2, 2.5, client_session_id=CLIENT))
    assert (answers(path)[2].grade, answers(path)[2].user_id) == (LIKELY, CAROL)
    put(path, tunnel(3, 2, BOB))
    assert (answers(path)[2].grade, answers(path)[2].candidates) == (AMBIGUOUS, (CAROL, BOB))


def test_search_and_show_tell_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(path, tunnel(1, 1, BOB), session(2, 1.5), session(3, 30))
    keeper = NamesKeeper(path)
    keeper.learn([sighting(USER, BOB, 1, "t", username="bob"), sighting(USER, OWNER, 1, "t", username="olga")])
    keeper.close()
    assert main(["search", "type:ssh", "--index", str(path), "--output", "ndjson", "--sort", "time"]) == 0
    assert all("attribution" not in json.loads(line)["names"] for line in capsys.readouterr().out.splitlines())
    assert (
        main(["search", "type:ssh", "--index", str(path), "--output", "ndjson", "--sort", "time", "--attribution"]) == 0
    )
    first, second = (json.loads(line)["names"] for line in capsys.readouterr().out.splitlines())
    assert first == {
        "workspace_owner": "olga",
        "attributed_user": "bob",
        "attribution": "likely",
        "attribution_candidates": "bob",
        "attribution_evidence": "00000001-0000-4000-8000-000000000000",
    }
    assert second == {"workspace_owner": "olga", "attribution": "unknown", "attribution_candidates": "olga"}
    assert main(["search", "type:ssh", "--index", str(path), "--attribution"]) == 0
    assert "bob (likely)" in capsys.readouterr().out
    assert main(["search", "--index", str(path), "--attribution", "--events", "--output", "csv"]) == 0
    assert "likely" in capsys.readouterr().out

    assert main(["show", "00000002", "--index", str(path)]) == 0
    out = capsys.readouterr().out
    assert "attributed to: bob (likely: only this user was let through" in out
    assert "evidence:      00000001-0000-4000-8000-000000000000" in out
    assert main(["show", "00000003", "--index", str(path)]) == 0
    assert "attributed to: unknown: nobody was let through" in capsys.readouterr().out
    assert main(["show", "00000002", "--index", str(path), "--output", "ndjson"]) == 0
    assert json.loads(capsys.readouterr().out)["attribution"]["user_id"] == BOB
    assert main(["show", "00000001", "--index", str(path)]) == 0
    assert "attributed" not in capsys.readouterr().out
