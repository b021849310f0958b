"""An answer is read as HTTP/1.1 says, however it is cut into pieces, and nothing that a server writes is more than an
error: no hang, no memory without bound, and never the answer to another request."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.connection import Connection, Limits
from shipper.outputs.hec.reply import Reply
from shipper.wire import Wire
from tests.outputs.hec.conftest import wait
from tests.outputs.hec.parrot import Parrot

LIMIT = 1000
NOISE_MAX_BYTES = 4_000_000
MEMORY_MAX_BYTES = 2_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def connected(server: Parrot) -> Connection:
    # What is read too far would wait for ever, and no test does.
    return Connection(server.url, Wire(), Limits(20.0, 20.0, LIMIT))


def read(*pieces: bytes, open_ended: bool = True) -> tuple[Reply, bool]:
    """The answer, and whether its connection is kept."""
    with Parrot(pieces, open_ended=open_ended) as server:
        connection = connected(server)
        try:
            reply = connection.ask("GET", "/x", {}, None)
            return reply, connection._speaker is not None
        finally:
            connection.close()


_bodies = st.binary(max_size=LIMIT)
_chunked = st.lists(st.binary(min_size=1, max_size=100), max_size=9)


@given(_bodies, st.lists(st.integers(1, 200), max_size=20))
def test_a_body_of_known_length_is_read_whole_however_it_comes(body: bytes, cuts: list[int]) -> None:
    text = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: %d\r\nretry-after:  7\r\n\r\n%s" % (len(body), body)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    reply, stays = read(*pieces, text[at:])
    assert (reply.status, reply.body, stays) == (200, body, True)
    assert reply.headers["Retry-After"] == "7"


@given(_chunked, st.booleans())
def test_a_body_in_chunks_is_their_sum(chunks: list[bytes], trailer: bool) -> None:
    text = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = b"0\r\nX-Trailer: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    reply, stays = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", text + end)
    assert reply.body == b"".join(chunks)
    assert stays


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reply, stays = read(b"HTTP/1.1 503 Busy\r\n\r\nso it is", open_ended=False)
    assert (reply.status, reply.body, stays) == (503, b"so it is", False)


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nconnection: Keep-Alive, Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
    ],
)
def test_a_connection_stays_where_the_server_lets_it(head: bytes, stays: bool) -> None:
    assert read(head + b"Content-Length: 0\r\n\r\n")[1] is stays


def test_notices_before_the_answer_are_passed_over() -> None:
    assert read(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK)[0].body == b"ok"


def test_an_answer_that_has_no_body_is_not_waited_for() -> None:
    reply, stays = read(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (reply.body, stays) == (b"", True)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % (b"9" * 10_000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-7\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=[
        "length",
        "absurd length",
        "no number",
        "chunks",
        "endless chunk",
        "negative chunk",
        "until the end",
        "no length",
    ],
)
def test_a_body_over_the_limit_is_left_out_and_the_connection_given_up(head: bytes) -> None:
    noise = b"x" * NOISE_MAX_BYTES
    tracemalloc.start()
    try:
        reply, stays = read(head, noise)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX_BYTES
    finally:
        tracemalloc.stop()
    assert (reply.status, reply.body, stays) == (200, b"", False)


def test_a_body_that_was_packed_unasked_is_unpacked_within_the_limit() -> None:
    def packed(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    assert read(packed(gzip.compress(b"so it is")))[0].body == b"so it is"
    assert read(packed(gzip.compress(bytes(1000 * LIMIT))[:LIMIT]))[0].body == b""
    assert read(packed(b"not packed"))[0].body == b"not packed"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\nabc\r\n0\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"x" * NOISE_MAX_BYTES,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * NOISE_MAX_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5;" + b"y" * NOISE_MAX_BYTES,
    ],
)
def test_what_is_no_whole_answer_is_an_error_in_words(text: bytes) -> None:
    with pytest.raises(OSError, match=r"\w \w") as broken:
        read(text, open_ended=False)
    assert len(str(broken.value)) < 500


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
def test_any_bytes_at_all_are_an_answer_or_an_error(text: bytes) -> None:
    try:
        reply, _ = read(text, open_ended=False)
    except OSError:
        return
    assert len(reply.body) <= LIMIT


def test_what_comes_unasked_is_never_the_answer_to_the_next_request() -> None:
    """It would count events as taken that nobody took."""
    with Parrot([OK + OK], [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], open_ended=True) as server:
        connection = connected(server)
        assert connection.ask("GET", "/x", {}, None).status == 200
        assert connection.ask("GET", "/x", {}, None).status == 503
        server.say(OK)
        speaker = connection._speaker
        assert speaker is not None
        assert wait(speaker.ended)
        with pytest.raises(ConnectionError):
            connection.ask("GET", "/x", {}, None)
        assert server.connections == 2
        connection.close()


def test_a_connection_that_the_server_ended_is_not_used_again() -> None:
    """What is sent on it may or may not arrive."""
    with Parrot([OK], [OK], open_ended=True) as server:
        connection = connected(server)
        assert connection.ask("GET", "/x", {}, None).status == 200
        server.end()
        speaker = connection._speaker
        assert speaker is not None
        assert wait(speaker.ended)
        assert connection.ask("GET", "/x", {}, None).status == 200
        assert server.connections == 2
        connection.close()
