"""The cookies of one server, as far as balancers use them to keep a session with one node (RFC 6265)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from msgspec import Struct

from shipper.pattern import pattern

COOKIES_MAX_COUNT = 50
"""A server that gives more cookies than this has all of them forgotten."""
COOKIE_MAX_CHARACTERS = 4096
"""A longer one is not kept."""
_sound = pattern(r"[!-:<-~]+")


class _Cookie(Struct, frozen=True):
    value: str
    path: str
    secure: bool
    until: float


class Cookies:
    """What the server named ``host`` wants to get back. ``now`` is in seconds since 1970."""

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        self._kept: dict[tuple[str, str], _Cookie] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, headers: Iterable[str], now: float | None = None) -> None:
        """Take note of ``Set-Cookie`` headers. What is none, or is for another host, is left out."""
        for text in headers:
            first, *attributes = text.split(";")
            name, equals, value = first.partition("=")
            name, value = name.strip(), value.strip()
            if not equals or not name or len(first) > COOKIE_MAX_CHARACTERS or "=" in name:
                continue
            if _sound.fullmatch(name) is None or (value and _sound.fullmatch(value) is None):
                continue
            self._keep(name, value, attributes, time.time() if now is None else now)
        if len(self._kept) > COOKIES_MAX_COUNT:
            self._kept.clear()

    def header(self, path: str, secure: bool, now: float | None = None) -> str:
        """The ``Cookie`` header of a request for ``path``, the longest paths first; empty without any."""
        if not self._kept:
            return ""
        now = time.time() if now is None else now
        self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
        fit = [
            (len(kept.path), f"{name}={kept.value}")
            for (name, _), kept in self._kept.items()
            if (secure or not kept.secure) and _within(path, kept.path)
        ]
        return "; ".join(text for _, text in sorted(fit, key=lambda one: -one[0]))

    def _keep(self, name: str, value: str, attributes: list[str], now: float) -> None:
        path, secure, until = "/", False, float("inf")
        aged = False
        for attribute in attributes:
            key, _, told = (part.strip() for part in attribute.partition("="))
            match key.lower():
                case "path" if told.startswith("/"):
                    path = told
                case "secure":
                    secure = True
                case "domain" if told:
                    domain = told.lower().lstrip(".")
                    if self._host != domain and not self._host.endswith(f".{domain}"):
                        return
                case "max-age" if told.removeprefix("-").isdecimal() and told.isascii():
                    aged = True
                    until = now + min(int(told[:15]), 1e10) if not told.startswith("-") else 0.0
                case "expires" if not aged:
                    until = _moment(told)
        if until <= now:
            self._kept.pop((name, path), None)
        else:
            self._kept[name, path] = _Cookie(value, path, secure, until)


def _moment(text: str) -> float:
    """The time of an ``Expires`` in seconds since 1970; one that can't be read is no limit."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return float("inf")


def _within(path: str, scope: str) -> bool:
    return path == scope or (path.startswith(scope) and (scope.endswith("/") or path[len(scope)] == "/"))


__all__ = ["COOKIES_MAX_COUNT", "Cookies"]
