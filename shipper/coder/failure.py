"""Failures: what an answer that is no 200, or no answer at all, means, in words that say what to do next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from shipper.coder.answer import Refusal, read_answer
from shipper.errors import ConnlogError, RemoteBusy, RemoteError, RemoteMissing, RemoteRefused

REFUSAL_MAX_CHARACTERS = 300
RETRY_LONGEST_SECONDS = 86_400.0
"""What a server may ask for at most by Retry-After; a clock that is wrong would else hold connlog off for ever."""


def failure(status: int, what: str, raw: bytes, headers: Mapping[str, str]) -> ConnlogError:
    """The error for an answer that is no 200; what the server says is quoted, cut and never more than a line."""
    said = _said(raw)
    if status == 401:
        return RemoteRefused(f"{what}: 401, Coder does not take the token{said}; put a new one into its file")
    if status == 403:
        return RemoteRefused(f"{what}: 403, the token may not do this{said}; docs/directory.md lists the roles")
    if status in (404, 410):
        return RemoteMissing(
            f"{what}: {status}, not there, or hidden from the token{said}; check coder.url and the token's roles"
        )
    if status == 429 or status >= 500 or status == 408:
        wish = retry_seconds(headers.get("Retry-After"))
        when = (
            "" if wish is None or wish < 60 else f"; try again in {round(wish / 60)} minute{'s' if wish >= 90 else ''}"
        )
        return RemoteBusy(f"{what}: {status}{said}{when}", wish)
    if 300 <= status < 400:
        target = headers.get("Location", "")[:REFUSAL_MAX_CHARACTERS]
        return RemoteError(f"{what}: {status}, it redirects to {target!r}, which is not followed; correct coder.url")
    return RemoteError(f"{what}: {status}{said}")


def _said(raw: bytes) -> str:
    try:
        refusal = read_answer(raw, Refusal, "")
    except RemoteError:
        return ""
    texts = [refusal.message, refusal.detail, *(f"{one.field}: {one.detail}" for one in refusal.validations)]
    joined = " / ".join(text for text in texts if text)[:REFUSAL_MAX_CHARACTERS]
    text = "".join(character if character.isprintable() else " " for character in joined)
    return f" ({text})" if text else ""


def reason(error: Exception) -> str:
    """What went wrong with a connection, in a few words: the library's own name the whole URL with its query."""
    import requests

    for kind, words in (
        (requests.exceptions.SSLError, "its certificate is not trusted, or TLS failed"),
        (requests.exceptions.ProxyError, "the proxy does not let it through"),
        (requests.exceptions.ConnectTimeout, "no connection in time"),
        (requests.exceptions.Timeout, "no answer in time"),
        (requests.exceptions.ChunkedEncodingError, "the answer ended before its end"),
        (requests.exceptions.ContentDecodingError, "the answer can't be unpacked"),
        (requests.exceptions.ConnectionError, "no connection, or it was cut"),
    ):
        if isinstance(error, kind):
            return words
    return type(error).__name__


def number(text: str | None) -> float | None:
    """A whole number of a header."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 16 else None


def retry_seconds(text: str | None) -> float | None:
    """What Retry-After asks for, in seconds from now: Coder sends a number, a proxy before it may send a date."""
    wish = number(text)
    if wish is None and text is not None:
        try:
            wish = max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
    return None if wish is None else min(wish, RETRY_LONGEST_SECONDS)
