"""The client: asks Coder's API one thing at a time, within bounds of time and size, and obeys its rate limit.

The token goes into a header of requests to Coder's own address and nowhere else: redirects are not followed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from shipper.coder.answer import BuildInfo, Refusal, User, read_answer
from shipper.config.secret import find_secret
from shipper.config.settings import Coder
from shipper.errors import (
    ConnlogError,
    RemoteBusy,
    RemoteError,
    RemoteMissing,
    RemoteRefused,
    SecretError,
    UsageError,
)

if TYPE_CHECKING:
    import requests

CREDENTIAL, VARIABLE = "coder-token", "CODER_SESSION_TOKEN"
ANSWER_MAX_BYTES = 64 << 20
REFUSAL_MAX_CHARACTERS = 300
ATTEMPTS_MAX_COUNT = 4
RETRY_MIN_SECONDS, RETRY_MAX_SECONDS = 0.25, 120.0
"""The pause after a failure that may pass, doubled each time; the longest that a server's wish is followed."""
WINDOW_SECONDS = 60.0
"""The longest wait for a new window of the rate limit: Coder's windows are this long."""
CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 1 << 16
_T = TypeVar("_T")


class CoderClient:
    """Coder at ``settings.url``. For one thread; ``stop`` ends its waits from another.

    Failures that may pass are tried again up to ``attempts`` times in all. ``beat`` is called before each step with
    the seconds it may take.
    """

    def __init__(
        self,
        settings: Coder,
        *,
        attempts: int = ATTEMPTS_MAX_COUNT,
        stop: threading.Event | None = None,
        beat: Callable[[float], None] | None = None,
    ) -> None:
        if not settings.url:
            raise UsageError("no Coder is named: set coder.url in the configuration, or $CODER_URL")
        self._settings = settings
        self._attempts = attempts
        self._stop = stop or threading.Event()
        self._beat = beat
        self._session: requests.Session | None = None
        self._token = ""
        self._ready_at = 0.0
        self.requests_count = 0
        self.limited_count = 0
        """Answers 429 so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            self._session.close()
            self._session = None

    @property
    def url(self) -> str:
        """Where Coder is."""
        return self._settings.url

    def get(self, path: str, type_: type[_T], params: Mapping[str, str | int] | None = None) -> _T:
        """The answer to ``GET /api/v2/path``.

        Raises RemoteRefused (401, 403), RemoteMissing (404, 410), RemoteBusy (429, 5xx, no connection, too slow),
        RemoteError for any other answer, and SecretError.
        """
        what = f"{self.url}/api/v2/{path}"
        return read_answer(self._patiently(what, dict(params or {})), type_, what)

    def me(self) -> User:
        """The user whose token it is."""
        return self.get("users/me", User)

    def build_info(self) -> BuildInfo:
        """What Coder says of itself, which needs no token."""
        return self.get("buildinfo", BuildInfo)

    # ---- one request ---------------------------------------------------------------------------

    def _patiently(self, what: str, params: dict[str, str | int]) -> bytes:
        pause = RETRY_MIN_SECONDS
        renewed = False
        for attempt in range(1, self._attempts + 1):
            self._wait(self._ready_at - time.monotonic())
            try:
                return self._ask(what, params)
            except RemoteRefused:
                # The token's file may hold a new one.
                old, self._token = self._token, ""
                if renewed or self._read_token() == old:
                    raise
                renewed = True
            except RemoteBusy as error:
                if attempt == self._attempts or self._stop.is_set():
                    raise
                self._wait(min(max(pause, error.retry_seconds or 0.0), RETRY_MAX_SECONDS))
                if self._stop.is_set():
                    raise
                pause *= 2
        raise RemoteBusy(f"{what}: can't be asked; try again later")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            if self._beat is not None:
                self._beat(RETRY_MAX_SECONDS)
            self._stop.wait(min(seconds, RETRY_MAX_SECONDS))

    def _read_token(self) -> str:
        if not self._token:
            self._token, _ = find_secret(self._settings.token_file, CREDENTIAL, VARIABLE)
        return self._token

    def _open(self) -> requests.Session:
        if self._session is None:
            import requests

            session = requests.Session()
            # Without a say of its own in this, requests would send what ~/.netrc holds for the host.
            session.auth = _as_it_is
            if self._settings.ca_file is not None:
                if not self._settings.ca_file.is_file():
                    raise SecretError(f"{self._settings.ca_file}: there is no such file; check coder.ca_file")
                session.verify = str(self._settings.ca_file)
                session.trust_env = False
            self._session = session
        return self._session

    def _ask(self, what: str, params: dict[str, str | int]) -> bytes:
        from requests import RequestException

        session = self._open()
        headers = {"Coder-Session-Token": self._read_token(), "Accept": "application/json"}
        deadline = time.monotonic() + self._settings.timeout_seconds
        limits = (min(CONNECT_SECONDS, self._settings.timeout_seconds), self._settings.timeout_seconds)
        self.requests_count += 1
        if self._beat is not None:
            self._beat(2 * self._settings.timeout_seconds)
        if self._stop.is_set():
            raise RemoteBusy(f"{what}: not asked any more, since connlog ends")
        try:
            with session.get(
                what, params=params, headers=headers, timeout=limits, stream=True, allow_redirects=False
            ) as answer:
                raw = _body(answer, deadline, what)
                status, reply = answer.status_code, answer.headers
        except RequestException as error:
            raise RemoteBusy(f"{what}: {_reason(error)}; check coder.url, coder.ca_file and the way there") from error
        except OSError as error:
            # The file of certificates holds none.
            raise RemoteError(f"{what}: {error.strerror or type(error).__name__}; check coder.ca_file") from error
        self._heed(reply)
        if status == 200:
            return raw
        if status == 429:
            self.limited_count += 1
        raise _failure(status, what, raw, reply)

    def _heed(self, headers: Mapping[str, str]) -> None:
        """Leave it alone until the next window once this one is used up."""
        left, reset = _number(headers.get("X-RateLimit-Remaining")), _number(headers.get("X-RateLimit-Reset"))
        if left is not None and left < 1 and reset is not None:
            wait = min(max(0.0, reset - time.time()), WINDOW_SECONDS)
            self._ready_at = time.monotonic() + wait


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _body(answer: requests.Response, deadline: float, what: str) -> bytes:
    raw = bytearray()
    for piece in answer.iter_content(_CHUNK_BYTES):
        raw += piece
        if len(raw) > ANSWER_MAX_BYTES:
            raise RemoteError(f"{what}: the answer is larger than {ANSWER_MAX_BYTES >> 20} MiB and was not read on")
        if time.monotonic() > deadline:
            raise RemoteBusy(f"{what}: the answer takes longer than coder.timeout")
    expected = answer.headers.get("Content-Length", "")
    if expected.isdecimal() and "Content-Encoding" not in answer.headers and len(raw) < int(expected):
        raise RemoteBusy(f"{what}: the answer ended before its end")
    return bytes(raw)


def _failure(status: int, what: str, raw: bytes, headers: Mapping[str, str]) -> ConnlogError:
    """The error for an answer that is no 200; what the server says is quoted, cut and never more than a line."""
    said = _said(raw)
    if status == 401:
        return RemoteRefused(f"{what}: 401, Coder does not take the token{said}; put a new one into its file")
    if status == 403:
        return RemoteRefused(f"{what}: 403, the token may not do this{said}; docs/directory.md lists the roles")
    if status in (404, 410):
        return RemoteMissing(f"{what}: {status}, not there, or hidden from the token{said}")
    if status == 429 or status >= 500 or status == 408:
        return RemoteBusy(f"{what}: {status}{said}", _number(headers.get("Retry-After")))
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
    text = " / ".join(text for text in texts if text)[:REFUSAL_MAX_CHARACTERS]
    return f" ({text})" if text else ""


def _reason(error: Exception) -> str:
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


def _number(text: str | None) -> float | None:
    """A whole number of a header; Retry-After may also be a date, which Coder never sends."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 16 else None
