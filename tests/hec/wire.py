"""HTTP on a socket, as far as a HEC server needs it: a request read piece by piece, an answer written at once."""

from __future__ import annotations

import socket
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from tests.hec.answer import Answer

HEAD_MAX_BYTES = 64 * 1024
PIECE_BYTES = 256 * 1024
BASE = "/services/collector"
SERVICES = {
    "": "event",
    "/event": "event",
    "/event/1.0": "event",
    "/raw": "raw",
    "/raw/1.0": "raw",
    "/ack": "ack",
    "/health": "health",
    "/health/1.0": "health",
}
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
HEADERS = "Server: Splunkd\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: SAMEORIGIN\r\nVary: Authorization\r\n"


class Request(Struct, kw_only=True):
    """One request. ``service`` is event, raw, ack or health, ``""`` for paths that are none of HEC's."""

    connection: int
    number: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def service(self) -> str:
        """Which of HEC's services the path names."""
        return SERVICES.get(self.path.removeprefix(BASE), "") if self.path.startswith(BASE) else ""

    @property
    def channel(self) -> str | None:
        """The channel in the header, else in the query."""
        return self.headers.get("x-splunk-request-channel") or self.query.get("channel") or None

    @property
    def keeps_alive(self) -> bool:
        """Does the client want the connection to stay?"""
        return self.headers.get("connection", "").lower() != "close"


class BrokenRequest(Exception):
    """What came is no HTTP, or the client went away in the middle of it."""


class Stream:
    """The client's side of a connection: heads, then bodies of a given length or in chunks."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray()

    def head(self) -> tuple[str, str, dict[str, str]] | None:
        """Method, target and headers (names in lower case) of the next request; None when the client is done."""
        end = self._find(b"\r\n\r\n")
        if end is None:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        parts = lines[0].split(" ")
        if len(parts) != 3:
            raise BrokenRequest(lines[0])
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        return parts[0], parts[1], headers

    def take(self, most: int) -> bytes:
        """Up to ``most`` bytes; raises where the client went away."""
        if not self._buffer:
            self._fill()
        piece = bytes(self._buffer[:most])
        del self._buffer[: len(piece)]
        return piece

    def rest(self) -> bytes:
        """What was read and not yet taken."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def chunk_size(self) -> int:
        """The size of the next chunk of a chunked body; 0 is the last one, whose trailer is read too."""
        end = self._line()
        size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
        del self._buffer[: end + 2]
        if size == 0:
            while (end := self._line()) > 0:
                del self._buffer[: end + 2]
            del self._buffer[:2]
        return size

    def chunk_end(self) -> None:
        """The line end after a chunk."""
        del self._buffer[: self._line() + 2]

    def _line(self) -> int:
        end = self._find(b"\r\n")
        if end is None:
            raise BrokenRequest("the client went away")
        return end

    def _find(self, mark: bytes) -> int | None:
        start = 0
        while (end := self._buffer.find(mark, start)) < 0:
            if len(self._buffer) > HEAD_MAX_BYTES:
                raise BrokenRequest("the head is too long")
            start = max(0, len(self._buffer) - len(mark))
            empty = not self._buffer
            piece = self._socket.recv(PIECE_BYTES)
            if not piece:
                if empty:
                    return None
                raise BrokenRequest("the client went away")
            self._buffer += piece
        return end

    def _fill(self) -> None:
        piece = self._socket.recv(PIECE_BYTES)
        if not piece:
            raise BrokenRequest("the client went away")
        self._buffer += piece


def request_of(connection: int, number: int, head: tuple[str, str, dict[str, str]]) -> Request:
    """The request of a head; a proxy's absolute target is taken too."""
    method, target, headers = head
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    path = parts.path.rstrip("/") or "/"
    return Request(connection=connection, number=number, method=method, path=path, query=query, headers=headers)


def answer_bytes(answer: Answer, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """The answer as it goes over the wire."""
    reason = REASONS.get(answer.status, "Status")
    lines = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    connection = "Keep-Alive" if keep_alive else "Close"
    head = f"HTTP/1.1 {answer.status} {reason}\r\n{HEADERS}{lines}Content-Length: {len(answer.body)}\r\n"
    return f"{head}Connection: {connection}\r\n\r\n".encode("latin-1") + (answer.body if with_body else b"")
