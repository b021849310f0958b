"""A sync asks for what may be new, finds everything in the end, and takes nobody for deleted who is not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.coder.answer import UserRoles
from shipper.coder.client import CoderClient
from shipper.coder.right import ALL, OWN, SOME, rights
from shipper.config.settings import Coder
from shipper.directory.sighting import USER, WORKSPACE
from shipper.directory.sync import Synced, sync
from shipper.errors import RemoteError
from shipper.index.names import NamesKeeper
from shipper.timestamp import to_ns
from tests.coder import fault
from tests.coder.form import REDUCED
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.coder.world import User

DAY = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAY_NS = to_ns("2026-09-01T12:00:00.000000000Z")
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[NamesKeeper]:
    keeper = NamesKeeper(tmp_path / "index.db")
    yield keeper
    keeper.close()


@pytest.fixture
def settings(scene: Scene, coder: CoderServer, tmp_path: Path) -> Coder:
    path = tmp_path / "token"
    path.write_text(scene.world.token_of(scene.alice))
    return Coder(url=coder.url, token_file=path, timeout_seconds=5.0)


def run(settings: Coder, keeper: NamesKeeper, hours: float = 0.0, every_hours: int | None = 24) -> Synced:
    every_ns = None if every_hours is None else every_hours * HOUR_NS
    with CoderClient(settings) as client:
        return sync(client, keeper, DAY_NS + int(hours * HOUR_NS), whole_every_ns=every_ns)


def called(keeper: NamesKeeper, user: User, attribute: str = "username", hours: float = 99.0) -> str | None:
    return keeper.directory.value(USER, user.id, attribute, DAY_NS + int(hours * HOUR_NS))


def rename(user: User, name: str, hours: float, *, seen: bool) -> None:
    user.username = name
    user.updated_at = DAY + timedelta(hours=hours)
    if seen:
        user.last_seen_at = user.updated_at


def test_the_first_is_whole_and_the_next_ask_only_for_those_of_late(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper
) -> None:
    assert run(settings, keeper).users == 4
    assert coder.paths().count("/api/v2/users") == 1
    rename(scene.bob, "robert", 5, seen=True)
    rename(scene.warden, "guard", 5, seen=False)
    scene.dev.name, scene.dev.last_used_at = "lab", DAY + timedelta(hours=5)
    coder.forget()
    done = run(settings, keeper, 6)
    assert (done.whole, done.users, done.workspaces) == (False, 1, 1)
    (asked,) = (one for one in coder.asked if one.path == "/api/v2/users")
    assert asked.parameters["q"] == 'last_seen_after:"2026-09-01T10:00:00.000000000Z"'
    assert (called(keeper, scene.bob), called(keeper, scene.warden)) == ("robert", "warden")
    assert keeper.directory.value(WORKSPACE, scene.dev.id, "name", DAY_NS + 99 * HOUR_NS) == "lab"
    assert called(keeper, scene.bob, hours=4.9) == "bob"
    assert called(keeper, scene.bob, hours=5.1) == "robert"
    assert run(settings, keeper, 25).whole
    assert called(keeper, scene.warden) == "guard"


def test_a_deleted_user_is_found_by_the_next_whole_sync_and_keeps_the_name(
    scene: Scene, settings: Coder, keeper: NamesKeeper
) -> None:
    run(settings, keeper)
    scene.bob.deleted = True
    assert run(settings, keeper, 1).deleted == 0
    assert called(keeper, scene.bob, "status") == "active"
    assert run(settings, keeper, 25).deleted == 1
    assert (called(keeper, scene.bob, "status"), called(keeper, scene.bob)) == ("deleted", "bob")
    heir = scene.world.user("bob", last_seen_at=DAY + timedelta(hours=25))
    run(settings, keeper, 26)
    assert {one.id for one in keeper.directory.matches(USER, "username", ["bob"])} == {scene.bob.id, heir.id}


def test_where_coder_can_not_be_asked_for_those_of_late_all_are_read_and_that_is_told(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper
) -> None:
    coder.version = REDUCED
    run(settings, keeper)
    rename(scene.bob, "robert", 1, seen=False)
    done = run(settings, keeper, 1)
    assert done.users == 4
    assert any(note.startswith("users: this Coder can't be asked for those of late") for note in done.notes)
    assert called(keeper, scene.bob) == "robert"


@pytest.mark.parametrize("change", ["token", "url", "clock"])
def test_what_another_token_coder_or_clock_gave_is_no_beginning(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper, change: str
) -> None:
    run(settings, keeper)
    assert not run(settings, keeper, 1).whole
    assert settings.token_file is not None
    if change == "token":
        settings.token_file.write_text(scene.world.token_of(scene.auditor))
        assert run(settings, keeper, 2).whole
    elif change == "url":
        assert run(replace(settings, url=coder.url.replace("localhost", "127.0.0.1")), keeper, 2).whole
    else:
        assert run(settings, keeper, -5).whole


def test_who_slides_over_the_edge_of_a_page_is_not_taken_for_deleted(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first page one of its users is deleted, so that another is in no page at all."""
    monkeypatch.setattr("shipper.coder.walk.PAGE_COUNT", 50)
    users = [scene.world.user(f"u{number:03d}") for number in range(120)]
    run(settings, keeper)
    answer = coder.answer

    def changing(path: str, parameters: dict[str, str], me: User) -> object:
        body = answer(path, parameters, me)
        if path == "/api/v2/users" and parameters.get("offset") == "0":
            users[0].deleted = True
        return body

    monkeypatch.setattr(coder, "answer", changing)
    assert run(settings, keeper, 25).deleted == 0, "the first page still had the one who is"
    assert {called(keeper, user, "status") for user in users} == {"active"}
    assert run(settings, keeper, 50).deleted == 1


def test_who_comes_twice_over_the_pages_is_counted_once(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.coder.walk.PAGE_COUNT", 50)
    for number in range(120):
        scene.world.user(f"u{number:03d}")
    answer = coder.answer

    def changing(path: str, parameters: dict[str, str], me: User) -> object:
        body = answer(path, parameters, me)
        if path == "/api/v2/users" and parameters.get("offset") == "0":
            scene.world.user("aaa")
        return body

    monkeypatch.setattr(coder, "answer", changing)
    assert run(settings, keeper).users == 124


@pytest.mark.parametrize("broken", [fault.broken(), fault.cut(), fault.garbage(b"{}"), fault.proxy_page()])
def test_a_sync_that_ended_early_is_no_beginning_for_the_next(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper, broken: fault.Fault
) -> None:
    coder.fail(replace(broken, path="/api/v2/workspaces"), times=9)
    with pytest.raises(RemoteError):
        run(settings, keeper)
    coder.faults.clear()
    assert run(settings, keeper, 1).whole


# ---- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (UserRoles(["owner"]), [ALL, ALL, ALL, ALL]),
        (UserRoles(["auditor"]), [ALL, ALL, OWN, ALL]),
        (UserRoles(["user-admin"]), [ALL, OWN, OWN, OWN]),
        (UserRoles(["template-admin"]), [OWN, OWN, ALL, OWN]),
        (UserRoles([], {"o1": ["organization-auditor"]}), [OWN, OWN, OWN, SOME]),
        (UserRoles([], {"o1": ["organization-admin"], "o2": []}), [OWN, OWN, SOME, SOME]),
        (UserRoles(), [OWN, OWN, OWN, OWN]),
    ],
)
def test_each_role_opens_what_it_opens(roles: UserRoles, expected: list[str]) -> None:
    found = rights(roles, {"o1": "acme"})
    assert [one.scope for one in found.values()] == expected
    for one in found.values():
        assert bool(one.advice) is (one.scope != ALL)
        assert one.of == (("acme",) if one.scope == SOME else ())


@pytest.mark.parametrize("broken", [fault.missing(), fault.forbidden(), fault.garbage(b'{"roles":[{"name":"x"}]}')])
def test_where_roles_can_not_be_asked_for_those_of_the_site_count(
    scene: Scene, coder: CoderServer, settings: Coder, keeper: NamesKeeper, broken: fault.Fault
) -> None:
    coder.fail(replace(broken, path="/api/v2/users/me/roles"))
    done = run(settings, keeper)
    assert done.roles == ["owner"]
    assert done.notes == []


def test_a_role_in_an_organization_is_looked_up_and_told(scene: Scene, settings: Coder, keeper: NamesKeeper) -> None:
    assert settings.token_file is not None
    settings.token_file.write_text(scene.world.token_of(scene.warden))
    scene.world.log(scene.web(1, scene.bob, organization_id=scene.other.id, time=DAY - timedelta(days=1)))
    done = run(settings, keeper)
    assert done.roles == ["organization-auditor of other"]
    assert done.rows == 1
    assert "connection log: only those of other; an Auditor's or an Owner's reads all of it" in done.notes
    assert called(keeper, scene.bob) == "bob"
