"""The Coder double keeps to what is known of Coder: forms, paging, filters, errors, rate limit, rights, and faults."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import pytest

from shipper.extraction import Extractor
from shipper.record import Source
from shipper.resource import ROOT
from tests.coder import fault
from tests.coder.form import FUTURE, MAIN_OCTOBER, V2_29, V2_36, VERSIONS, Version
from tests.coder.loading import load_records
from tests.coder.scene import CONNECTION, DAY, Scene
from tests.coder.server import CoderServer
from tests.coder.world import User, World


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world) as server:
        yield server


def ask(
    coder: CoderServer, path: str, user: User | None, headers: dict[str, str] | None = None, **params: Any
) -> Reply:
    split = urlsplit(coder.url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=10)
    sent = dict(headers or {})
    if user is not None:
        sent["Coder-Session-Token"] = coder.world.token_of(user)
    connection.request("GET", f"/api/v2/{path}?{urlencode(params)}", headers=sent)
    answer = connection.getresponse()
    try:
        raw = answer.read()
    finally:
        answer.close()
        connection.close()
    try:
        body = json.loads(raw)
    except ValueError:
        body = raw
    return Reply(answer.status, body, dict(answer.getheaders()))


def log(coder: CoderServer, user: User | None, **params: Any) -> Any:
    reply = ask(coder, "connectionlog", user, **params)
    assert reply.status == 200, reply
    return reply.body


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
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=10)
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


# ---- rights --------------------------------------------------------------------------------------


def test_who_may_not_read_the_log_gets_an_empty_list_and_no_error(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(scene.event(1), scene.event(2, organization_id=scene.other.id))
    counts = {user.username: log(coder, user)["count"] for user in scene.world.users.values()}
    assert counts == {"alice": 2, "audrey": 2, "warden": 1, "bob": 0}


def test_an_auditor_lists_users_and_organizations_but_not_workspaces(scene: Scene, coder: CoderServer) -> None:
    def counts(user: User) -> tuple[int, int, int]:
        users = ask(coder, "users", user).body["users"]
        workspaces = ask(coder, "workspaces", user).body["workspaces"]
        return len(users), len(ask(coder, "organizations", user).body), len(workspaces)

    assert counts(scene.alice) == (4, 2, 1)
    assert counts(scene.auditor) == (4, 2, 0)
    assert counts(scene.bob) == (1, 1, 0)


def test_single_users_and_workspaces(scene: Scene, coder: CoderServer) -> None:
    assert ask(coder, f"users/{scene.bob.id}", scene.alice).body["username"] == "bob"
    assert ask(coder, "users/BOB", scene.alice).body["id"] == scene.bob.id
    assert ask(coder, "users/me", scene.auditor).body["roles"] == [{"name": "auditor", "display_name": "Auditor"}]
    hidden = ask(coder, f"users/{scene.alice.id}", scene.bob)
    assert hidden.status == 404
    assert hidden.body["message"] == "Resource not found or you do not have access to this resource"
    assert ask(coder, f"workspaces/{scene.dev.id}", scene.auditor).status == 404
    assert ask(coder, f"workspaces/{scene.dev.id}", scene.alice).body["template_name"] == "docker"
    scene.world.delete_workspace(scene.dev)
    assert ask(coder, f"workspaces/{scene.dev.id}", scene.alice).status == 410
    assert ask(coder, f"workspaces/{scene.dev.id}", scene.alice, include_deleted="true").status == 200


def test_deleted_users_are_listed_nowhere_and_their_tokens_end(scene: Scene, coder: CoderServer) -> None:
    scene.bob.deleted = True
    assert "bob" not in [user["username"] for user in ask(coder, "users", scene.alice).body["users"]]
    assert ask(coder, "users/me", scene.bob).status == 401


def test_users_are_paged_and_searched(scene: Scene, coder: CoderServer) -> None:
    body = ask(coder, "users", scene.alice, limit=2, offset=1).body
    assert [user["username"] for user in body["users"]] == ["audrey", "bob"]
    assert body["count"] == 4
    assert [u["username"] for u in ask(coder, "users", scene.alice, q="au").body["users"]] == ["audrey"]
    assert ask(coder, "users", scene.alice, q="nope:1").status == 400


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        (None, 'Cookie "coder_session_token" or query parameter must be provided.'),
        ("short", "Invalid API key format"),
        ("aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb", "API key is invalid."),
    ],
)
def test_401_says_what_is_wrong_with_the_token(coder: CoderServer, token: str | None, detail: str) -> None:
    reply = ask(coder, "connectionlog", None, headers={} if token is None else {"Coder-Session-Token": token})
    assert reply.status == 401
    assert detail in reply.body["detail"]


def test_a_token_may_come_as_cookie_or_parameter(scene: Scene, coder: CoderServer) -> None:
    token = scene.world.token_of(scene.alice)
    assert ask(coder, "users/me", None, headers={"Cookie": f"coder_session_token={token}"}).status == 200
    assert ask(coder, "users/me", None, coder_session_token=token).status == 200


def test_without_a_licence_the_log_is_forbidden(scene: Scene) -> None:
    with CoderServer(scene.world, licensed=False) as coder:
        reply = ask(coder, "connectionlog", scene.alice)
    assert reply.status == 403
    assert "Premium feature" in reply.body["message"]


def test_unknown_routes(scene: Scene, coder: CoderServer) -> None:
    assert ask(coder, "nothing", scene.alice).body == {"message": "Route not found."}


# ---- rate limit ----------------------------------------------------------------------------------


def test_the_rate_limit_slides_over_two_minutes_by_user_and_endpoint(scene: Scene) -> None:
    now = [600.0]
    with CoderServer(scene.world, limit=4, clock=lambda: now[0]) as coder:
        replies = [ask(coder, "users/me", scene.alice) for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 200, 429]
        assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["3", "2", "1", "0", "0"]
        assert {reply.headers["X-RateLimit-Reset"] for reply in replies} == {"660"}
        assert replies[-1].headers["Retry-After"] == "60"
        assert ask(coder, "users/me", scene.auditor).status == 200
        assert ask(coder, "organizations", scene.alice).status == 200
        assert ask(coder, "users/me", scene.alice, headers={"X-Coder-Bypass-Ratelimit": "true"}).status == 200
        now[0] = 660.0
        assert ask(coder, "users/me", scene.alice).status == 429
        now[0] = 690.0
        assert [ask(coder, "users/me", scene.alice).status for _ in range(3)] == [200, 200, 429]


def test_without_a_limit_there_are_no_headers(scene: Scene) -> None:
    with CoderServer(scene.world, limit=-1) as coder:
        assert "X-RateLimit-Limit" not in ask(coder, "users/me", scene.alice).headers


# ---- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502])
def test_a_fault_is_used_up_by_one_request_that_fits(scene: Scene, coder: CoderServer, status: int) -> None:
    coder.fail(fault.Fault("/api/v2/users", status, retry_after="7"))
    assert ask(coder, "organizations", scene.alice).status == 200
    reply = ask(coder, "users", scene.alice)
    assert reply.status == status
    assert reply.headers["Retry-After"] == "7"
    assert "message" in reply.body
    assert ask(coder, "users", scene.alice).status == 200


def test_a_cut_answer_ends_before_its_length(scene: Scene, coder: CoderServer) -> None:
    coder.fail(fault.cut())
    with pytest.raises(http.client.IncompleteRead):
        ask(coder, "users", scene.alice)


def test_garbage_and_pages_of_proxies(scene: Scene, coder: CoderServer) -> None:
    coder.fail(fault.garbage(b'{"users": 7'))
    assert ask(coder, "users", scene.alice).body == b'{"users": 7'
    coder.fail(fault.proxy_page())
    assert ask(coder, "users", scene.alice).headers["Content-Type"] == "text/html"


def test_a_slow_answer_is_a_sound_one(scene: Scene, coder: CoderServer) -> None:
    coder.fail(fault.slow(0.05))
    assert ask(coder, "users/me", scene.alice).status == 200


def test_retention_and_lost_rows(scene: Scene, coder: CoderServer) -> None:
    scene.world.log(*(scene.web(n, scene.bob) for n in range(6)))
    assert scene.world.purge(DAY + timedelta(seconds=2)) == 2
    assert scene.world.lose("00000004-0000-4000-8000-000000000000") == 1
    assert log(coder, scene.alice)["count"] == 3


# ---- the corpus ----------------------------------------------------------------------------------


def test_events_of_a_log_can_be_loaded() -> None:
    """The samples of this checkout: each connection and each web event is one row."""
    world = World()
    alice = world.user("alice", roles=("owner",))
    records = []
    for path in sorted((ROOT / "tests/samples").glob("*.log")):
        extractor = Extractor(Source(None, "file", path.name))
        records += extractor.feed(path.read_bytes()).records + extractor.flush(final=True).records
    assert load_records(world, records) == len(records) > 0
    keys = {(r.connection_id, r.workspace_id, r.agent_name) if r.connection_id else r.id for r in records}
    with CoderServer(world, version=FUTURE) as coder:
        rows = log(coder, alice, limit=100_000)["connection_logs"]
    assert len(rows) >= len(keys)
    assert {row["id"] for row in rows} <= {record.id for record in records}
