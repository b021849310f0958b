"""The Coder double keeps to what is known of Coder: the forms of rows, paging and filters."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.coder.asking import ask, log
from tests.coder.form import MAIN_OCTOBER, V2_29, V2_36, VERSIONS, Version
from tests.coder.scene import CONNECTION, DAY, Scene
from tests.coder.server import CoderServer


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world) as server:
        yield server


# ---- rows ----------------------------------------------------------------------------------------


def test_a_connection_is_one_row_with_the_id_of_its_first_event(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(
        scene.event(1, connection_id=CONNECTION, ip="fd7a:115c:a1e0::1"),
        scene.event(9, connection_id=CONNECTION, status="disconnected", code=0, disconnect_reason="done"),
    )
    body = log(coder, scene.alice)
    assert body["count"] == 1
    assert body["count_cap"] == 2000
    row = body["connection_logs"][0]
    assert row["id"].startswith("00000001")
    assert row["connect_time"] == "2026-09-01T10:00:01Z"
    assert row["organization"] == {"id": scene.org.id, "name": "coder", "display_name": "Coder", "icon": ""}
    assert row["ssh_info"] == {
        "connection_id": CONNECTION,
        "disconnect_time": "2026-09-01T10:00:09Z",
        "disconnect_reason": "done",
        "exit_code": 0,
    }
    assert "web_info" not in row


def test_what_is_not_known_of_a_session_is_left_out(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(scene.event(1, connection_id=CONNECTION))
    row = log(coder, scene.alice)["connection_logs"][0]
    assert row["ssh_info"] == {"connection_id": CONNECTION}
    assert "ip" not in row


def test_a_disconnect_before_its_connect_makes_the_row_and_only_the_batch_writer_mends_its_time() -> None:
    for writer, second in (("batch", 1), ("single", 9)):
        scene = Scene(writer)
        scene.world.log(scene.event(9, connection_id=CONNECTION, status="disconnected"))
        scene.world.log(scene.event(1, connection_id=CONNECTION))
        (row,) = scene.world.rows
        assert row.id.startswith("00000009")
        assert row.connect_time == DAY + timedelta(seconds=second)


def test_each_web_event_is_a_row_with_its_user(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(scene.web(1, scene.bob), scene.web(2, None, code=303))
    second, first = log(coder, scene.auditor)["connection_logs"]
    assert second["web_info"]["user"] is None
    assert second["web_info"]["status_code"] == 303
    assert first["web_info"]["user"]["username"] == "bob"
    assert first["web_info"]["user"]["organization_ids"] == []
    assert "ssh_info" not in first


def test_a_user_gone_from_the_table_is_an_object_of_empty_texts(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(scene.web(1, scene.bob))
    scene.bob.gone = True
    user = log(coder, scene.alice)["connection_logs"][0]["web_info"]["user"]
    assert (user["id"], user["username"], user["email"]) == (scene.bob.id, "", "")
    assert user["created_at"] == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_each_version_has_its_keys(scene: Scene, version: Version) -> None:
    scene.world.log(scene.event(1, connection_id=CONNECTION, app="vscode"))
    with CoderServer(scene.world, version=version) as coder:
        body = log(coder, scene.alice)
        info = ask(coder, "buildinfo", None)
    row = body["connection_logs"][0]
    assert ("count_cap" in body) is version.capped
    assert ("type_display_name" in row) is version.display
    assert ("connection_method" in row) is version.methods
    assert ("client_hostname" in row) is version.unknown
    assert info.body["version"] == version.name
    assert info.headers["X-Coder-Build-Version"] == version.name


def test_json_is_escaped_as_go_escapes_it(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(scene.web(1, scene.bob, user_agent="<a>&b"))
    split = urlsplit(coder.url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=60)
    connection.request(
        "GET", "/api/v2/connectionlog", headers={"Coder-Session-Token": scene.world.token_of(scene.alice)}
    )
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    assert rb"\u003ca\u003e\u0026b" in raw
    assert raw.endswith(b"\n")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


# ---- paging --------------------------------------------------------------------------------------


def test_pages_are_100_by_default_newest_first_and_the_count_is_capped(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(*(scene.web(n, scene.bob) for n in range(2100)))
    assert log(coder, scene.alice) == log(coder, scene.alice, limit=0)
    body = log(coder, scene.alice)
    assert len(body["connection_logs"]) == 100
    assert body["count"] == 2001
    assert body["connection_logs"][0]["id"].startswith("00002099")
    assert len(log(coder, scene.alice, limit=2100)["connection_logs"]) == 2100
    beyond = log(coder, scene.alice, offset=5000)
    assert (beyond["connection_logs"], beyond["count"]) == ([], 2001)
    coder.version = V2_29
    assert log(coder, scene.alice)["count"] == 2100


def test_nothing_found_is_an_empty_list(scene: Scene, coder: CoderServer) -> None:
    assert log(coder, scene.alice) == {"connection_logs": [], "count": 0, "count_cap": 2000}


@pytest.mark.parametrize("params", [{"limit": "-1"}, {"limit": "x"}, {"offset": "99999999999"}, {"after_id": "no"}])
def test_a_bad_page_is_refused_with_its_parameter(scene: Scene, coder: CoderServer, params: dict[str, Any]) -> None:
    reply = ask(coder, "connectionlog", scene.alice, **params)
    assert reply.status == 400
    assert reply.body["message"] == "Query parameters have invalid values."
    assert [one["field"] for one in reply.body["validations"]] == list(params)


# ---- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {1, 2, 3, 4}),
        ("username:BOB", {2}),
        ("username:nobody", set()),
        ("username:me", set()),
        ("workspace_owner:me", {1, 2, 3, 4}),
        ("workspace_owner:alice", {1, 2, 3, 4}),
        ("workspace_owner_email:Alice@example.com", {1, 2, 3, 4}),
        ("user_email:bob@example.com", {2}),
        ("organization:coder", {1, 2, 3, 4}),
        ("type:ssh", {1, 4}),
        ("status:ongoing", {4}),
        ("status:completed", {1}),
        ("status:ongoing type:ssh", {4}),
        (f"connection_id:{CONNECTION}", {1}),
        ('connected_after:"2026-09-01T10:00:03Z"', {3, 4}),
        ('connected_before:"2026-09-01t10:00:02z"', {1, 2}),
        ('connected_after:"2026-09-01T12:00:02+02:00" connected_before:"2026-09-01T10:00:03Z"', {2, 3}),
    ],
)
def test_filters(scene: Scene, coder: CoderServer, query: str, found: set[int]) -> None:
    scene.world.log(
        scene.event(1, connection_id=CONNECTION),
        scene.web(2, scene.bob),
        scene.web(3, None),
        scene.event(4, connection_id="dddddddd-0000-4000-8000-00000000000d"),
        scene.event(8, connection_id=CONNECTION, status="disconnected"),
    )
    rows = log(coder, scene.alice, q=query)["connection_logs"]
    assert {int(row["id"][:8]) for row in rows} == found


@pytest.mark.parametrize(
    ("query", "field", "detail"),
    [
        (
            "organization:x",
            "organization",
            'organization "x" either does not exist, or you are unauthorized to view it',
        ),
        ("type:x", "type", '"x" is not a valid value'),
        ("type:tunnel", "type", '"tunnel" is not a valid value'),
        ("status:open", "status", '"open" is not a valid value'),
        ("method:ssh", "method", 'Query param "method" is not a valid query param'),
        ("started_after:1", "started_after", 'Query param "started_after" is not a valid query param'),
        ("word", "search", 'Query param "search" is not a valid query param'),
        ("type:", "q", "cannot start or end with ':'"),
        ("a:b:c", "q", "can only contain 1 ':'"),
        ("connected_after:2026-09-01T10:00:00Z", "q", "can only contain 1 ':'"),
        ("connected_after:yesterday", "connected_after", "must be a valid date format"),
        ("workspace_id:x", "workspace_id", 'Query param "workspace_id" must be a valid uuid'),
        ("type:ssh type:ssh", "type", "provided more than once, found 2 times"),
    ],
)
def test_a_bad_query_is_refused_with_its_field(
    scene: Scene, coder: CoderServer, query: str, field: str, detail: str
) -> None:
    reply = ask(coder, "connectionlog", scene.alice, q=query)
    assert reply.status == 400
    assert reply.body["message"] == "Invalid connection search query."
    (problem,) = reply.body["validations"]
    assert problem["field"] == field
    assert detail in problem["detail"]


def test_newer_versions_know_newer_filters(scene: Scene) -> None:
    scene.world.log(scene.web(1, scene.bob, type="tunnel", code=101, slug_or_port=""), scene.event(2, app="cursor"))
    with CoderServer(scene.world, version=V2_36) as coder:
        assert log(coder, scene.alice, q="type:tunnel")["count"] == 1
    with CoderServer(scene.world, version=MAIN_OCTOBER) as coder:
        assert log(coder, scene.alice, q="method:ssh app:cursor")["count"] == 1
