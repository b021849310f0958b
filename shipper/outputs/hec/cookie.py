"""The cookies of one server, as far as balancers use them to keep a session with one node, within bounds.

Kept by ``http.cookiejar``, which takes as long to load as all else of HTTP: only who is given a cookie needs it.
"""

from __future__ import annotations

from http.client import HTTPResponse
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from urllib.request import Request

from shipper.pattern import pattern

COOKIES_MAX_COUNT = 50
"""A server that gives more cookies than this has all of them forgotten."""
COOKIE_MAX_CHARACTERS = 4096
"""A longer one is not kept."""
_sound = pattern(r"[!-:<-~]+=[!-:<-~]*")


class Cookies:
    """What a server wants to get back. ``url`` is that of a request to it."""

    def __init__(self) -> None:
        self._jar = CookieJar(_Policy())

    def __len__(self) -> int:
        return len(self._jar)

    def take(self, url: str, response: HTTPResponse) -> None:
        """Take note of the cookies of an answer. What is none, or is for another server, is left out."""
        self._jar.extract_cookies(response, _request(url))
        if len(self._jar) > COOKIES_MAX_COUNT:
            self._jar.clear()

    def header(self, url: str) -> str:
        """The ``Cookie`` header of a request for ``url``; empty without any."""
        request = _request(url)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie", "") or ""


def _request(url: str) -> Request:
    return Request(url)  # noqa: S310 (nobody opens it)


class _Policy(DefaultCookiePolicy):
    """Leaves out what would not be sent back as it is, in one header."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        text = f"{cookie.name}={cookie.value}"
        sound = cookie.value is not None and len(text) <= COOKIE_MAX_CHARACTERS and _sound.fullmatch(text) is not None
        return sound and super().set_ok(cookie, request)


__all__ = ["COOKIES_MAX_COUNT", "COOKIE_MAX_CHARACTERS", "Cookies"]
