"""Tokens of the HEC server: what each allows, and which one a request shows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping

from msgspec import Struct

TOKEN = "11111111-2222-4333-8444-555555555555"


class Token(Struct, frozen=True, kw_only=True):
    """One stanza ``[http://NAME]`` of inputs.conf; ``indexes`` empty allows any index."""

    value: str = TOKEN
    name: str = "connlog"
    disabled: bool = False
    index: str = "main"
    indexes: frozenset[str] = frozenset()
    use_ack: bool = False
    allow_query: bool = False
    host: str = "127.0.0.1"
    source: str = "http:connlog"
    sourcetype: str = "httpevent"


class TokenTable:
    """The tokens of a server by value; a test may put, replace and drop them while it runs."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = {token.value: token for token in tokens}

    def put(self, token: Token) -> None:
        """Adds a token or takes the place of the one with its value."""
        self._tokens = {**self._tokens, token.value: token}

    def drop(self, value: str) -> None:
        """Forgets a token: requests with it get code 4."""
        self._tokens = {key: token for key, token in self._tokens.items() if key != value}

    def authorise(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Token | int:
        """The token of a request, or the code that refuses it.

        A token in the query wins over the header even where the feature is off (code 16).
        """
        if "token" in query:
            token = self._tokens.get(query["token"])
            if token is None:
                return 4
            if not token.allow_query:
                return 16
            return 1 if token.disabled else token
        if "authorization" not in headers:
            return 2
        value = _credential(headers["authorization"])
        if value is None:
            return 3
        token = self._tokens.get(value)
        if token is None:
            return 4
        return 1 if token.disabled else token


def _credential(header: str) -> str | None:
    """The token in ``Splunk TOKEN`` or in Basic's password; None where the form is neither."""
    scheme, _, rest = header.strip().partition(" ")
    rest = rest.strip()
    if not rest:
        return None
    if scheme.lower() == "splunk":
        return rest
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(rest, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        _, colon, password = text.partition(":")
        return password if colon else None
    return None
