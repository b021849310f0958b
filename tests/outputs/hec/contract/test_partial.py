"""One bad event costs that event alone: what came before it is sent, what comes after it is sent, it is quarantined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.contract.conftest import event_id, ids

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper

EVENTS = 60


def ship(shipper: Shipper, server: HecServer, poison: dict[int, int], **options: Any) -> None:
    """Bring events to a server that refuses some of them, and check what is where."""
    server.collector.poison = {event_id(number): code for number, code in poison.items()}
    shipper.configure(server, batch_age="1s", **options)
    shipper.write(EVENTS)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == {event_id(n) for n in range(EVENTS) if n not in poison}
    assert shipper.refused() == {event_id(number): code for number, code in poison.items()}


@pytest.mark.parametrize(
    ("code", "places"), [(6, (30,)), (12, (0,)), (13, (EVENTS - 1,)), (15, (0, 1, 2)), (6, (10, 11, 40))], ids=str
)
def test_the_guilty_event_alone_is_quarantined(
    shipper: Shipper, server: HecServer, code: int, places: tuple[int, ...]
) -> None:
    ship(shipper, server, dict.fromkeys(places, code))
    assert server.store.duplicates() == 0


def test_a_quarantined_event_keeps_code_text_and_place(shipper: Shipper, server: HecServer) -> None:
    ship(shipper, server, {3: 15})
    (entry,) = shipper.quarantine()
    assert (entry["kind"], entry["output"], entry["code"]) == ("refused", "splunk_hec", 15)
    assert "Error in handling indexed fields" in entry["reason"]
    assert entry["path"] == str(shipper.log)


@pytest.mark.parametrize("numbering", ["missing", "beyond", "negative", "text"])
def test_a_number_that_is_no_use_is_found_out_by_halves(shipper: Shipper, server: HecServer, numbering: str) -> None:
    """Some are sent twice then, as nobody says which were taken; they are counted."""
    made_up: dict[str, object] = {"missing": None, "beyond": 10_000, "negative": -1, "text": "one"}
    wrong = made_up[numbering]
    server.collector.numbering = lambda code, number, events: wrong  # type: ignore[assignment, return-value]
    ship(shipper, server, {17: 6, 18: 6, 44: 12})
    assert server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_every_event_may_be_bad(shipper: Shipper, server: HecServer) -> None:
    ship(shipper, server, dict.fromkeys(range(EVENTS), 6))


def test_an_index_that_one_event_may_not_use_holds_it_without_doubling_what_came_before(
    shipper: Shipper, server: HecServer
) -> None:
    """Code 7 counts one higher than the others: with the number taken as it is, the wrong one is thought sent."""
    server.collector.poison = {event_id(5): 7}
    shipper.configure(server, batch_age="1s")
    shipper.write(10)
    shipper.start()
    shipper.wait_for(shipper.waits_with("Incorrect index"), "the reason in the status")
    assert {event_id(n) for n in range(5)} <= server.store.counts().keys()
    assert event_id(5) not in server.store.counts()
    server.collector.poison = {}
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(10))
    assert shipper.quarantine() == []


def test_with_acks_the_part_that_was_taken_is_acknowledged(shipper: Shipper) -> None:
    with HecServer(Token(use_ack=True)) as server:
        ship(shipper, server, {20: 13}, ack="required")
        assert server.store.duplicates() == 0
        assert all(not node.pending() for node in server.collector.nodes)
