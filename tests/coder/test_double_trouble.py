"""The Coder double keeps to what is known of Coder: rights, errors, rate limit, and the faults it is told to have."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shipper.extraction import Extractor
from shipper.record import Source
from shipper.resource import root
from tests.coder import fault
from tests.coder.asking import ask, log
from tests.coder.form import FUTURE, REDUCED
from tests.coder.loading import load_records
from tests.coder.scene import DAY, Scene
from tests.coder.server import CoderServer
from tests.coder.world import User, World


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world) as server:
        yield server


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


def test_roles_are_told_of_the_site_and_of_organizations(scene: Scene, coder: CoderServer) -> None:
    assert ask(coder, "users/me/roles", scene.warden).body == {
        "roles": [], "organization_roles": {scene.other.id: ["organization-auditor"]},
    }  # fmt: skip
    assert ask(coder, f"users/{scene.warden.id}/roles", scene.bob).status == 404
    coder.version = REDUCED
    assert ask(coder, "users/me/roles", scene.alice).status == 404


def test_users_and_workspaces_of_late(scene: Scene, coder: CoderServer) -> None:
    scene.bob.last_seen_at = scene.dev.last_used_at = datetime(2026, 9, 1, tzinfo=UTC)
    for moment, count in (
        ("2026-09-01T00:00:00Z", 1),
        ("2026-09-01T02:00:00.000000001+02:00", 1),
        ("2026-09-02T00:00:00Z", 0),
    ):
        assert len(ask(coder, "users", scene.alice, q=f'last_seen_after:"{moment}"').body["users"]) == count
        assert len(ask(coder, "workspaces", scene.alice, q=f'last_used_after:"{moment}"').body["workspaces"]) == count
    assert ask(coder, "users", scene.alice, q="last_seen_after:yesterday").status == 400
    assert ask(coder, "workspaces", scene.alice, q="color:red").status == 400
    coder.version = REDUCED
    assert ask(coder, "users", scene.alice, q='last_seen_after:"2026-09-01T00:00:00Z"').status == 400


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
    for path in sorted((Path(root()) / "tests/samples").glob("*.log")):
        extractor = Extractor(Source(None, "file", path.name))
        records += extractor.feed(path.read_bytes()).records + extractor.flush(final=True).records
    assert load_records(world, records) == len(records) > 0
    keys = {(r.connection_id, r.workspace_id, r.agent_name) if r.connection_id else r.id for r in records}
    with CoderServer(world, version=FUTURE) as coder:
        rows = log(coder, alice, limit=100_000)["connection_logs"]
    assert len(rows) >= len(keys)
    assert {row["id"] for row in rows} <= {record.id for record in records}


# ---- by hand -------------------------------------------------------------------------------------


def test_it_can_be_started_by_hand_with_the_events_of_a_log(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.coder",
        str(Path(root()) / "tests/samples/coderd.log"),
        "--folder",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, "--version", "v2.36"], stdout=subprocess.PIPE, text=True, cwd=root()) as process:
        assert process.stdout is not None
        try:
            said = [process.stdout.readline() for _ in range(6)]
            url = said[1].split(" at ")[1].strip()
            token = (tmp_path / "audrey.token").read_text().strip()
            assert (tmp_path / "audrey.token").stat().st_mode & 0o777 == 0o600
            split = urlsplit(url)
            connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=30)
            connection.request("GET", "/api/v2/connectionlog?q=bad:1", headers={"Coder-Session-Token": token})
            assert connection.getresponse().status == 400
            connection.close()
            assert process.stdout.readline() == "400 GET /api/v2/connectionlog q=bad:1\n"
        finally:
            process.terminate()
            process.wait(30)
