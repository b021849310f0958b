"""Acknowledgements are as forgetful as Splunk's: told once, kept in the memory of one node, gone with a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.hec.ack import AckRules
from tests.hec.conftest import CHANNEL, EVENT, ask
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

OTHER = "00000000-13D5-401B-847D-77833BD77131"
ACK = "/services/collector/ack"


class Clock:
    """A time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at 0."""
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[HecServer]:
    """A server whose token uses acks."""
    with HecServer(Token(use_ack=True), clock=clock) as server:
        yield server


def send(
    server: HecServer, body: bytes = b'{"event":1}', channel: str = CHANNEL, cookie: str = ""
) -> dict[str, object]:
    """One request with a channel."""
    headers = {"Authorization": f"Splunk {TOKEN}", "X-Splunk-Request-Channel": channel}
    return ask(server, body, EVENT, headers | ({"Cookie": cookie} if cookie else {})).json


def poll(server: HecServer, *numbers: int, channel: str = CHANNEL, cookie: str = "") -> list[bool]:
    """The state of each id."""
    headers = {"Authorization": f"Splunk {TOKEN}"} | ({"Cookie": cookie} if cookie else {})
    reply = ask(server, json.dumps({"acks": numbers}).encode(), f"{ACK}?channel={channel}", headers)
    assert reply.status == 200
    acks = reply.json["acks"]
    assert isinstance(acks, dict)
    assert list(acks) == [str(number) for number in numbers]
    return list(acks.values())


def test_ids_count_from_zero_in_each_channel(server: HecServer) -> None:
    assert [send(server)["ackId"] for _ in range(3)] == [0, 1, 2]
    assert send(server, channel=OTHER)["ackId"] == 0


def test_true_is_told_once(server: HecServer) -> None:
    send(server)
    assert poll(server, 0) == [True]
    assert poll(server, 0) == [False]


def test_what_is_not_known_is_false_and_no_error(server: HecServer) -> None:
    send(server)
    assert poll(server, 7, channel=CHANNEL) == [False]
    assert poll(server, 0, channel=OTHER) == [False]


def test_an_id_becomes_true_after_a_time_or_some_polls(server: HecServer, clock: Clock) -> None:
    server.set_ack(AckRules(delay_seconds=10))
    send(server)
    assert poll(server, 0) == [False]
    clock.now = 10
    assert poll(server, 0) == [True]
    server.set_ack(AckRules(false_polls=2))
    send(server)
    assert [poll(server, 1) for _ in range(4)] == [[False], [False], [True], [False]]


def test_an_idle_channel_is_dropped_with_its_ids(server: HecServer, clock: Clock) -> None:
    send(server)
    clock.now = 601
    assert poll(server, 0) == [False]
    assert send(server)["ackId"] == 0


def test_a_restart_forgets_ids_and_counts_from_zero_again(server: HecServer) -> None:
    send(server), send(server)
    assert server.restart() == 0
    assert poll(server, 0, 1) == [False, False]
    assert send(server)["ackId"] == 0
    assert len(server.store) == 3


def test_a_crash_loses_what_was_not_acknowledged(server: HecServer) -> None:
    send(server, b'{"event":{"id":"a"}}')
    send(server, b'{"event":{"id":"b"}}')
    assert poll(server, 0) == [True]
    assert server.restart(lose_unacknowledged=True) == 1
    assert server.store.counts() == {"a": 1}


def test_a_crash_loses_nothing_that_came_before_an_earlier_one(server: HecServer) -> None:
    send(server, b'{"event":{"id":"a"}}')
    assert poll(server, 0) == [True]
    assert server.restart(lose_unacknowledged=True) == 0
    send(server, b'{"event":{"id":"b"}}')  # on the same channel, with the same id
    assert server.restart(lose_unacknowledged=True) == 1
    assert server.store.counts() == {"a": 1}


def test_a_partial_failure_acknowledges_what_came_before_it(server: HecServer) -> None:
    assert send(server, b'{"event":1}{"event":""}') == {
        "text": "Event field cannot be blank",
        "code": 13,
        "invalid-event-number": 1,
        "ackId": 0,
    }
    assert "ackId" not in send(server, b'{"event":""}{"event":1}')
    assert poll(server, 0) == [True]


def test_only_the_node_that_gave_an_id_knows_it() -> None:
    with HecServer(Token(use_ack=True), nodes=2, cookie="node") as server:
        assert send(server, cookie="node=1")["ackId"] == 0
        assert poll(server, 0, cookie="node=0") == [False]
        assert poll(server, 0, cookie="node=1") == [True]


def test_a_balancer_says_which_node_it_was() -> None:
    with HecServer(nodes=2, cookie="node") as server:
        cookies = [ask(server, b'{"event":1}').headers["set-cookie"] for _ in range(4)]
        assert cookies == ["node=1; Path=/", "node=0; Path=/"] * 2


@pytest.mark.parametrize(
    ("body", "code"), [(b"", 5), (b"no", 6), (b"[]", 6), (b'{"acks":"0"}', 6), (b'{"acks":["0"]}', 6), (b"{}", 6)]
)
def test_a_question_that_is_none_is_refused(server: HecServer, body: bytes, code: int) -> None:
    assert ask(server, body, f"{ACK}?channel={CHANNEL}").json["code"] == code


def test_the_question_needs_a_channel_and_a_token_with_acks(server: HecServer) -> None:
    assert ask(server, b'{"acks":[0]}', ACK).json["code"] == 10
    assert ask(server, b'{"acks":[0]}', f"{ACK}?channel=x").json["code"] == 11
    server.tokens.put(Token())
    assert ask(server, b'{"acks":[0]}', f"{ACK}?channel={CHANNEL}").json["code"] == 14
