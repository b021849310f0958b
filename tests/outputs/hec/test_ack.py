"""Acknowledgements are asked for as long as they may come, cost no duplicates without need, and hold nothing else up."""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path

import pytest

from shipper.journal import Channel, Receipt, Span
from shipper.outputs.hec import ack as acks
from shipper.outputs.hec.waiting import Waiting
from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.conftest import Rig, name, wait

ACKING = Token(use_ack=True)


def names(count: int, first: int = 0) -> Counter[str]:
    return Counter(name(number) for number in range(first, first + count))


def polls(server: HecServer) -> int:
    return sum(seen.service == "ack" for seen in server.seen)


def test_after_a_long_stop_it_asks_before_it_sends_anything_again(tmp_path: Path) -> None:
    """Longer than the time that an acknowledgement may take: the server may have it all the same."""
    with HecServer(ACKING, ack=AckRules(never=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(10))
        rig.start(ack_timeout_seconds=1.0, ack_poll_seconds=0.1, in_flight=2)
        assert server.wait(lambda: len(server.store) == 10)
        assert wait(lambda: rig.state().ack_pending == 1)
        rig.stop()
        time.sleep(1.5)  # the stop is what is tried here
        server.set_ack(AckRules())
        rig.start()
        assert rig.delivered()
        assert server.store.counts() == names(10)
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_a_server_without_room_for_more_acknowledgements_is_asked_for_those_it_has(tmp_path: Path) -> None:
    """It refuses events with code 27 until they are fetched."""
    with HecServer(ACKING, ack=AckRules(channel_pending_max_count=3)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(100))
        rig.start(batch_max_events=5, ack_poll_seconds=0.2, in_flight=1)
        assert rig.delivered()
        assert server.store.counts() == names(100)
        assert any(seen.code == 27 for seen in server.seen)
        assert rig.state().possible_duplicates == 0
        rig.close()


@pytest.mark.parametrize("busy", [fault.code(9), fault.code(18), fault.code(26), fault.status(502)])
def test_while_a_server_takes_no_events_it_is_asked_for_what_it_took(tmp_path: Path, busy: fault.Fault) -> None:
    """Under any id but a channel's first, which it could give again without an answer, were it started anew."""
    with HecServer(ACKING) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(100)
        rig.start(ack_timeout_seconds=60.0, ack_poll_seconds=0.1, in_flight=1)
        assert rig.delivered()
        server.set_ack(AckRules(never=True))
        rig.append(*range(10))
        assert server.wait(lambda: len(server.store) == 11)
        server.script.always(busy)
        server.script.always(fault.code(18), to="health")
        rig.append(*range(10, 20))
        assert wait(lambda: rig.state().endpoints[0].state != "up")
        server.set_ack(AckRules())
        assert wait(lambda: rig.state().sent == 11)
        server.script.clear()
        assert rig.delivered()
        assert rig.state().possible_duplicates == server.store.duplicates() + (10 if busy.answer.status == 502 else 0)  # type: ignore[union-attr]
        rig.close()


def test_slow_answers_about_acknowledgements_leave_time_for_events(tmp_path: Path) -> None:
    """Though each takes longer than the time between two of them."""
    with HecServer(ACKING, ack=AckRules(never=True)) as server:
        server.script.always(fault.slow_answer(0.3), to="ack")
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start(ack_poll_seconds=0.1, in_flight=1, ack_timeout_seconds=60.0)
        assert server.wait(lambda: polls(server) >= 2)
        for number in range(2, 6):
            rig.append(number)
            assert server.wait(lambda number=number: name(number) in server.store.counts(), 60)  # type: ignore[misc]
        server.set_ack(AckRules())
        assert rig.delivered()
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_an_endpoint_that_never_acknowledges_gets_one_request_at_a_time_and_the_others_the_work(tmp_path: Path) -> None:
    with HecServer(ACKING) as well, HecServer(ACKING, ack=AckRules(never=True)) as silent:
        rig = Rig(tmp_path, well.url, silent.url)
        rig.append(*range(20))
        rig.start(batch_max_events=2, ack_timeout_seconds=1.0, in_flight=2)
        assert wait(lambda: any(one.state == "held" for one in rig.state().endpoints))
        taken = len(silent.store)
        rig.append(*range(20, 400))
        assert wait(lambda: len(well.store.counts()) >= 390)
        # Of 190 requests: those of the seconds that it took.
        assert len(silent.store) - taken <= 40
        dispatch = rig.dispatch
        assert dispatch is not None
        assert dispatch.last_error is None
        silent.set_ack(AckRules())
        assert rig.delivered()
        assert wait(lambda: all(one.state == "up" for one in rig.state().endpoints))
        held = well.store.counts() + silent.store.counts()
        assert held.keys() == names(400).keys()
        assert sum(held.values()) - 400 <= rig.state().possible_duplicates
        rig.close()


def test_a_server_that_is_away_while_something_waits_costs_no_work(tmp_path: Path) -> None:
    """There is nobody to ask: a lane rests between two looks."""
    with HecServer(ACKING, ack=AckRules(never=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        running = rig.start(in_flight=1, ack_timeout_seconds=60.0, ack_poll_seconds=0.1)
        assert server.wait(lambda: polls(server) >= 2)
        server.down()
        rig.append(2)
        assert wait(lambda: rig.state().endpoints[0].state == "waiting")
        (lane,) = running._lanes
        steps, step = [0], lane.step

        def counted(now: float) -> float:
            steps[0] += 1
            return step(now)

        lane.step = counted  # type: ignore[method-assign]
        assert not wait(lambda: steps[0] > 60, 2.0)
        server.set_ack(AckRules())
        server.up()
        assert rig.delivered()
        assert rig.state().possible_duplicates == 0
        rig.close()


def test_endpoints_that_differ_are_told_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with HecServer(ACKING) as one, HecServer() as two:
        rig = Rig(tmp_path, one.url, two.url)
        with caplog.at_level(logging.INFO):
            rig.start(in_flight=1)
            for number in range(12):
                rig.append(number)
                assert rig.delivered()
            assert min(len(one.store), len(two.store)) > 2
        said = [each.getMessage() for each in caplog.records if "acknowledge" in each.getMessage()]
        assert len(said) == 2
        assert rig.state().ack == "unacknowledged"
        rig.close()


def test_more_than_one_question_can_hold_is_asked_for_by_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones may never be acknowledged: those behind them are asked for all the same."""
    monkeypatch.setattr(acks, "ASK_MAX_COUNT", 3)
    with HecServer(ACKING, ack=AckRules(never=True)) as server:
        rig = Rig(tmp_path, server.url)
        rig.append(*range(5))
        rig.start(in_flight=1, batch_max_events=1, ack_timeout_seconds=60.0, ack_poll_seconds=0.1)
        assert wait(lambda: rig.state().ack_pending == 5)
        (node,) = server.collector.nodes
        (channel,) = {seen.channel for seen in server.seen if seen.service == "event"}
        assert channel is not None
        for stuck in node.pending(channel)[:3]:
            # As one that lost them says it: false for ever.
            node._channels[channel].pending.pop(stuck)
        server.set_ack(AckRules())
        assert wait(lambda: rig.state().ack_pending == 3)
        assert rig.state().sent == 2
        rig.close()


@pytest.mark.parametrize("ack", [2**63, 2**64, 10**30])
def test_an_id_that_no_journal_can_hold_is_none(tmp_path: Path, ack: int) -> None:
    """It can't be asked for after a restart: as if the server had given none."""
    with HecServer() as server:
        server.script.add(fault.status(200, b'{"text":"Success","code":0,"ackId":%d}' % ack, take=True))
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        rig.start()
        assert rig.delivered()
        assert rig.state().unconfirmed == 1
        rig.close()


def test_how_long_a_request_waits_is_no_matter_of_the_wall_clock() -> None:
    """Of one of an earlier process only its time is known; one from the future has not waited yet."""
    now_ns, channel = time.time_ns(), Channel("c", 0, "http://a")
    old, future = Receipt("c", 1, now_ns - 50 * 10**9, 0, ()), Receipt("c", 2, now_ns + 10**15, 0, ())
    waiting = Waiting([old, future], [channel])
    now = time.monotonic()
    assert 49 < now - waiting.since(old) < 51
    assert now - waiting.since(future) < 1
    waiting.add(Receipt("c", 3, 0, 0, (Span(1, 0, 1),)), channel)
    assert now - waiting.since(waiting.of("c")[2]) < 1
    assert waiting.at("http://a")
    waiting.drop([old, future, *waiting.of("c")])
    assert (len(waiting), waiting.at("http://a")) == (0, False)


def test_an_id_that_comes_again_is_another_request() -> None:
    """A server that was started anew gives the ids of before: what is decided on the old one is not on the new."""
    channel = Channel("c", 0, "http://a")
    old, new = Receipt("c", 0, 10, 0, ()), Receipt("c", 0, 20, 0, ())
    waiting = Waiting([old], [channel])
    waiting.add(new, channel)
    waiting.drop([old])
    assert waiting.of("c") == (new,)
