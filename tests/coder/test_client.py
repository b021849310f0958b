"""The client gets every list whole, whatever the version and the moment."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shipper import timestamp
from shipper.coder.answer import Organization
from shipper.coder.client import CoderClient
from shipper.coder.walk import Walked, find_rows, list_organizations, walk_log, walk_users, walk_workspaces
from shipper.config.settings import Coder
from tests.coder import fault
from tests.coder.form import VERSIONS, Version
from tests.coder.scene import CONNECTION, DAY, Scene
from tests.coder.server import CoderServer

END_NS = timestamp.to_ns("2027-01-01T00:00:00.000000000Z")


def numbers(client: CoderClient, walked: Walked | None = None, since_ns: int | None = None) -> list[int]:
    return [int(row.row.id[:8]) for row in walk_log(client, since_ns, END_NS, walked or Walked())]


# ---- lists ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_every_version_is_read(scene: Scene, coder: CoderServer, settings: Coder, version: Version) -> None:
    coder.version = version
    scene.world.log(scene.event(1, connection_id=CONNECTION), scene.web(2, scene.bob), scene.web(3, None, code=303))
    with CoderClient(settings) as client:
        third, second, first = walk_log(client, None, END_NS, Walked())
        assert client.build_info().version == version.name
        assert client.me().username == "alice"
    assert third.row.web_info is not None
    assert third.row.web_info.user is None
    assert second.row.web_info is not None
    assert second.row.web_info.user is not None
    assert second.row.web_info.user.email == "bob@example.com"
    assert first.row.ssh_info is not None
    assert first.row.ssh_info.connection_id == CONNECTION
    assert first.row.organization.name == "coder"


@pytest.mark.parametrize("page_max", [None, 7])
def test_a_walk_gives_each_row_once_beyond_the_cap_and_with_equal_times(
    scene: Scene, coder: CoderServer, settings: Coder, page_max: int | None
) -> None:
    coder.page_max = page_max
    same = DAY + timedelta(seconds=500)
    count = 2400 if page_max is None else 240
    scene.world.log(
        *(scene.web(n, scene.bob, time=same if n % 3 == 0 else DAY + timedelta(seconds=n)) for n in range(count))
    )
    walked = Walked()
    with CoderClient(settings) as client:
        assert sorted(numbers(client, walked)) == list(range(count))
    assert walked.rows == count


def test_rows_that_come_meanwhile_hide_none(scene: Scene, coder: CoderServer, settings: Coder) -> None:
    scene.world.log(*(scene.web(n, scene.bob) for n in range(250)))
    found = []
    with CoderClient(settings) as client:
        for row in walk_log(client, None, END_NS, Walked()):
            found.append(int(row.row.id[:8]))
            scene.world.log(scene.web(1000 + len(found), scene.bob))
    assert set(range(250)) <= set(found)
    assert len(found) == len(set(found))


def test_a_range_has_both_its_ends(scene: Scene, coder: CoderServer, settings: Coder) -> None:
    scene.world.log(*(scene.web(n, scene.bob) for n in range(9)))
    since = timestamp.to_ns("2026-09-01T10:00:03.000000000Z")
    with CoderClient(settings) as client:
        found = [row.row.id[7] for row in walk_log(client, since, since + 2_000_000_000, Walked())]
        assert [row.row.id[7] for row in find_rows(client, "username:bob status:ongoing")] == []
    assert found == ["5", "4", "3"]


def test_a_row_that_is_none_is_counted_and_takes_no_other_along(
    scene: Scene, coder: CoderServer, settings: Coder
) -> None:
    rows = (
        b'{"id":"x","connect_time":"2026-09-01T10:00:00Z"}',
        b'{"connect_time":7}',
        b"null",
        b'{"id":"%s","connect_time":"yesterday"}',
    )
    good = b'{"id":"00000007-0000-4000-8000-000000000000","connect_time":"2026-09-01T10:00:00.1Z","new":{}}'
    coder.fail(fault.garbage(b'{"connection_logs":[%s],"count":5}' % b",".join((*rows, good))))
    walked = Walked()
    with CoderClient(settings) as client:
        assert numbers(client, walked) == [7]
    assert walked.bad == 4
    assert len(walked.problems) == 4


def test_users_organizations_and_workspaces(scene: Scene, coder: CoderServer, settings: Coder) -> None:
    for number in range(230):
        scene.world.workspace(f"w{number}", scene.world.user(f"u{number:03d}"), scene.org)
    with CoderClient(settings) as client:
        assert len({user.id for user in walk_users(client)}) == 234
        assert len({one.id for one in walk_workspaces(client)}) == 231
        assert Organization(scene.other.id, "other", "") in list_organizations(client)
