"""The reply: an answer of HTTP/1.1 read from a socket, each part within bounds, whatever the server writes."""

from __future__ import annotations

import select
import socket
import zlib
from collections.abc import Sequence

from msgspec import Struct

from shipper.pattern import pattern

HEAD_MAX_BYTES = 64 << 10
"""Of the status line and the headers, and of one line of a body in chunks."""
NOTICES_MAX_COUNT = 16
"""Heads of status 1xx before that of the answer itself."""
_PIECE_BYTES = 64 << 10
_status_line = pattern(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([^\r\n]*))?")
_chunk_size = pattern(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")


class Broken(OSError):
    """What came is no answer, or not all of one."""


class Reply(Struct, frozen=True):
    """``headers`` are named as is usual (``Retry-After``), the first of each; ``cookies`` are those to be set.
    ``stays``: the connection may be used again. A ``body`` over its limit is empty."""

    status: int
    reason: str
    headers: dict[str, str]
    cookies: Sequence[str]
    body: bytes
    stays: bool


class _Head(Struct, frozen=True):
    minor: int
    status: int
    reason: str
    headers: dict[str, str]
    cookies: list[str]


class Stream:
    """What comes over ``socket``: replies, one for each request. Its errors are OSErrors."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = bytearray()

    def ended(self) -> bool:
        """Whether no further request can be sent: the server closed the connection, or says what nobody asked for."""
        if self._buffer:
            return True
        waiting = select.poll()
        waiting.register(self.socket.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def reply(self, method: str, body_max_bytes: int) -> Reply:
        """The answer to a request of that method. Raises OSError, Broken where it is none."""
        head = self._head()
        for _ in range(NOTICES_MAX_COUNT):
            if head.status >= 200:
                break
            head = self._head()
        else:
            raise Broken("the server only says that its answer will come")
        stays = head.minor > 0 and "close" not in head.headers.get("Connection", "").lower()
        if method == "HEAD" or head.status in (204, 304) or (method == "CONNECT" and 200 <= head.status < 300):
            return Reply(head.status, head.reason, head.headers, head.cookies, b"", stays)
        length = head.headers.get("Content-Length", "")
        if "Transfer-Encoding" in head.headers:
            body = self._chunks(body_max_bytes)
            stays = stays and not length
        elif length.isascii() and length.isdecimal():
            size = int(length[:19])
            body = self._take(size) if size <= body_max_bytes else None
        else:
            body, stays = self._rest(body_max_bytes), False
        if body is None:
            body, stays = b"", False
        encoding = head.headers.get("Content-Encoding", "").lower()
        if encoding in ("gzip", "x-gzip", "deflate"):
            body = _unpacked(body, body_max_bytes)
        return Reply(head.status, head.reason, head.headers, head.cookies, body, stays)

    # -- parts -----------------------------------------------------------------------------

    def _head(self) -> _Head:
        first, *lines = self._until(b"\r\n\r\n").split(b"\r\n")
        found = _status_line.fullmatch(first)
        if found is None:
            raise Broken(f"what answers speaks no HTTP: {first[:80].decode('latin-1')!r}")
        headers: dict[str, str] = {}
        cookies: list[str] = []
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or name != name.strip():
                raise Broken(f"what answers speaks no HTTP: {line[:80].decode('latin-1')!r}")
            name = name.title()
            if name == "Set-Cookie":
                cookies.append(value.strip())
            else:
                headers.setdefault(name, value.strip())
        return _Head(int(found[1]), int(found[2]), (found[3] or b"").decode("latin-1").strip(), headers, cookies)

    def _chunks(self, most: int) -> bytes | None:
        body = bytearray()
        while True:
            found = _chunk_size.fullmatch(self._until(b"\r\n"))
            if found is None:
                raise Broken("the answer's body is not as its head says")
            size = int(found[1], 16)
            if not size:
                break
            if len(body) + size > most:
                return None
            body += self._take(size)
            if self._take(2) != b"\r\n":
                raise Broken("the answer's body is not as its head says")
        for _ in range(NOTICES_MAX_COUNT):
            if not self._until(b"\r\n"):
                return bytes(body)
        raise Broken("the answer's body has too much behind it")

    def _rest(self, most: int) -> bytes | None:
        while len(self._buffer) <= most:
            if not self._fill():
                body = bytes(self._buffer)
                self._buffer.clear()
                return body
        return None

    # -- bytes -----------------------------------------------------------------------------

    def _until(self, mark: bytes) -> bytes:
        """What stands before ``mark``, which is taken too."""
        seen = 0
        while (end := self._buffer.find(mark, seen)) < 0:
            seen = max(0, len(self._buffer) - len(mark) + 1)
            if len(self._buffer) > HEAD_MAX_BYTES:
                raise Broken(f"a part of the answer is longer than {HEAD_MAX_BYTES >> 10} KiB")
            if not self._fill():
                raise Broken(
                    "the connection ended in the middle of the answer"
                    if self._buffer
                    else "the connection ended without an answer"
                )
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return found

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._fill():
                raise Broken("the connection ended in the middle of the answer")
        found = bytes(self._buffer[:size])
        del self._buffer[:size]
        return found

    def _fill(self) -> bool:
        piece = self.socket.recv(_PIECE_BYTES)
        self._buffer += piece
        return bool(piece)


def _unpacked(body: bytes, most: int) -> bytes:
    """A body that the server packed, though nobody asked for that; as it is where it is not what it says."""
    try:
        plain = zlib.decompressobj(47).decompress(body, most + 1)
    except zlib.error:
        return body
    return plain if len(plain) <= most else b""


__all__ = ["Broken", "Reply", "Stream"]
