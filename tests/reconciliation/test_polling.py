"""The input coder_api takes what the log has lost, once, late enough, and stops nothing when Coder fails."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from shipper.config import load_config
from shipper.config.inputs import CoderApiInput
from shipper.config.settings import Coder
from shipper.errors import ConfigError
from shipper.inputs.input import Turn
from shipper.journal import FeedPosition
from shipper.reconciliation import polling as polling_module
from shipper.reconciliation.polling import CoderApi
from shipper.record import Record
from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.reconciliation.conftest import Clock, ago

WATCH = CoderApiInput(poll_seconds=60, settle_seconds=600, look_back_seconds=7200)
SECOND_NS = 1_000_000_000


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
    deadline = time.monotonic() + 60
    while not one.turn(0.0, woken=False).busy and not poll._client.requests_count:
        assert time.monotonic() < deadline
    assert one.finish().empty
    poll._thread.join(60)
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
