"""The reply: what a server answered, read within bounds, whatever the server writes.

The head is bounded by http.client: 100 headers of 64 KiB each.
"""

from __future__ import annotations

import zlib
from http.client import BadStatusLine, HTTPException, HTTPResponse, IncompleteRead, UnknownProtocol

from msgspec import Struct


class Broken(OSError):
    """What came is no answer, or not all of one."""


class Reply(Struct, frozen=True):
    """``headers`` are named as is usual (``Retry-After``), the first of each. ``stays``: the connection may be used
    again. A ``body`` over its limit is empty."""

    status: int
    headers: dict[str, str]
    body: bytes
    stays: bool


def read(response: HTTPResponse, body_max_bytes: int) -> Reply:
    """All of it. Raises OSError, Broken where it ends too early, and HTTPException."""
    body = bytearray()
    # Piece by piece: one read of it all takes a chunk of a negative size for one without an end.
    while len(body) <= body_max_bytes and (piece := response.read1(body_max_bytes + 1 - len(body))):
        body += piece
    whole = len(body) <= body_max_bytes
    if whole and response.length:
        raise Broken("the connection ended in the middle of the answer")
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        headers.setdefault(name.title(), value)
    content = bytes(body) if whole else b""
    if headers.get("Content-Encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate"):
        content = _unpacked(content, body_max_bytes)
    return Reply(response.status, headers, content, whole and not response.will_close)


def broken(error: HTTPException) -> Broken:
    """What http.client found, in words."""
    if isinstance(error, BadStatusLine):
        return Broken(f"what answers speaks no HTTP: {str(error)[:80]!r}")
    if isinstance(error, UnknownProtocol):
        return Broken(f"what answers speaks another HTTP: {str(error)[:80]!r}")
    if isinstance(error, IncompleteRead):
        return Broken("the connection ended in the middle of the answer")
    return Broken(f"the answer can't be read: {str(error)[:80] or type(error).__name__}")


def _unpacked(body: bytes, most: int) -> bytes:
    """A body that the server packed, though nobody asked for that; as it is where it is not what it says."""
    try:
        plain = zlib.decompressobj(47).decompress(body, most + 1)
    except zlib.error:
        return body
    return plain if len(plain) <= most else b""


__all__ = ["Broken", "Reply", "broken", "read"]
