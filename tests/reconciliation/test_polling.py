"""The input coder_api fills what the log has lost, once, late enough, and stops nothing when Coder fails."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shipper.config import FileInput, load_config
from shipper.config.inputs import CoderApiInput
from shipper.config.settings import Coder
from shipper.errors import ConfigError
from shipper.index import IndexReader
from shipper.inputs.input import Turn
from shipper.journal import FeedPosition, Piece
from shipper.query import parse_query
from shipper.reconciliation import polling as polling_module
from shipper.reconciliation.polling import CoderApi
from shipper.record import Record, encoded
from shipper.service.backfill import Backfill
from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.coder.world import Event

WATCH = CoderApiInput(poll_seconds=60, settle_seconds=600, look_back_seconds=7200)
SECOND_NS = 1_000_000_000


class Clock:
    """The time that the input is told."""

    def __init__(self) -> None:
        self.ns = time.time_ns()

    def __call__(self) -> int:
        return self.ns

    def pass_(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path, coder: CoderServer, scene: Scene) -> Path:
    (tmp_path / "token").write_text(scene.world.token_of(scene.auditor))
    path = tmp_path / "connlog.toml"
    path.write_text(
        f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "{coder.url}"\ntoken_file = "token"\ntimeout = "5s"\n'
        '[[input]]\ntype = "coder_api"\npoll = "10s"\nsettle = "1s"\n[metrics]\nlisten = ""\n'
    )
    take(path, [])
    return path


def take(config: Path, records: list[Record]) -> None:
    piece = Piece(
        "t", [encoded(one) for one in records], [b"x"] * len(records), entries=len(records), lines=len(records)
    )
    Backfill(load_config(config), [], FileInput(paths=()), lambda _: None).take([piece])


def make(config: Path, clock: Clock, position: FeedPosition | None = None, behind: bool = False) -> CoderApi:
    coder: Coder = load_config(config).coder
    return CoderApi(WATCH, coder, config.parent / "index.db", position, "host", lambda: behind, clock)


def turns(one: CoderApi) -> list[Turn]:
    """Turns until it rests."""
    found = [one.turn(0.0, woken=False)]
    deadline = time.monotonic() + 30
    while found[-1].busy or one.view().feeds[0].state == "reading":
        assert time.monotonic() < deadline
        if not found[-1].busy:
            one.rest(0.05)
        found.append(one.turn(0.0, woken=False))
    return found


def events(found: list[Turn]) -> list[Record]:
    return [one.record() for turn in found for piece in turn.batch.pieces for one in piece.encoded]


def ago(clock: Clock, seconds: float) -> datetime:
    return datetime.fromtimestamp(clock.ns / 1e9, UTC) - timedelta(seconds=seconds)


def test_it_takes_what_is_old_enough_once_the_log_had_its_chance(config: Path, scene: Scene, clock: Clock) -> None:
    scene.world.log(
        scene.web(1, scene.bob, time=ago(clock, 3600)),
        scene.web(2, scene.bob, time=ago(clock, 7200 + 3700)),
        scene.web(3, scene.bob, time=ago(clock, 30)),
    )
    one = make(config, clock)
    assert events(turns(one)) == []
    clock.pass_(601)
    found = turns(one)
    (record,) = (record for record in events(found) if record.id.startswith("00000001"))
    assert (record.log.format, record.source.input) == ("api", "coder_api")
    assert not any(record.id.startswith("00000002") for record in events(found)), "older than look_back"
    positions = [position for turn in found for position in turn.batch.feeds]
    assert positions[-1].time_ns == clock.ns - 600 * SECOND_NS
    assert [position.time_ns for position in positions] == sorted(position.time_ns for position in positions)
    assert one.view().feeds[0].state == "waiting"


def test_it_goes_on_from_its_position_and_waits_between_polls(config: Path, scene: Scene, clock: Clock) -> None:
    clock_begin = clock.ns
    scene.world.log(scene.web(1, scene.bob, time=ago(clock, 6000)))
    url = load_config(config).coder.url
    one = make(config, clock, FeedPosition("coder_api", cursor=url, time_ns=clock_begin - 1000 * SECOND_NS))
    clock.pass_(601)
    assert events(turns(one)) == [], "an hour behind the position at most"
    scene.world.log(scene.web(2, scene.bob, time=ago(clock, 700)))
    assert events(turns(one)) == [], "not due yet"
    clock.pass_(61)
    assert [record.id[:8] for record in events(turns(one))] == ["00000002"]


def test_a_position_of_another_coder_is_none(config: Path, scene: Scene, clock: Clock) -> None:
    scene.world.log(scene.web(1, scene.bob, time=ago(clock, 6000)))
    one = make(config, clock, FeedPosition("coder_api", cursor="https://other", time_ns=clock.ns))
    clock.pass_(601)
    assert len(events(turns(one))) == 1


def test_nothing_is_asked_while_the_index_is_behind(
    config: Path, scene: Scene, coder: CoderServer, clock: Clock
) -> None:
    one = make(config, clock, behind=True)
    clock.pass_(601)
    assert not turns(one)[0].busy
    assert coder.paths() == []


@pytest.mark.parametrize(
    "broken", [fault.unauthorized(), fault.forbidden(), fault.broken(), fault.proxy_page(), fault.cut()]
)
def test_a_coder_that_fails_is_a_trouble_and_asked_again_later(
    config: Path, scene: Scene, coder: CoderServer, clock: Clock, broken: fault.Fault
) -> None:
    scene.world.log(scene.web(1, scene.bob, time=ago(clock, 3600)))
    one = make(config, clock)
    clock.pass_(601)
    coder.fail(broken)
    assert events(turns(one)) == []
    (trouble,) = one.view().troubles.values()
    assert trouble.startswith(f"coder_api: {coder.url}")
    asked = len(coder.paths())
    assert events(turns(one)) == []
    assert len(coder.paths()) == asked
    clock.pass_(61)
    assert len(events(turns(one))) == 1
    assert one.view().troubles == {}


def test_a_retry_after_is_obeyed_beyond_the_next_poll(
    config: Path, scene: Scene, coder: CoderServer, clock: Clock
) -> None:
    scene.world.log(scene.web(1, scene.bob, time=ago(clock, 3600)))
    one = make(config, clock)
    clock.pass_(601)
    coder.fail(fault.limited(retry_after="600"))
    assert events(turns(one)) == []
    clock.pass_(599)
    turns(one)
    assert len(coder.paths()) == 1
    clock.pass_(2)
    assert len(events(turns(one))) == 1


def test_a_slow_coder_holds_up_neither_a_turn_nor_the_end(config: Path, coder: CoderServer, clock: Clock) -> None:
    coder.fail(fault.slow(60), times=9)
    one = make(config, clock)
    clock.pass_(601)
    one.turn(0.0, woken=False)
    poll = one._poll
    assert poll is not None
    deadline = time.monotonic() + 10
    while not one.turn(0.0, woken=False).busy and not poll._client.requests_count:
        assert time.monotonic() < deadline
    assert one.finish().empty
    poll._thread.join(10)
    assert not poll._thread.is_alive()


def test_an_hour_of_more_than_a_piece_comes_in_pieces_and_then_its_position(
    config: Path, scene: Scene, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling_module, "PIECE_MAX_EVENTS", 10)
    at = ago(clock, 3600)
    scene.world.log(*(scene.web(n, scene.bob, time=at + timedelta(milliseconds=n)) for n in range(95)))
    one = make(config, clock)
    clock.pass_(601)
    found = turns(one)
    assert len({record.id for record in events(found)}) == 95
    assert max(piece.entries for turn in found for piece in turn.batch.pieces) == 10
    assert not any(turn.batch.feeds and turn.batch.pieces for turn in found)


def test_the_daemon_ends_while_coder_keeps_the_input_waiting(config: Path, coder: CoderServer, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace('timeout = "5s"', 'timeout = "10m"'))
    coder.fail(fault.slow(600, "/api/v2/connectionlog"), times=99)
    with daemon(config):
        poll_until(tmp_path, lambda: "/api/v2/connectionlog" in coder.begun())


@contextmanager
def daemon(config: Path) -> Iterator[int]:
    """A daemon with this configuration, which ends as it should."""
    with (config.parent / "stderr").open("ab") as errors:
        process = subprocess.Popen([sys.executable, "-m", "shipper", "run", "-c", str(config)], stderr=errors)
    try:
        yield process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def poll_until(folder: Path, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (folder / "stderr").read_text()
        time.sleep(0.05)


def rows(folder: Path) -> list[Any]:
    reader = IndexReader(folder / "index.db")
    answer = reader.search(
        parse_query("", 0), events=True, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0
    )
    found = list(answer.rows)
    reader.close()
    return found


def test_the_daemon_fills_a_gap_and_adds_nothing_twice(
    config: Path, scene: Scene, clock: Clock, tmp_path: Path
) -> None:
    scene.world.log(
        scene.web(1, scene.bob, time=ago(clock, 600)), scene.event(2, time=ago(clock, 500), connection_id=scene.bob.id)
    )
    polled: list[str | None] = [None]
    for _ in range(2):
        with daemon(config) as pid:
            poll_until(
                tmp_path, lambda: feed_time(tmp_path, pid) not in polled and len(rows(tmp_path)) >= 2
            )  # used at once
            polled.append(feed_time(tmp_path, pid))
    assert len(rows(tmp_path)) == 2


def test_the_log_and_the_api_together_give_each_event_once(
    config: Path, scene: Scene, clock: Clock, tmp_path: Path
) -> None:
    """Both inputs tell of the first two, the API alone of the third, the log alone of the fourth."""
    log = tmp_path / "coderd.log"
    events = [scene.web(n, scene.bob, time=ago(clock, 600 - n)) for n in (1, 2, 3, 4)]
    lines = [json_line_of(event) for event in events]
    log.write_bytes(lines[0] + lines[3])
    scene.world.log(*events[:3])
    config.write_text(config.read_text() + f'[[input]]\ntype = "file"\npaths = ["{log}"]\n')
    with daemon(config) as pid:
        poll_until(tmp_path, lambda: len(rows(tmp_path)) == 4 and feed_time(tmp_path, pid) is not None)
        with log.open("ab") as file:
            file.write(lines[1])
        poll_until(tmp_path, lambda: duplicates(tmp_path) >= 1)
    found = {row.id: row.log.format for row in rows(tmp_path)}
    assert [found[event.id] for event in events] == ["json", "api", "api", "json"]


def json_line_of(event: Event) -> bytes:
    """The line that coderd writes of an event."""
    stamp = event.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = {
        "ID": event.id, "Time": stamp, "OrganizationID": event.organization_id, "WorkspaceID": event.workspace_id,
        "WorkspaceOwnerID": event.workspace_owner_id, "WorkspaceName": event.workspace_name,
        "AgentName": event.agent_name, "Type": event.type, "Code": event.code, "Ip": event.ip, "UserID": event.user_id,
        "SlugOrPort": event.slug_or_port, "ConnectionID": None, "ConnectionStatus": event.status,
    }  # fmt: skip
    line = {"ts": stamp, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(line).encode() + b"\n"


def duplicates(folder: Path) -> int:
    """Copies that the daemon has counted, of all sources."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return 0
    return sum(one["duplicates"] for one in status["sources"].values())


def feed_time(folder: Path, pid: int) -> str | None:
    """Up to when the daemon of this process has compared."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return None
    return status["feeds"][0]["at"] if status["pid"] == pid and status["feeds"] else None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[input]]\ntype = "coder_api"', r"input\[1\]: needs to know where Coder is"),
        (
            '[coder]\nurl = "https://c"\n[[input]]\ntype = "coder_api"\n[[input]]\ntype = "coder_api"',
            r"input\[2\]: is a second coder_api",
        ),
        (
            (
                '[coder]\nurl = "https://c"\n[[input]]\ntype = "coder_api"\n[[output]]\ntype = "splunk_hec"\n'
                'endpoints = ["https://s:8088"]\ntoken_file = "t"'
            ),
            r"input\[1\]: needs the local index",
        ),
    ],
)
def test_what_it_needs_is_checked_with_the_configuration(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "other.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_config(path)
