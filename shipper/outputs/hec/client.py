"""The client: one connection to one collector, kept alive with its cookies, over which requests go one after another.

A request is bounded in each of its parts and as a whole: another thread calls ``cut`` when its time is over. Redirects
are not followed, and nothing of the environment (proxies, .netrc) takes part: the token goes nowhere else.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from urllib.parse import quote

import requests
import urllib3
from msgspec import Struct

from shipper import __version__
from shipper.config import SplunkHecOutput
from shipper.errors import SecretError
from shipper.outputs.hec.answer import Answer, Verdict, printable
from shipper.outputs.hec.tls import Trust
from shipper.outputs.hec.token import Token
from shipper.wire import Wire, WireAdapter

RESPONSE_MAX_BYTES = 256 << 10
"""What is read of a response; a longer one is no collector's."""
IDLE_MAX_SECONDS = 30.0
"""A connection that was idle for longer is not used again: what is sent on a dead one may or may not arrive."""
COOKIES_MAX_COUNT = 50
"""A server that gives more cookies than this has all of them forgotten."""
EVENT_PATH = "/services/collector/event"
ACK_PATH = "/services/collector/ack"
HEALTH_PATH = "/services/collector/health"
_ALERTS = re.compile(
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
        self._url = url
        self._timeouts = (settings.connect_timeout_seconds, settings.read_timeout_seconds)
        self._total_seconds = settings.total_timeout_seconds
        self._deadline = float("inf")
        self._cut = False
        self._wire = Wire()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers["User-Agent"] = f"connlog/{__version__}"
        self._session.verify = settings.tls_verify
        if not settings.tls_verify:
            # Said once by the output itself, in words that an operator knows.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._trust = trust
        self._context: ssl.SSLContext | None = None
        self._proxy = settings.proxy
        self._proxy_auth = Token(settings.proxy_auth_file) if settings.proxy_auth_file is not None else None
        self._proxy_used: str | None = None
        self._used = float("inf")
        self._prepared: dict[tuple[str, str], tuple[dict[str, str], requests.PreparedRequest]] = {}
        """The last request of each kind, and the headers that it was asked with."""
        self._mount()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Response | Answer:
        """One request, whole: the response, or an answer that says how it failed."""
        self._cut = False
        now = time.monotonic()
        self._deadline = now + self._total_seconds
        try:
            self._prepare(now)
            with self._session.send(
                self._request(method, path, headers, body),
                timeout=self._timeouts,
                proxies=self._session.proxies,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = response.raw.read(RESPONSE_MAX_BYTES + 1, decode_content=True)
                if len(content) > RESPONSE_MAX_BYTES:
                    self._wire.shut()
                    content = b""
                if len(self._session.cookies) > COOKIES_MAX_COUNT:
                    self._session.cookies.clear()
                if response.status_code == 407 and self._proxy_auth is not None:
                    self._proxy_auth.refused()
                return Response(response.status_code, content, response.headers)
        except SecretError as error:
            return Answer(Verdict.HELD, text=str(error))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return self._failure(error)
        finally:
            self._deadline = float("inf")
            self._used = time.monotonic()

    def overdue(self, now: float) -> bool:
        """Whether the request under way has had all of its time."""
        return now > self._deadline

    def cut(self) -> None:
        """End the request under way, as if the connection were broken."""
        self._cut = True
        self._wire.shut()

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()

    def _prepare(self, now: float) -> None:
        """Take what has changed meanwhile: certificates, the proxy's credential. Raises SecretError."""
        if self._trust is not None and self._trust.context(now) is not self._context:
            self._session.close()
            self._mount()
        if self._proxy:
            proxy = self._proxy if self._proxy_auth is None else _with_login(self._proxy, self._proxy_auth.value(now))
            if proxy != self._proxy_used:
                self._session.close()
                self._proxy_used = proxy
                self._session.proxies = {"http": proxy, "https": proxy}
        if now - self._used > IDLE_MAX_SECONDS:
            # Whoever stands on the way may have forgotten it, without a word.
            self._session.close()

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        """The request, prepared: the one before with another body and the cookies as they are now, where all else is the
        same, since to prepare one costs as much as to send it. Raises ValueError for headers that can't be."""
        known, request = self._prepared.get((method, path), ({}, None))
        if request is None or known != headers:
            asked = requests.Request(method, self._url + path, headers=dict(headers), data=body)
            request = self._session.prepare_request(asked)
            self._prepared[method, path] = dict(headers), request
            return request
        request.body = body
        request.prepare_content_length(body)
        request.headers.pop("Cookie", None)
        if len(self._session.cookies):
            request.prepare_cookies(self._session.cookies)
        return request

    def _mount(self) -> None:
        self._context = None if self._trust is None else self._trust.context(time.monotonic())
        adapter = WireAdapter(self._wire, self._context)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def _failure(self, error: Exception) -> Answer:
        # Without a connection the request was never sent.
        verdict = Verdict.UNSURE if self._wire.connected else Verdict.REFUSED
        if self._cut:
            text = f"no whole answer within {self._total_seconds:g} s"
        elif isinstance(error, requests.exceptions.ConnectTimeout):
            text = f"no connection within {self._timeouts[0]:g} s"
        elif isinstance(error, requests.exceptions.Timeout):
            text = f"no answer within {self._timeouts[1]:g} s"
        else:
            text = _cause(error)
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


def _cause(error: BaseException) -> str:
    """The innermost reason, without the addresses of objects that urllib3 puts before it."""
    seen: set[int] = set()
    found: BaseException = error
    while id(found) not in seen:
        seen.add(id(found))
        inner = getattr(found, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in found.args if isinstance(part, BaseException)), None) or found.__cause__
        if inner is None:
            break
        found = inner
    if isinstance(found, OSError) and found.strerror:
        return found.strerror
    text = str(found) or type(found).__name__
    return text.split(">: ", 1)[-1]
