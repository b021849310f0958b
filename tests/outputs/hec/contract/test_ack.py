"""With acknowledgements nothing counts as delivered before the server has said so, whatever happens on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.contract.conftest import ids

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper


def polls(server: HecServer) -> int:
    """How often acks were asked for."""
    return sum(1 for seen in server.seen if seen.service == "ack")


@pytest.mark.parametrize("ack", ["auto", "required"])
def test_what_is_acknowledged_is_delivered_once(shipper: Shipper, acking: HecServer, ack: str) -> None:
    shipper.configure(acking, ack=ack)
    shipper.write(50)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts() == ids(range(50))
    assert polls(acking) >= 1
    assert all(not node.pending() for node in acking.collector.nodes)
    assert shipper.tally("possible_duplicates") == 0


def test_without_it_nothing_is_delivered(shipper: Shipper, acking: HecServer) -> None:
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s")
    shipper.write(50)
    shipper.start()
    acking.wait_events(50)
    shipper.wait_for(lambda: polls(acking) >= 3, "polls")
    shipper.wait_for(lambda: shipper.pending() == 50, "all pending")
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts() == ids(range(50))


def test_auto_takes_a_server_without_acks_and_says_so(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, ack="auto")
    shipper.write(50)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(50))
    assert "acknowledg" in shipper.said()


def test_required_holds_everything_where_there_are_none(shipper: Shipper, server: HecServer) -> None:
    """No silent downgrade; and when the token is put right it goes on."""
    shipper.configure(server, ack="required")
    shipper.write(50)
    shipper.start()
    shipper.wait_for(shipper.waits_with("acknowledg"), "the reason in the status")
    shipper.wait_for(lambda: shipper.pending() == 50, "all pending")
    server.tokens.put(Token(use_ack=True))
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == ids(range(50)).keys()
    assert server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_what_is_not_acknowledged_in_time_is_sent_again(shipper: Shipper, acking: HecServer) -> None:
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required")
    shipper.write(10)
    shipper.start()
    shipper.wait_for(lambda: acking.store.duplicates() >= 10, "the second copy")
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(10)).keys()
    assert 10 <= acking.store.duplicates() <= shipper.tally("possible_duplicates")


NOT_ACKNOWLEDGED = (
    fault.code(8),
    fault.status(404),
    fault.code(3),
    fault.html(200),
    fault.status(200, b"{}"),
    fault.status(200, b'{"acks":[true]}'),
    fault.status(200, b'{"acks":{"0":1,"1":"true"}}'),
    fault.status(400, b'{"text":"Invalid data format","code":6}'),
    fault.reset_before(),
)


def test_an_ack_endpoint_that_fails_is_never_taken_as_delivered(shipper: Shipper, acking: HecServer) -> None:
    shipper.configure(acking, ack="required", ack_timeout="60s", in_flight=1)
    shipper.start()
    for given in NOT_ACKNOWLEDGED:
        before = polls(acking)
        shipper.write(5)
        acking.script.always(given, to="ack")
        shipper.wait_for(lambda before=before: polls(acking) >= before + 3, "polls")  # type: ignore[misc]
        shipper.wait_for(lambda: shipper.pending() == 5, "all held")
        acking.script.clear()
        shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(shipper.written)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_acks_that_are_switched_off_while_events_wait_are_not_taken_as_given(
    shipper: Shipper, acking: HecServer
) -> None:
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s")
    shipper.write(20)
    shipper.start()
    acking.wait_events(20)
    acking.script.always(fault.code(14), to="ack")
    before = polls(acking)
    shipper.wait_for(lambda: polls(acking) >= before + 3, "polls")
    shipper.wait_for(lambda: shipper.pending() == 20, "all held")
    acking.script.clear()
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(20)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_a_poll_whose_answer_is_lost_means_sending_again(shipper: Shipper, acking: HecServer) -> None:
    """The server tells true once: nobody knows afterwards."""
    acking.script.add(fault.reset_after(take=True), to="ack")
    shipper.configure(acking, ack="required")
    shipper.write(10)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(10)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_pending_acks_outlive_the_daemon(shipper: Shipper, acking: HecServer) -> None:
    """Its next life asks for them on the same channel, and sends nothing twice."""
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s", in_flight=1)
    shipper.write(30)
    shipper.start()
    acking.wait_events(30)
    shipper.wait_for(lambda: polls(acking) >= 4, "polls for what was sent")
    shipper.kill()
    acking.set_ack(AckRules())
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts() == ids(range(30)), shipper.said()
    assert shipper.tally("possible_duplicates") == 0


@pytest.mark.parametrize("lose", [False, True])
def test_a_server_that_restarts_and_forgets_gets_everything_again(
    shipper: Shipper, acking: HecServer, lose: bool
) -> None:
    """It may even have lost what it had not acknowledged."""
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required")
    shipper.write(30)
    shipper.start()
    acking.wait_events(30)
    acking.restart(lose_unacknowledged=lose)
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(30)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_an_id_that_comes_again_after_a_restart_confirms_nothing_old(shipper: Shipper, acking: HecServer) -> None:
    """The server counts from 0 again: its new 0 must not stand for the old one, whose events it has lost."""
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s", in_flight=1)
    shipper.write(10)
    shipper.start()
    acking.wait_events(10)
    shipper.wait_for(lambda: polls(acking) >= 4, "the ids known")
    assert acking.restart(lose_unacknowledged=True) == 10
    acking.set_ack(AckRules())
    shipper.write(10)
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(20)).keys()


def loses_ten(shipper: Shipper, acking: HecServer, given: fault.Fault) -> None:
    """Ten events wait under the id 0 of a server that loses them; of the next ten it gives the 0 to, nobody is told."""
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s", in_flight=1)
    shipper.write(10)
    shipper.start()
    acking.wait_events(10)
    shipper.wait_for(lambda: polls(acking) >= 4, "the ids known")
    assert acking.restart(lose_unacknowledged=True) == 10
    acking.script.add(given)
    before = acking.store.total
    shipper.write(10)
    shipper.wait_for(lambda: acking.store.total >= before + 10, "the next ten")


def test_an_id_that_was_given_in_a_lost_answer_confirms_nothing_old(shipper: Shipper, acking: HecServer) -> None:
    loses_ten(shipper, acking, fault.reset_after(take=True))
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(20)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_an_id_that_was_given_to_a_process_that_ended_confirms_nothing_old(shipper: Shipper, acking: HecServer) -> None:
    loses_ten(shipper, acking, fault.Fault(wait_seconds=20))
    shipper.kill()
    acking.set_ack(AckRules())
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(20)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_a_bound_holds_how_many_requests_wait(shipper: Shipper, acking: HecServer) -> None:
    acking.set_ack(AckRules(never=True))
    shipper.configure(acking, ack="required", ack_timeout="60s", ack_pending_max=3, batch_events=5, in_flight=1)
    shipper.write(100)
    shipper.start()
    shipper.wait_for(lambda: polls(acking) >= 5, "polls")
    assert len(acking.store) <= 20
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts() == ids(range(100))


def test_a_server_that_wants_channels_gets_one_with_auto(shipper: Shipper) -> None:
    with HecServer(Token(use_ack=True), cloud=True) as server:
        shipper.configure(server, ack="auto")
        shipper.write(20)
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(20))


def test_acks_stop_and_come_back(shipper: Shipper, acking: HecServer) -> None:
    """With auto too nothing is delivered silently without them once they were there: what waits is sent again."""
    shipper.configure(acking, ack="auto")
    shipper.write(10)
    shipper.start()
    shipper.wait_settled()
    acking.set_ack(AckRules(never=True))
    shipper.write(10)
    acking.wait_events(20)
    acking.tokens.put(Token())
    shipper.write(10)
    shipper.wait_for(lambda: acking.store.counts().keys() == ids(range(30)).keys(), "all sent")
    acking.tokens.put(Token(use_ack=True))
    acking.set_ack(AckRules())
    shipper.wait_settled()
    shipper.stop()
    assert acking.store.counts().keys() == ids(range(30)).keys()
    assert acking.store.duplicates() <= shipper.tally("possible_duplicates")


def test_a_poll_reaches_the_node_that_has_the_answer(shipper: Shipper) -> None:
    """Behind a balancer with sticky cookies."""
    with HecServer(Token(use_ack=True), nodes=3, cookie="node") as server:
        shipper.configure(server, ack="required", in_flight=1)
        shipper.write(30)
        shipper.start()
        shipper.wait_settled()
        shipper.write(30)
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(60))
