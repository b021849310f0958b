"""Each fault does to a request what it says, and what it says of the events is true."""

from __future__ import annotations

import http.client
import threading
import time

import pytest

from tests.hec import fault
from tests.hec.conftest import EVENT, SPLUNK, ask
from tests.hec.fault import Fault
from tests.hec.server import HecServer

GOOD = b'{"event":"one"}'
BROKEN = (ConnectionError, http.client.HTTPException)


def test_faults_come_in_order_and_then_all_is_well(server: HecServer) -> None:
    server.script.add(fault.code(9, retry_after="1"), times=2)
    server.script.add(fault.html(502))
    replies = [ask(server, GOOD) for _ in range(4)]
    assert [reply.status for reply in replies] == [503, 503, 502, 200]
    assert [reply.headers.get("retry-after") for reply in replies] == ["1", "1", None, None]
    assert (len(server.script), len(server.store)) == (0, 1)
    assert [(seen.status, seen.faulted) for seen in server.seen] == [
        (503, True),
        (503, True),
        (502, True),
        (200, False),
    ]


def test_a_fault_is_for_the_service_it_names(server: HecServer) -> None:
    server.script.add(fault.code(8), to="ack")
    server.script.add(fault.html(), to="health")
    assert ask(server, GOOD).status == 200
    assert ask(server, b"", "/services/collector/health", method="GET").body.startswith(b"<!DOCTYPE")
    assert ask(server, b"", "/services/collector/health", method="GET").json["code"] == 17
    assert ask(server, b"{}", "/services/collector/ack").status == 500


def test_a_rule_sees_the_request_and_clear_ends_it(server: HecServer) -> None:
    server.script.rule(lambda request: fault.status(507) if request.headers.get("x-mark") else None)
    assert ask(server, GOOD).status == 200
    assert ask(server, GOOD, headers=SPLUNK | {"X-Mark": "1"}).status == 507
    server.script.always(fault.code(23))
    assert [ask(server, GOOD).status for _ in range(2)] == [503, 503]
    server.script.clear()
    assert ask(server, GOOD, headers=SPLUNK | {"X-Mark": "1"}).status == 200


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (fault.status(200, b""), (200, b"")),
        (fault.status(200, b"{}"), (200, b"{}")),
        (fault.status(200, b"\xff\x00{"), (200, b"\xff\x00{")),
        (fault.code(7, event_number=1), (400, b'{"text":"Incorrect index","code":7,"invalid-event-number":1}')),
    ],
)
@pytest.mark.parametrize("take", [False, True])
def test_an_answer_of_the_script_may_hide_that_events_were_taken(
    server: HecServer, given: Fault, answer: tuple[int, bytes], take: bool
) -> None:
    server.script.add(Fault(answer=given.answer, take=take))
    reply = ask(server, GOOD)
    assert (reply.status, reply.body) == answer
    assert len(server.store) == (1 if take else 0)


@pytest.mark.parametrize(
    ("given", "events"),
    [
        (fault.reset_before(), 0),
        (fault.reset_after(take=False), 0),
        (fault.reset_after(take=True), 1),
        (fault.reset_in_answer(take=False), 0),
        (fault.reset_in_answer(take=True), 1),
    ],
)
def test_a_broken_connection_leaves_the_events_as_it_says(server: HecServer, given: Fault, events: int) -> None:
    server.script.add(given)
    with pytest.raises(BROKEN):
        ask(server, GOOD)
    assert server.wait_requests(1)
    assert len(server.store) == events
    assert ask(server, GOOD).status == 200


def test_a_hang_lasts_until_the_server_stops(server: HecServer) -> None:
    server.script.add(fault.hang(take=True))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", EVENT, GOOD, SPLUNK)
    assert server.wait_events(1)
    server.down()
    with pytest.raises(BROKEN):
        connection.getresponse()
    connection.close()


def test_a_slow_answer_comes_after_the_events_are_taken(server: HecServer) -> None:
    server.script.add(fault.slow_answer(0.2))
    began = time.monotonic()
    assert ask(server, GOOD).status == 200
    assert time.monotonic() - began >= 0.2
    assert len(server.store) == 1


def test_a_body_that_is_read_slowly_arrives_whole(server: HecServer) -> None:
    server.script.add(fault.slow_reading(1_000_000))
    body = b'{"event":"' + b"x" * 200_000 + b'"}'
    began = time.monotonic()
    assert ask(server, body).status == 200
    assert time.monotonic() - began >= 0.2
    assert server.events[0].raw == body


def test_a_connection_can_close_without_notice(server: HecServer) -> None:
    server.script.add(fault.closing())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", EVENT, GOOD, SPLUNK)
    reply = connection.getresponse()
    assert (reply.status, reply.getheader("Connection")) == (200, "Keep-Alive")
    reply.read()
    assert connection.sock.recv(1) == b""
    connection.close()


def test_threads_that_send_at_once_take_each_fault_once(server: HecServer) -> None:
    server.script.add(fault.code(9), times=10)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.extend(ask(server, GOOD).status for _ in range(5))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 30 + [503] * 10
    assert len(server.store) == 30
