"""An answer is read as HTTP/1.1 says, however it is cut into pieces, and nothing that a server writes is more than an
error: no hang, no memory without bound."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.reply import HEAD_MAX_BYTES, NOTICES_MAX_COUNT, Broken, Reply, Stream

LIMIT = 1000
NOISE_MAX_BYTES = 4_000_000


@contextlib.contextmanager
def written(pieces: Sequence[bytes], *, open_ended: bool = False) -> Iterator[Stream]:
    """A stream whose server writes these pieces and ends, unless ``open_ended``."""
    ours, theirs = socket.socketpair()
    # What is read too far would wait for ever, and no test does.
    ours.settimeout(20.0)

    def write() -> None:
        with contextlib.suppress(OSError):
            for piece in pieces:
                theirs.sendall(piece)
            if not open_ended:
                theirs.shutdown(socket.SHUT_WR)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with ours, theirs:
            yield Stream(ours)
            theirs.shutdown(socket.SHUT_RDWR)
    finally:
        writer.join()


def read(*pieces: bytes, method: str = "POST", open_ended: bool = True) -> Reply:
    with written(pieces, open_ended=open_ended) as stream:
        return stream.reply(method, LIMIT)


_bodies = st.binary(max_size=LIMIT)
_chunked = st.lists(st.binary(min_size=1, max_size=100), max_size=9)


@given(_bodies, st.lists(st.integers(1, 200), max_size=20))
def test_a_body_of_known_length_is_read_whole_however_it_comes(body: bytes, cuts: list[int]) -> None:
    text = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: %d\r\nretry-after:  7 \r\n\r\n%s" % (len(body), body)
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    reply = read(*pieces, text[at:])
    assert (reply.status, reply.reason, reply.body, reply.stays) == (200, "OK", body, True)
    assert reply.headers["Retry-After"] == "7"


@given(_chunked, st.booleans())
def test_a_body_in_chunks_is_their_sum(chunks: list[bytes], trailer: bool) -> None:
    text = b"".join(b"%x;name=value\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    end = b"0\r\nX-Trailer: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    reply = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", text + end)
    assert reply.body == b"".join(chunks)
    assert reply.stays


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reply = read(b"HTTP/1.1 503 Busy\r\n\r\nso it is", open_ended=False)
    assert (reply.status, reply.body, reply.stays) == (503, b"so it is", False)


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
    assert read(head + b"Content-Length: 0\r\n\r\n").stays is stays


def test_notices_before_the_answer_are_passed_over_up_to_a_bound() -> None:
    notice, answer = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert read(notice * 3 + answer).body == b"ok"
    with pytest.raises(Broken):
        read(notice * (NOTICES_MAX_COUNT + 1) + answer)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("CONNECT", b"HTTP/1.1 200 Connection established\r\n\r\n"),
    ],
)
def test_an_answer_that_has_no_body_is_not_waited_for(method: str, head: bytes) -> None:
    assert read(head, method=method).body == b""


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (LIMIT + 1),
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["length", "absurd length", "chunks", "until the end", "no length"],
)
def test_a_body_over_the_limit_is_left_out_and_the_connection_given_up(head: bytes) -> None:
    reply = read(head, b"x" * NOISE_MAX_BYTES)
    assert (reply.status, reply.body, reply.stays) == (200, b"", False)


def test_a_body_that_was_packed_unasked_is_unpacked_within_the_limit() -> None:
    def packed(body: bytes) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    assert read(packed(gzip.compress(b"so it is"))).body == b"so it is"
    assert read(packed(gzip.compress(bytes(1000 * LIMIT))[:LIMIT])).body == b""
    assert read(packed(b"not packed")).body == b"not packed"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 99 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n folded: line\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"x" * NOISE_MAX_BYTES,
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * NOISE_MAX_BYTES,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5;" + b"y" * NOISE_MAX_BYTES,
    ],
)
def test_what_is_no_whole_answer_is_an_error_in_words(text: bytes) -> None:
    with written([text]) as stream, pytest.raises(Broken) as broken:
        stream.reply("POST", LIMIT)
    assert str(broken.value)
    assert len(str(broken.value)) < 500
    assert len(stream._buffer) <= HEAD_MAX_BYTES * 3


@given(st.binary(max_size=300) | st.binary(max_size=200).map(lambda tail: b"HTTP/1.1 200 OK\r\n" + tail))
def test_any_bytes_at_all_are_an_answer_or_an_error(text: bytes) -> None:
    with written([text]) as stream:
        try:
            reply = stream.reply("GET", LIMIT)
        except Broken:
            return
    assert len(reply.body) <= LIMIT


def test_what_comes_unasked_or_the_end_shows_before_the_next_request() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    with written([answer], open_ended=True) as stream:
        assert stream.reply("GET", LIMIT).stays
        assert not stream.ended()
    with written([answer]) as stream:
        stream.reply("GET", LIMIT)
        assert stream.ended()
    with written([answer + b"HTTP/1.1 200 OK\r\n"], open_ended=True) as stream:
        stream.reply("GET", LIMIT)
        assert stream.ended()
