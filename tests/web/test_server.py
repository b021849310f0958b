"""The server answers GET of three paths, and whatever else it is sent does nothing to it and comes back in no answer."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.status import Status
from shipper.web import server as server_module
from shipper.web.server import Endpoint

DEADLINE_SECONDS = 60.0


def connect(endpoint: Endpoint) -> socket.socket:
    host, port = endpoint.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS)


def exchange(endpoint: Endpoint, request: bytes) -> bytes:
    """What comes back until the server closes."""
    with connect(endpoint) as one:
        reply = b""
        try:
            one.sendall(request)
            one.shutdown(socket.SHUT_WR)
            while piece := one.recv(65536):
                reply += piece
        except OSError:
            pass  # closed with bytes unread: that is an answer too
    return reply


def code_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/metrics?x=y"])
def test_its_paths_are_answered(endpoint: Endpoint, status: Callable[..., Status], path: str) -> None:
    endpoint.publish(status())
    with urllib.request.urlopen(endpoint.url + path, timeout=DEADLINE_SECONDS) as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("text/plain")
        assert reply.read()


@pytest.mark.parametrize("path", [b"/", b"/metrics/", b"/../etc/passwd", b"/metrics%00", b"http://x/y", b"*"])
def test_any_other_path_is_404(endpoint: Endpoint, path: bytes) -> None:
    assert code_of(exchange(endpoint, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == 404


@pytest.mark.parametrize(
    "method", [b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"X"]
)
def test_any_other_method_is_405(endpoint: Endpoint, method: bytes) -> None:
    reply = exchange(endpoint, method + b" /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert code_of(reply) == 405
    assert b"\r\nAllow: GET\r\n" in reply


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request=st.one_of(
        st.binary(max_size=2000),
        st.builds(
            b"GET /metrics HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n".__mod__,
            st.tuples(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50)),
        ),
        st.builds(b"GET /%s HTTP/1.1\r\n\r\n".__mod__, st.binary(max_size=100)),
    )
)
def test_it_outlives_any_request_and_repeats_none(endpoint: Endpoint, request: bytes) -> None:
    marked = request.replace(b"q", b"") + b"qqqREFLECTEDqqq\r\n\r\n"
    assert b"REFLECTED" not in exchange(endpoint, marked)
    assert code_of(exchange(endpoint, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize(
    "request_", [b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n"]
)
def test_a_request_has_a_bounded_size(endpoint: Endpoint, request_: bytes) -> None:
    reply = exchange(endpoint, request_)
    assert not reply or code_of(reply) in (414, 431)
    assert code_of(exchange(endpoint, b"GET /healthz HTTP/1.0\r\n\r\n")) == 200


def test_who_is_slow_is_cut_off_though_bytes_keep_coming(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.3)
    deadline = time.monotonic() + DEADLINE_SECONDS
    with connect(endpoint) as slow:
        slow.settimeout(0.05)
        while True:
            assert time.monotonic() < deadline, "it is still served"
            try:
                slow.sendall(b"G")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break


def test_many_idle_callers_do_not_keep_others_out_for_ever(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_SECONDS", 0.3)
    idle = [connect(endpoint) for _ in range(server_module.REQUESTS_MAX_COUNT * 2)]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not exchange(endpoint, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for one in idle:
        one.close()


def test_reasons_are_lines_of_printable_text(endpoint: Endpoint, status: Callable[..., Status]) -> None:
    endpoint.publish(status(paused="the disk\x1b[2J is\nfull"))
    reply = exchange(endpoint, b"GET /readyz HTTP/1.0\r\n\r\n")
    assert code_of(reply) == 503
    assert reply.endswith(b"\r\n\r\nreading is paused: the disk\\x1b[2J is\\nfull\n")


def test_before_the_first_status_it_is_alive_and_not_ready(endpoint: Endpoint) -> None:
    assert exchange(endpoint, b"GET /healthz HTTP/1.0\r\n\r\n").endswith(b"ok\n")
    assert exchange(endpoint, b"GET /readyz HTTP/1.0\r\n\r\n").endswith(b"starting\n")
    assert b"process_resident_memory_bytes" in exchange(endpoint, b"GET /metrics HTTP/1.0\r\n\r\n")


def test_a_port_in_use_is_an_os_error(endpoint: Endpoint) -> None:
    with pytest.raises(OSError, match="in use"):
        Endpoint(endpoint.url.removeprefix("http://"))
