"""The faults of the Coder double: what it does instead of answering, or to its answer."""

from __future__ import annotations

from msgspec import Struct


class Fault(Struct, frozen=True):
    """One fault, for requests whose path begins with ``path``. Without ``status`` the answer itself is sound.

    ``slow_seconds``: waits before it answers; ``cut``: closes the connection in the midst of the body;
    ``body``: sent in place of the answer, with ``content_type``; ``retry_after``: the header; ``drip_seconds``: one
    byte of the head and the body in so long.
    """

    path: str = "/api/v2/"
    status: int | None = None
    slow_seconds: float = 0.0
    cut: bool = False
    body: bytes | None = None
    content_type: str = "application/json; charset=utf-8"
    retry_after: str | None = None
    location: str | None = None
    drip_seconds: float = 0.0


def unauthorized(path: str = "/api/v2/") -> Fault:
    """The session has expired."""
    return Fault(path, 401)


def forbidden(path: str = "/api/v2/") -> Fault:
    """The feature needs a licence, or the right is missing."""
    return Fault(path, 403)


def missing(path: str = "/api/v2/") -> Fault:
    """No such resource."""
    return Fault(path, 404)


def limited(path: str = "/api/v2/", retry_after: str | None = "60") -> Fault:
    """Too many requests."""
    return Fault(path, 429, retry_after=retry_after)


def broken(path: str = "/api/v2/", status: int = 500) -> Fault:
    """The server fails."""
    return Fault(path, status)


def slow(seconds: float, path: str = "/api/v2/") -> Fault:
    """The answer comes late."""
    return Fault(path, slow_seconds=seconds)


def cut(path: str = "/api/v2/") -> Fault:
    """The answer ends in its middle."""
    return Fault(path, cut=True)


def garbage(body: bytes, path: str = "/api/v2/", content_type: str = "application/json; charset=utf-8") -> Fault:
    """A 200 with another body than the answer."""
    return Fault(path, body=body, content_type=content_type)


def proxy_page(path: str = "/api/v2/") -> Fault:
    """A 200 of something that stands before Coder."""
    return Fault(path, body=b"<html><body>Sign in</body></html>", content_type="text/html")


def moved(location: str, path: str = "/api/v2/") -> Fault:
    """A redirect."""
    return Fault(path, 307, location=location)


def drip(seconds: float, path: str = "/api/v2/") -> Fault:
    """The answer comes byte by byte, so that no single wait is long."""
    return Fault(path, drip_seconds=seconds)
