"""An endpoint that fails is left out as long as it must be and no longer, and what it missed is not made up for."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.answer import Answer, Verdict
from shipper.outputs.hec.endpoint import HEALTH_MAX_COUNT, Endpoint, pick
from tests.hec import fault
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.conftest import Rig, wait

BUSY = Answer(Verdict.REFUSED, 503, 9, "Server is busy")


def endpoint(jitter: float = 0.999, url: str = "http://a") -> Endpoint:
    return Endpoint(url, 60.0, lambda: jitter)


def waits(one: Endpoint, times: int) -> list[float]:
    """How long it is left out after each of so many failures, one after another."""
    found, now = [], 0.0
    for _ in range(times):
        one.failed(BUSY, now)
        found.append(one.wait_seconds(now))
        now += found[-1] + 0.001
    return found


def test_the_wait_is_drawn_below_a_bound_that_doubles_up_to_the_longest() -> None:
    assert [round(seconds) for seconds in waits(endpoint(), 8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [round(seconds, 3) for seconds in waits(endpoint(0.0), 3)] == [0.05, 0.05, 0.05]


@given(st.integers(1, 32))
def test_requests_that_fail_together_are_one_failure(together: int) -> None:
    one = endpoint()
    for _ in range(together):
        one.failed(BUSY, 10.0)
    assert one.wait_seconds(10.0) < 1.0


def test_what_the_server_asks_for_is_kept_also_while_it_rests() -> None:
    one = endpoint()
    one.failed(BUSY, 0.0)
    one.failed(Answer(Verdict.REFUSED, 503, 9, retry_after=20.0), 0.1)
    assert one.wait_seconds(0.1) == 20.0


def test_one_that_is_due_is_tried_however_little_there_is_to_do() -> None:
    """Also one that was refused: else it would stay away until all others are busy at once."""
    one, two = endpoint(url="http://a"), endpoint(url="http://b")
    two.failed(Answer(Verdict.HELD, 403, 4), 0.0)
    assert pick([one, two], 0.5) is one
    assert pick([one, two], 2.0) is two
    two.begin()
    assert pick([one, two], 2.0) is one


def test_a_balancer_that_answers_for_its_health_does_not_keep_it_out_for_ever(rig: Rig, server: HecServer) -> None:
    """Some pass on only the path of events, and say 503 to everything else."""
    server.script.always(fault.status(503), to="health")
    server.script.add(fault.code(9))
    rig.append(*range(10))
    rig.start(backoff_max_seconds=0.05)
    assert rig.delivered()
    assert sum(seen.service == "health" for seen in server.seen) >= HEALTH_MAX_COUNT
    assert rig.state().possible_duplicates == 0


def test_after_its_return_the_work_is_even_and_nothing_is_made_up_for(tmp_path: Path) -> None:
    """One that was away for long does not get all of the work then."""
    with HecServer() as one, HecServer() as two:
        two.down()
        rig = Rig(tmp_path, one.url, two.url)
        rig.start(in_flight=1, backoff_max_seconds=0.1)
        for number in range(40):
            rig.append(number)
            assert rig.delivered()
        two.up()
        number = 40
        while not len(two.store):
            rig.append(number)
            number += 1
            assert rig.delivered()
        before = len(one.store), len(two.store)
        for later in range(number, number + 20):
            rig.append(later)
            assert rig.delivered()
        grown = len(one.store) - before[0], len(two.store) - before[1]
        assert min(grown) >= 8
        rig.close()


def test_one_that_was_refused_comes_back_with_little_to_do(tmp_path: Path) -> None:
    other = Token(value="22222222-2222-4333-8444-555555555555")
    with HecServer() as one, HecServer(other) as two:
        rig = Rig(tmp_path, one.url, two.url)
        rig.start(in_flight=1)
        numbers = itertools.count()

        def held() -> bool:
            rig.append(next(numbers))
            return rig.delivered() and any(each.state == "held" for each in rig.state().endpoints)

        assert wait(held)
        two.tokens.put(Token())

        def back() -> bool:
            rig.append(next(numbers))
            return rig.delivered() and len(two.store) > 0

        assert wait(back)
        rig.close()
