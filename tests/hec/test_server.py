"""The server as a whole: connections, TLS, going down and coming back, recordings, and the speed of counting only."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hec.certificate import Authority
from tests.hec.conftest import EVENT, SPLUNK, ask
from tests.hec.proxy import Proxy
from tests.hec.server import HecServer
from tests.hec.store import read_recording
from tests.hec.token import TOKEN

GOOD = b'{"event":{"id":"one"}}'
ROOT = Path(__file__).parents[2]


def test_a_connection_is_kept_for_many_requests(server: HecServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(5):
        connection.request("POST", EVENT, GOOD, SPLUNK)
        assert connection.getresponse().read() == b'{"text":"Success","code":0}'
    connection.close()
    assert (server.connections, server.requests) == (1, 5)
    assert {seen.connection for seen in server.seen} == {1}


@pytest.mark.parametrize("silent", [False, True])
def test_a_connection_can_be_limited_to_some_requests(silent: bool) -> None:
    with HecServer(keepalive_requests=2, keepalive_silent=silent) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        said = []
        for _ in range(2):
            connection.request("POST", EVENT, GOOD, SPLUNK)
            reply = connection.getresponse()
            reply.read()
            said.append(reply.getheader("Connection"))
        connection.close()
        assert said == ["Keep-Alive", "Keep-Alive" if silent else "Close"]


def test_a_body_may_come_in_chunks(server: HecServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for _ in range(2):
        connection.request("POST", EVENT, iter([GOOD[:5], GOOD[5:]]), SPLUNK, encode_chunked=True)
        assert connection.getresponse().read() == b'{"text":"Success","code":0}'
    connection.close()
    assert server.store.counts() == {"one": 2}
    assert server.store.duplicates() == 1


def test_a_client_may_wait_for_leave_to_send_its_body(server: HecServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = f"POST {EVENT} HTTP/1.1\r\nAuthorization: Splunk {TOKEN}\r\nContent-Length: {len(GOOD)}\r\n"
        connection.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "raw", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"x" * 100_000, b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_no_http_ends_only_its_own_connection(server: HecServer, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) == b""
    assert ask(server, GOOD).status == 200


def test_down_refuses_and_up_is_at_the_same_port(server: HecServer) -> None:
    port = server.port
    ask(server, GOOD)
    server.down()
    with pytest.raises(ConnectionRefusedError):
        ask(server, GOOD)
    server.up()
    assert (server.port, ask(server, GOOD).status, len(server.store)) == (port, 200, 2)


def ask_tls(server: HecServer, context: ssl.SSLContext) -> int:
    """One request over TLS; its status."""
    with contextlib.closing(
        http.client.HTTPSConnection("localhost", server.port, timeout=60, context=context)
    ) as connection:
        connection.request("POST", EVENT, GOOD, SPLUNK)
        return connection.getresponse().status


def test_tls_needs_trust_and_can_need_a_certificate_of_the_client(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.client()
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    with HecServer(tls=authority.server(client_certificates=True)) as server:
        assert server.url == f"https://localhost:{server.port}"
        for context in (ssl.create_default_context(), trusting):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask_tls(server, context)
        assert server.wait(lambda: server.handshake_failures == 2)
        trusting.load_cert_chain(certificate, key)
        assert ask_tls(server, trusting) == 200


def test_a_recording_holds_what_was_indexed_even_with_a_cut_line(tmp_path: Path) -> None:
    path = tmp_path / "indexed.ndjson"
    with HecServer(recording=path) as server:
        ask(server, GOOD + b'{"event":"no id"}' + GOOD + b'{"event":""}')
        assert read_recording(path) == {"one": 2, "": 1}
    entry = json.loads(path.read_bytes().splitlines()[0])
    assert (entry["id"], json.loads(entry["envelope"])) == ("one", {"event": {"id": "one"}})
    with path.open("ab") as file:
        file.write(b'{"request": 9, "chan')
    assert read_recording(path) == {"one": 2, "": 1}


def test_counting_only_keeps_no_events() -> None:
    body = gzip.compress(GOOD * 1000)
    with HecServer(count_only=True) as server:
        assert ask(server, body, headers=SPLUNK | {"Content-Encoding": "gzip"}).status == 200
        assert ask(server, GOOD, headers={}).status == 401
        assert (len(server.store), server.events) == (1000, [])
        assert server.seen[0].bytes_plain == len(GOOD) * 1000


def test_counting_later_unpacks_when_it_is_told_to() -> None:
    body = gzip.compress(GOOD * 1000)
    with HecServer(count_only=True, later=True) as server:
        for sent in (body, body[:-9]):
            assert ask(server, sent, headers=SPLUNK | {"Content-Encoding": "gzip"}).status == 200
        assert ask(server, GOOD, headers={}).status == 401
        assert (len(server.store), server.seen[0].bytes_sent, server.seen[0].bytes_plain) == (0, len(body), 0)
        assert server.count_kept() == (1000, len(GOOD) * 1000)
        assert (len(server.store), server.count_kept()) == (1000, (0, 0))


def test_by_hand_it_prints_what_it_takes_and_nothing_that_moves_a_terminal() -> None:
    command = [sys.executable, "-m", "tests.hec", "--ack", "--events", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        port = int(first.split("127.0.0.1:")[1].split(",")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = SPLUNK | {"X-Splunk-Request-Channel": TOKEN}
        connection.request("POST", EVENT, '{"event":"\x7f\u202e"}{"event":2}'.encode(), headers)
        assert json.loads(connection.getresponse().read())["ackId"] == 0
        connection.close()
        rest = process.stdout.read()
        assert process.wait(20) == 0
    assert "200 code 0: 2 events" in rest
    assert r'{"event":"\x7f\u202e"}' in rest


def test_what_is_drained_was_counted_all_the_same(server: HecServer) -> None:
    for _ in range(3):
        ask(server, GOOD)
        assert len(server.store.drain()) == 1
    assert (len(server.store), server.store.total) == (0, 3)
    assert [seen.events for seen in server.seen] == [1, 1, 1]


def test_a_proxy_passes_on_and_can_ask_who_it_is(server: HecServer) -> None:
    with Proxy(credential="user:secret") as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        connection.request("POST", f"{server.url}{EVENT}", GOOD, SPLUNK)
        assert connection.getresponse().status == 407
        connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        who = {"Proxy-Authorization": "Basic dXNlcjpzZWNyZXQ="}
        connection.request("POST", f"{server.url}{EVENT}", GOOD, SPLUNK | who)
        assert connection.getresponse().status == 200
        connection.close()
        assert (proxy.passed, proxy.refused, len(server.store)) == (1, 1, 1)


def test_a_proxy_tunnels_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server()) as server, Proxy() as proxy:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=60, context=context)
        connection.set_tunnel("localhost", server.port)
        connection.request("POST", EVENT, GOOD, SPLUNK)
        assert connection.getresponse().status == 200
        connection.close()
        assert (proxy.passed, len(server.store)) == (1, 1)
