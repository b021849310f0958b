"""Every answer of HEC is treated as the protocol's table says: nothing is lost, nothing doubled without need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.hec import fault
from tests.hec.body import Sizes
from tests.hec.collector import Queue
from tests.hec.fault import Fault
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.outputs.hec.contract.conftest import event_id, ids

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper

OTHER_TOKEN = "99999999-2222-4333-8444-555555555555"


PASSING = {
    "busy": fault.code(9),
    "shutting down": fault.code(23),
    "queues full": fault.code(18),
    "queue at capacity": fault.code(26),
    "acks at capacity": fault.code(27),
    "429 of a balancer": fault.status(429),
    "503 of a balancer": fault.status(503),
    "reset before the body": fault.reset_before(),
    "internal error": fault.code(8),
    "bad gateway": fault.status(502, b"<html>bad gateway</html>"),
    "request timeout": fault.status(408),
    "reset after the body": fault.reset_after(take=False),
    "a page": fault.html(200),
    "nothing": fault.status(200),
    "an empty object": fault.status(200, b"{}"),
    "half an answer": fault.status(200, b'{"text":"Success","code":'),
    "204": fault.status(204),
    "bytes": fault.status(200, b"\xff\x00"),
}
TAKEN_UNSEEN = {
    "internal error": fault.code(8, take=True),
    "gateway timeout": fault.status(504, take=True),
    "reset after the body": fault.reset_after(take=True),
    "reset in the answer": fault.reset_in_answer(take=True),
    "a page": fault.html(200, take=True),
}


def _one_after_the_other(shipper: Shipper, server: HecServer, faults: dict[str, Fault]) -> None:
    """Ten events for each fault, which meets the request that brings them."""
    shipper.configure(server, batch_age="500ms")
    shipper.start()
    for given in faults.values():
        server.script.add(given)
        shipper.write(10)
        shipper.wait_settled()
        assert server.store.counts().keys() == ids(range(shipper.written)).keys(), given
        assert len(server.script) == 0
    shipper.stop()
    assert shipper.quarantine() == []


def test_a_passing_failure_is_tried_again(shipper: Shipper, server: HecServer) -> None:
    _one_after_the_other(shipper, server, PASSING)
    assert server.store.duplicates() == 0


def test_where_the_server_took_events_unseen_they_are_there_twice_and_counted(
    shipper: Shipper, server: HecServer
) -> None:
    _one_after_the_other(shipper, server, TAKEN_UNSEEN)
    assert 10 * len(TAKEN_UNSEEN) == server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_what_was_not_taken_is_no_possible_duplicate(shipper: Shipper, server: HecServer) -> None:
    for number in (9, 23, 26, 27):
        server.script.add(fault.code(number))
    shipper.configure(server)
    shipper.write(5)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(5))
    assert shipper.tally("possible_duplicates") == 0


def _disable(server: HecServer) -> None:
    server.tokens.put(Token(disabled=True))


def _drop(server: HecServer) -> None:
    server.tokens.drop(TOKEN)


def _forbid(server: HecServer) -> None:
    server.tokens.put(Token(indexes=frozenset({"security"})))


def _unmake(server: HecServer) -> None:
    server.collector.indexes = {"security"}


def _want_acks(server: HecServer) -> None:
    server.script.always(fault.code(10))


def _lose_path(server: HecServer) -> None:
    server.script.always(fault.status(404, b"<html>no such page</html>"))


def _ask_proxy(server: HecServer) -> None:
    server.script.always(fault.status(407))


def _require(server: HecServer) -> None:
    server.script.always(fault.code(2))


def _no_query(server: HecServer) -> None:
    server.script.always(fault.code(16))


def _mend(server: HecServer) -> None:
    server.script.clear()
    server.tokens.put(Token())
    server.collector.indexes = {"main", "security"}


HOLDING: tuple[tuple[Callable[[HecServer], None], tuple[str, ...]], ...] = (
    (_disable, ("403", "Token disabled")),
    (_drop, ("403", "Invalid token")),
    (_require, ("401", "Token is required")),
    (_forbid, ("400", "Incorrect index")),
    (_unmake, ("400", "Incorrect index")),
    (_want_acks, ("400", "Data channel is missing")),
    (_lose_path, ("404",)),
    (_ask_proxy, ("407",)),
    (_no_query, ("400", "Query string")),
)


def test_what_must_be_mended_holds_everything_and_then_goes_on(shipper: Shipper, server: HecServer) -> None:
    """Nobody has to start it again, and nothing is doubled or quarantined."""
    shipper.configure(server)
    shipper.start()
    for break_it, words in HOLDING:
        break_it(server)
        before = len(server.store)
        shipper.write(10)
        shipper.wait_for(shipper.waits_with(*words), f"the reason in the status: {words}")
        shipper.write(10)
        shipper.wait_for(lambda: shipper.pending() == 20, "all held")
        assert len(server.store) == before
        _mend(server)
        shipper.wait_settled()
    shipper.wait_for(lambda: shipper.output()["last_error"] is None, "the end of the alarm")
    shipper.stop()
    assert server.store.counts() == ids(range(shipper.written))
    assert shipper.quarantine() == []


def test_a_token_that_is_put_right_in_its_file_is_taken_without_a_restart(shipper: Shipper, server: HecServer) -> None:
    shipper.set_token(OTHER_TOKEN)
    shipper.configure(server)
    shipper.write(5)
    shipper.start()
    shipper.wait_for(shipper.waits_with("403"), "the refusal")
    shipper.set_token(TOKEN)
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(5))
    assert TOKEN not in shipper.said()
    assert OTHER_TOKEN not in shipper.said()


def test_a_token_that_changes_while_all_is_well_is_used_from_then_on(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server)
    shipper.write(5)
    shipper.start()
    shipper.wait_settled()
    server.tokens.put(Token(value=OTHER_TOKEN, name="next"))
    shipper.set_token(OTHER_TOKEN)
    server.tokens.drop(TOKEN)
    shipper.write(5)
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(10))
    assert {event.token for event in server.events[5:]} == {"next"}


def test_retry_after_is_kept(shipper: Shipper, server: HecServer) -> None:
    """The client's own waits are shorter here."""
    server.script.add(fault.code(9, retry_after="2"))
    shipper.configure(server)
    shipper.write(5)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    first, second = (seen.at for seen in server.seen if seen.service == "event")
    assert second - first >= 1.9


@pytest.mark.parametrize("queue", [24, 25])
def test_a_success_that_warns_is_a_success(shipper: Shipper, server: HecServer, queue: int) -> None:
    if queue == 24:
        server.collector.queue = Queue.NEAR
    else:
        server.script.add(fault.code(25, take=True), times=100)
    shipper.configure(server)
    shipper.write(20)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(20))


def test_a_full_queue_is_waited_for(shipper: Shipper, server: HecServer) -> None:
    server.collector.queue = Queue.FULL
    shipper.configure(server)
    shipper.write(20)
    shipper.start()
    shipper.wait_for(shipper.waits_with("queue"), "the refusal")
    server.collector.queue = Queue.FREE
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(20))


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_a_body_that_is_too_large_is_sent_in_parts(shipper: Shipper, cloud: bool, early: bool) -> None:
    """On Splunk Cloud the answer names the first event, which is as good as any other. Nothing is doubled."""
    most = 1_200_000 if cloud else 20_000
    with HecServer(sizes=Sizes(content_max_bytes=most, early=early), cloud=cloud) as server:
        shipper.configure(server, batch_max="4MiB", batch_events=5000, batch_age="1s", compression="none")
        shipper.write(2000)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(2000))
        assert any(seen.status in (413, 400) for seen in server.seen)
        assert shipper.quarantine() == []


def test_an_event_that_no_part_can_hold_is_quarantined_alone(shipper: Shipper) -> None:
    with HecServer(sizes=Sizes(content_max_bytes=3000)) as server:
        shipper.configure(server, compression="none")
        shipper.write(5)
        big = shipper.write(1, agent="x" * 5000)
        shipper.write(5)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == {key: 1 for key in ids(range(11)) if key != event_id(big[0])}
        assert shipper.refused().keys() == {event_id(big[0])}


def test_an_event_over_the_servers_own_limit_is_quarantined_alone(shipper: Shipper) -> None:
    with HecServer(sizes=Sizes(event_max_bytes=3000)) as server:
        shipper.configure(server)
        shipper.write(5)
        big = shipper.write(1, agent="x" * 5000)
        shipper.write(5)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == {key: 1 for key in ids(range(11)) if key != event_id(big[0])}
        assert shipper.refused() == {event_id(big[0]): 6}


def test_packing_that_the_server_does_not_take_loses_nothing(shipper: Shipper, server: HecServer) -> None:
    server.script.rule(lambda request: fault.status(415) if "content-encoding" in request.headers else None)
    shipper.configure(server)
    shipper.write(5)
    shipper.start()
    shipper.wait_for(lambda: bool(server.store) or shipper.waits_with("415")(), "the packing gone or the reason told")
    server.script.clear()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(5))
    assert shipper.quarantine() == []
