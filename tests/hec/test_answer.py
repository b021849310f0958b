"""Each code of HEC's table comes where the reference says, with its status, its text and the keys in their order."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Iterator

import pytest

from tests.hec.ack import AckRules
from tests.hec.answer import TABLE
from tests.hec.body import Sizes
from tests.hec.collector import Queue
from tests.hec.conftest import CHANNEL, EVENT, SPLUNK, Reply, ask
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

DISABLED = "22222222-2222-4333-8444-555555555555"
LISTED = "33333333-2222-4333-8444-555555555555"
ACKED = "44444444-2222-4333-8444-555555555555"
QUERY = "55555555-2222-4333-8444-555555555555"
GOOD = b'{"event":"one"}'


@pytest.fixture
def server() -> Iterator[HecServer]:
    """A server with a token of each kind."""
    tokens = (
        Token(),
        Token(value=DISABLED, name="disabled", disabled=True),
        Token(value=LISTED, name="listed", index="security", indexes=frozenset({"security", "gone"})),
        Token(value=ACKED, name="acked", use_ack=True),
        Token(value=QUERY, name="query", allow_query=True),
    )
    with HecServer(*tokens, indexes={"main", "security"}) as server:
        yield server


def splunk(token: str, **more: str) -> dict[str, str]:
    """The usual header for a token, and more headers."""
    return {"Authorization": f"Splunk {token}", **{name.replace("_", "-"): value for name, value in more.items()}}


def basic(user: str, password: str) -> dict[str, str]:
    """HTTP Basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def holds(reply: Reply, code: int, number: int | None = None, ack_id: int | None = None) -> None:
    """Is it the table's answer, byte for byte?"""
    status, text = TABLE[code]
    body = f'{{"text":"{text}","code":{code}'
    body += "" if number is None else f',"invalid-event-number":{number}'
    body += "" if ack_id is None else f',"ackId":{ack_id}'
    assert (reply.status, reply.body.decode()) == (status, body + "}")
    assert reply.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("headers", "query", "code"),
    [
        (SPLUNK, "", 0),
        ({"Authorization": f"splunk {TOKEN}"}, "", 0),
        (basic("x", TOKEN), "", 0),
        (basic("", TOKEN), "", 0),
        ({}, "", 2),
        ({"Authorization": f"Bearer {TOKEN}"}, "", 3),
        ({"Authorization": TOKEN}, "", 3),
        ({"Authorization": "Splunk"}, "", 3),
        ({"Authorization": "Basic %%%"}, "", 3),
        (splunk("no-such"), "", 4),
        (basic("x", "no-such"), "", 4),
        (splunk(DISABLED), "", 1),
        ({}, f"?token={QUERY}", 0),
        ({}, f"?token={TOKEN}", 16),
        (SPLUNK, f"?token={TOKEN}", 16),
        (SPLUNK, "?token=no-such", 4),
    ],
)
def test_who_asks_is_known_by_token(server: HecServer, headers: dict[str, str], query: str, code: int) -> None:
    reply = ask(server, GOOD, EVENT + query, headers)
    holds(reply, code)
    assert len(server.store) == (1 if code == 0 else 0)


@pytest.mark.parametrize("path", ["", "/event", "/event/1.0"])
def test_the_three_paths_of_events_are_one(server: HecServer, path: str) -> None:
    holds(ask(server, GOOD, "/services/collector" + path), 0)
    assert [event.event for event in server.events] == ["one"]


@pytest.mark.parametrize("path", ["/", "/services", "/services/collectors", "/services/collector/nothing"])
def test_an_unknown_path_is_404_with_its_status_as_code(server: HecServer, path: str) -> None:
    reply = ask(server, GOOD, path)
    assert (reply.status, reply.body) == (
        404,
        b'{"text":"The requested URL was not found on this server.","code":404}',
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/event"), ("PUT", "/event"), ("GET", "/raw"), ("GET", "/ack"), ("POST", "/health"), ("DELETE", "")],
)
def test_a_wrong_method_is_405(server: HecServer, method: str, path: str) -> None:
    reply = ask(server, b"", "/services/collector" + path, method=method)
    assert (reply.status, reply.json["code"]) == (405, 405)


@pytest.mark.parametrize(("path", "allow"), [("/event", "POST,OPTIONS"), ("/health", "GET,HEAD,OPTIONS")])
def test_options_needs_no_token_and_has_no_body(server: HecServer, path: str, allow: str) -> None:
    reply = ask(server, b"", "/services/collector" + path, {}, "OPTIONS")
    assert (reply.status, reply.body, reply.headers["allow"]) == (200, b"", allow)


@pytest.mark.parametrize("body", [b"", b"  \r\n", b"[]"])
def test_nothing_is_no_data(server: HecServer, body: bytes) -> None:
    holds(ask(server, body), 5)


def test_gzip_is_taken_and_other_packings_are_not(server: HecServer) -> None:
    holds(ask(server, gzip.compress(GOOD), headers=splunk(TOKEN, Content_Encoding="gzip")), 0)
    holds(ask(server, gzip.compress(GOOD)[:-9], headers=splunk(TOKEN, Content_Encoding="gzip")), 6)
    holds(ask(server, GOOD, headers=splunk(TOKEN, Content_Encoding="gzip")), 6)
    reply = ask(server, zlib.compress(GOOD), headers=splunk(TOKEN, Content_Encoding="deflate"))
    assert (reply.status, reply.json["code"]) == (415, 415)
    assert len(server.store) == 1


def test_a_body_over_the_limit_is_413_and_on_cloud_an_invalid_first_event() -> None:
    body = GOOD * 100
    with HecServer(sizes=Sizes(content_max_bytes=1000)) as server:
        reply = ask(server, body)
        assert (reply.status, reply.json["code"]) == (413, 413)
        packed = ask(server, gzip.compress(body), headers=splunk(TOKEN, Content_Encoding="gzip"))
        assert packed.status == 413
    with HecServer(sizes=Sizes(content_max_bytes=1000), cloud=True) as server:
        holds(ask(server, body), 6, 0)
    with HecServer(sizes=Sizes(content_max_bytes=1000, early=True)) as server:
        assert ask(server, body).status == 413
        assert len(server.store) == 0


def test_an_event_over_the_limit_is_a_bad_one() -> None:
    with HecServer(sizes=Sizes(event_max_bytes=100)) as server:
        holds(ask(server, GOOD + b'{"event":"' + b"x" * 100 + b'"}' + GOOD), 6, 1)
        assert len(server.store) == 1


@pytest.mark.parametrize(
    ("token", "index", "code"), [(LISTED, "security", 0), (LISTED, "main", 7), (LISTED, "gone", 7)]
)
def test_an_index_must_be_allowed_and_exist(server: HecServer, token: str, index: str, code: int) -> None:
    """Code 7 counts one higher than all others."""
    body = GOOD + b'{"event":"two","index":"' + index.encode() + b'"}'
    holds(ask(server, body, headers=splunk(token)), code, None if code == 0 else 2)
    assert [event.index for event in server.events] == ["security"] * (2 if code == 0 else 1)


def test_a_channel_is_needed_only_with_acks(server: HecServer) -> None:
    holds(ask(server, GOOD), 0)
    holds(ask(server, GOOD, headers=splunk(TOKEN, X_Splunk_Request_Channel="no guid")), 0)
    holds(ask(server, GOOD, headers=splunk(ACKED)), 10)
    holds(ask(server, GOOD, headers=splunk(ACKED, X_Splunk_Request_Channel="no guid")), 11)
    holds(ask(server, GOOD, headers=splunk(ACKED, X_Splunk_Request_Channel=CHANNEL)), 0, ack_id=0)
    holds(ask(server, GOOD, f"{EVENT}?channel={CHANNEL}", splunk(ACKED)), 0, ack_id=1)
    server.collector.cloud = True
    holds(ask(server, GOOD, headers=splunk(ACKED)), 28)


@pytest.mark.parametrize(
    ("headers", "queue", "ack_service", "query", "code"),
    [
        ({}, Queue.FREE, True, "", 17),
        (SPLUNK, Queue.FREE, True, "", 17),
        ({}, Queue.NEAR, True, "", 17),
        (splunk("no-such"), Queue.FREE, True, "", 21),
        (splunk(DISABLED), Queue.FREE, True, "", 22),
        ({}, Queue.FULL, True, "", 18),
        ({}, Queue.FULL, False, "", 18),
        ({}, Queue.FREE, False, "", 17),
        ({}, Queue.FREE, False, "?ack=true", 19),
        ({}, Queue.FULL, False, "?ack=true", 20),
    ],
)
def test_health(
    server: HecServer, headers: dict[str, str], queue: Queue, ack_service: bool, query: str, code: int
) -> None:
    server.collector.queue, server.collector.ack_service = queue, ack_service
    for path in ("/health", "/health/1.0"):
        holds(ask(server, b"", f"/services/collector{path}{query}", headers, "GET"), code)
    head = ask(server, b"", f"/services/collector/health{query}", headers, "HEAD")
    assert (head.status, head.body) == (TABLE[code][0], b"")


def test_a_full_queue_is_refused_and_a_nearly_full_one_is_a_success(server: HecServer) -> None:
    server.collector.queue = Queue.NEAR
    holds(ask(server, GOOD), 24)
    server.collector.queue = Queue.FULL
    server.collector.retry_after = "7"
    reply = ask(server, GOOD)
    holds(reply, 26)
    assert reply.headers["retry-after"] == "7"
    server.collector.full_code = 9
    holds(ask(server, GOOD), 9)
    assert len(server.store) == 1


def test_a_server_that_stops_says_so(server: HecServer) -> None:
    server.collector.shutting_down = True
    holds(ask(server, GOOD), 23)
    holds(ask(server, b"", "/services/collector/health", {}, "GET"), 23)


def test_acks_near_and_at_their_bound_have_codes_of_their_own() -> None:
    rules = AckRules(channel_pending_max_count=4, near_share=0.5, never=True)
    headers = splunk(ACKED, X_Splunk_Request_Channel=CHANNEL)
    with HecServer(Token(value=ACKED, use_ack=True), ack=rules) as server:
        for ack_id, code in enumerate((0, 0, 25, 25)):
            holds(ask(server, GOOD, headers=headers), code, ack_id=ack_id)
        holds(ask(server, GOOD, headers=headers), 27)
        assert len(server.store) == 4


def test_raw_takes_lines_and_metadata_from_the_query(server: HecServer) -> None:
    path = "/services/collector/raw?index=security&sourcetype=a&source=b&host=c"
    holds(ask(server, b"one\r\ntwo\n", path), 0)
    events = [(event.raw, event.index, event.sourcetype, event.source, event.host) for event in server.events]
    assert events == [(b"one", "security", "a", "b", "c"), (b"two", "security", "a", "b", "c")]
    holds(ask(server, b"", path), 5)
    holds(ask(server, b"one", "/services/collector/raw/1.0?index=none"), 7)


def test_what_the_envelope_leaves_out_comes_from_the_token(server: HecServer) -> None:
    holds(ask(server, b'{"time":"12.5","event":{"id":"a"},"fields":{"event_id":"b"}}', headers=splunk(LISTED)), 0)
    (event,) = server.events
    assert (event.time, event.index, event.sourcetype, event.event_id) == (12.5, "security", "httpevent", "b")


def test_a_poisoned_event_is_refused_where_it_stands_and_its_number_may_be_wrong(server: HecServer) -> None:
    server.collector.poison = {"b": 15, "c": 7}
    body = b'{"event":{"id":"a"}}{"event":{"id":"b"}}{"event":{"id":"c"}}'
    holds(ask(server, body), 15, 1)
    server.collector.poison = {"c": 7}
    holds(ask(server, body), 7, 3)
    server.collector.numbering = lambda code, number, events: None
    holds(ask(server, body), 7)
    server.collector.numbering = lambda code, number, events: events + number
    holds(ask(server, body), 7, 6)
    assert server.store.counts() == {"a": 4, "b": 3}
