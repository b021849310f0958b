"""Names follow the events by themselves: a Coder that is down, slow or closed stops nothing and is told of."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.config.settings import Coder
from shipper.index import IndexReader, IndexWriter
from shipper.query import parse_query
from shipper.record import Record
from shipper.service import naming as naming_module
from shipper.service.naming import Naming
from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer

if TYPE_CHECKING:
    from tests.service.conftest import Service

DEADLINE_SECONDS = 60.0


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[IndexWriter]:
    writer = IndexWriter(tmp_path / "index.db")
    yield writer
    writer.close()


@pytest.fixture
def naming(scene: Scene, coder: CoderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Naming]:
    monkeypatch.setattr(naming_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(naming_module, "BACKOFF_MIN_SECONDS", 0.05)
    (tmp_path / "token").write_text(scene.world.token_of(scene.alice))
    settings = Coder(url=coder.url, token_file=tmp_path / "token", timeout_seconds=5.0, refresh_seconds=3600)
    thread = Naming(settings, tmp_path / "index.db")
    yield thread
    thread.stop()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def put(writer: IndexWriter, seq: int, user_id: str) -> None:
    record = Record(1, str(uuid.uuid4()), "2026-09-01T10:00:00.000000000Z", "connected", type="ssh", user_id=user_id)
    writer.add(seq, [record], [b""], stored_ns=1)


def found(tmp_path: Path, query: str) -> int:
    reader = IndexReader(tmp_path / "index.db")
    try:
        answer = reader.search(
            parse_query(query, 0), events=False, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0
        )
        return len(answer.rows)
    finally:
        reader.close()


def test_all_names_at_the_start_and_an_unknown_id_at_once(
    scene: Scene, coder: CoderServer, writer: IndexWriter, naming: Naming, tmp_path: Path
) -> None:
    put(writer, 1, scene.bob.id)
    naming.start()
    wait_for(lambda: found(tmp_path, "username:bob") == 1)
    wait_for(lambda: naming.status.last_success is not None)
    lists = coder.paths().count("/api/v2/users")
    carol = scene.world.user("carol")
    put(writer, 2, carol.id)
    wait_for(lambda: found(tmp_path, "username:carol") == 1)
    assert coder.paths().count("/api/v2/users") == lists, "one user is asked for, not all again"


def test_an_id_that_coder_does_not_know_is_asked_for_once(
    scene: Scene, coder: CoderServer, writer: IndexWriter, naming: Naming
) -> None:
    ghost = str(uuid.uuid4())
    naming.start()
    wait_for(lambda: naming.status.last_success is not None)
    put(writer, 1, ghost)
    wait_for(lambda: f"/api/v2/users/{ghost}" in coder.paths())
    put(writer, 2, scene.world.user("dave").id)
    wait_for(lambda: naming.status.learnt_count > 0 and naming.status.open_count == 0)
    before = len(coder.paths())
    put(writer, 3, ghost)
    put(writer, 4, erin := scene.world.user("erin").id)
    wait_for(lambda: f"/api/v2/users/{erin}" in coder.paths())
    assert coder.paths()[before:].count(f"/api/v2/users/{ghost}") == 0


@pytest.mark.parametrize("broken", [fault.unauthorized(), fault.forbidden(), fault.proxy_page(), fault.cut()])
def test_a_coder_that_fails_is_told_of_and_names_follow_when_it_is_back(
    scene: Scene, coder: CoderServer, writer: IndexWriter, naming: Naming, tmp_path: Path, broken: fault.Fault
) -> None:
    put(writer, 1, scene.bob.id)
    coder.fail(broken, times=8)
    naming.start()
    wait_for(lambda: naming.status.failures_count > 0)
    assert naming.status.last_error is not None
    assert scene.world.token_of(scene.alice) not in naming.status.last_error
    wait_for(lambda: found(tmp_path, "username:bob") == 1)
    wait_for(lambda: naming.status.last_error is None)


def test_a_stop_ends_it_while_it_waits_for_coder(
    coder: CoderServer, writer: IndexWriter, naming: Naming, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder.fail(fault.limited(retry_after="60"), times=99)
    naming.start()
    wait_for(lambda: bool(coder.paths()))
    naming.stop()
    assert not naming._thread.is_alive()
    assert not naming.pulse.stalled(float("inf"))


def test_a_pulse_beats_as_long_as_one_answer_may_take(naming: Naming) -> None:
    naming.pulse.beat(naming.settings.timeout_seconds)
    assert not naming.pulse.stalled(time.monotonic() + naming.settings.timeout_seconds)


def test_many_unknown_ids_are_one_sync_and_the_memory_of_them_is_bounded(
    naming: Naming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming_module, "OPEN_MAX_COUNT", 10)
    naming.want(("user", str(uuid.uuid4())) for _ in range(99))
    assert len(naming._wanted) == 10


def test_the_daemon_asks_tells_and_ends(scene: Scene, coder: CoderServer, service: Service, tmp_path: Path) -> None:
    scene.world.organization("acme", id=str(uuid.UUID(int=7)))
    token = tmp_path / "token"
    token.write_text(scene.world.token_of(scene.auditor))
    text = service.config.read_text()
    service.config.write_text(f'{text}[coder]\nurl = "{coder.url}"\ntoken_file = "{token}"\ntimeout = "5s"\n')
    service.write(3)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the events")
    service.wait_for(lambda: bool((service.status().get("names") or {}).get("last_success")), "names")  # type: ignore[attr-defined]
    assert found(service.state, "organization:acme") == 3
    names = json.loads(json.dumps(service.status()["names"]))
    assert names["url"] == coder.url
    assert any("workspaces" in note for note in names["notes"])
    assert service.end() == 0
    assert token.read_text() not in service.said()


def test_a_daemon_whose_coder_is_away_ships_all_the_same(service: Service, scene: Scene) -> None:
    server = CoderServer(scene.world)
    with server:
        pass
    text = service.config.read_text()
    service.config.write_text(f'{text}[coder]\nurl = "{server.url}"\n')
    service.write(5)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 5, "the events")
    service.wait_for(lambda: bool((service.status().get("names") or {}).get("last_error")), "the trouble")  # type: ignore[attr-defined]
    assert service.end() == 0
