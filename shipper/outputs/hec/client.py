"""The client: one connection to one collector, kept alive with its cookies, over which requests go one after another.

A request is bounded in each of its parts and as a whole: another thread calls ``cut`` when its time is over. Redirects
are not followed, and nothing of the environment (proxies, .netrc) takes part: the token goes nowhere else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import Struct

from shipper import __version__
from shipper.config import SplunkHecOutput
from shipper.errors import SecretError
from shipper.outputs.hec.answer import Answer, Verdict, printable
from shipper.outputs.hec.connection import Connection, Limits
from shipper.outputs.hec.token import Token
from shipper.pattern import pattern
from shipper.wire import Wire

if TYPE_CHECKING:
    import ssl

    from shipper.outputs.hec.tls import Trust

RESPONSE_MAX_BYTES = 256 << 10
"""What is read of a response; a longer one is no collector's."""
IDLE_MAX_SECONDS = 30.0
"""A connection that was idle for longer is not used again: what is sent on a dead one may or may not arrive."""
EVENT_PATH = "/services/collector/event"
ACK_PATH = "/services/collector/ack"
HEALTH_PATH = "/services/collector/health"
_AGENT = f"connlog/{__version__}"
_ALERTS = pattern(
    r"alert (certificate|bad certificate|unknown ca|access denied|no certificate|unsupported cert)", re.IGNORECASE
)


class Response(Struct, frozen=True):
    """What came back, whoever sent it."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Line:
    """A session with the collector at ``url``. Not for two requests at once; ``cut`` and ``overdue`` are for another thread."""

    def __init__(self, url: str, settings: SplunkHecOutput, trust: Trust | None) -> None:
        self._timeouts = (settings.connect_timeout_seconds, settings.read_timeout_seconds)
        self._total_seconds = settings.total_timeout_seconds
        self._deadline = float("inf")
        self._cut = False
        self._wire = Wire()
        self._connection = Connection(url, self._wire, Limits(*self._timeouts, RESPONSE_MAX_BYTES))
        self._trust = trust
        self._context: ssl.SSLContext | None = None
        self._proxy = settings.proxy
        self._proxy_auth = Token(settings.proxy_auth_file) if settings.proxy_auth_file is not None else None
        self._proxy_used: str | None = None
        self._used = float("inf")

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Response | Answer:
        """One request, whole: the response, or an answer that says how it failed."""
        self._cut = False
        now = time.monotonic()
        self._deadline = now + self._total_seconds
        try:
            self._prepare(now)
            reply = self._connection.ask(method, path, {"User-Agent": _AGENT, **headers}, body)
        except SecretError as error:
            return Answer(Verdict.HELD, text=str(error))
        except (OSError, ValueError) as error:
            return self._failure(error)
        finally:
            self._deadline = float("inf")
            self._used = time.monotonic()
        if reply.status == 407 and self._proxy_auth is not None:
            self._proxy_auth.refused()
        return Response(reply.status, reply.body, reply.headers)

    def overdue(self, now: float) -> bool:
        """Whether the request under way has had all of its time."""
        return now > self._deadline

    def cut(self) -> None:
        """End the request under way, as if the connection were broken."""
        self._cut = True
        self._wire.shut()

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _prepare(self, now: float) -> None:
        """Take what has changed meanwhile: certificates, the proxy's credential. Raises SecretError."""
        context = None if self._trust is None else self._trust.context(now)
        proxy: str | None = self._proxy or None
        if proxy and self._proxy_auth is not None:
            proxy = _with_login(proxy, self._proxy_auth.value(now))
        if context is not self._context or proxy != self._proxy_used:
            self._connection.use(context, proxy)
            self._context, self._proxy_used = context, proxy
        if now - self._used > IDLE_MAX_SECONDS:
            # Whoever stands on the way may have forgotten it, without a word.
            self._connection.close()

    def _failure(self, error: Exception) -> Answer:
        # Without a connection the request was never sent, nor was one that can't be written.
        sent = self._wire.connected and isinstance(error, OSError)
        verdict = Verdict.UNSURE if sent else Verdict.REFUSED
        if self._cut:
            text = f"no whole answer within {self._total_seconds:g} s"
        elif isinstance(error, TimeoutError) and not self._wire.connected:
            text = f"no connection within {self._timeouts[0]:g} s"
        elif isinstance(error, TimeoutError):
            text = f"no answer within {self._timeouts[1]:g} s"
        else:
            text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        if not self._wire.connected:
            if "407" in text:
                verdict = Verdict.HELD
                text = f"the proxy refuses: {text}; see proxy_auth_file"
                if self._proxy_auth is not None:
                    self._proxy_auth.refused()
            elif "certificate" in text.lower():
                text += "; see ca_file" if "verify failed" in text else ""
        elif _ALERTS.search(text):
            # With TLS 1.3 a server tells that it wants another certificate only after the connection is made.
            verdict = Verdict.HELD
            text += "; see client_cert_file"
        return Answer(verdict, text=printable(text))


def _with_login(proxy: str, login: str) -> str:
    """The proxy's address with ``user:password`` in it."""
    user, _, password = login.partition(":")
    credentials = ":".join(quote(part, safe="") for part in (user, password))
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{credentials}@{rest}"
