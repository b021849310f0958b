"""The client: asks Coder's API one thing at a time, within bounds of time and size, and obeys its rate limit.

The token goes into a header of requests to Coder's own address and nowhere else: redirects are not followed, and of
the environment only the proxy is taken (``HTTPS_PROXY``, ``NO_PROXY``), through which TLS goes unopened.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from shipper.coder.answer import BuildInfo, User, UserRoles, read_answer
from shipper.coder.failure import failure, number, reason
from shipper.config.secret import find_secret, refuse_pipe
from shipper.config.settings import Coder
from shipper.errors import RemoteBusy, RemoteError, RemoteRefused, SecretError, UsageError

if TYPE_CHECKING:
    import requests

    from shipper.wire import Wire

CREDENTIAL, VARIABLE = "coder-token", "CODER_SESSION_TOKEN"
ANSWER_MAX_BYTES = 64 << 20
ATTEMPTS_MAX_COUNT = 4
RETRY_MIN_SECONDS, RETRY_MAX_SECONDS = 0.25, 120.0
"""The pause after a failure that may pass, doubled each time; the longest that is waited here. Who wants to be left alone
for longer is not asked again, and the failure says for how long."""
WINDOW_SECONDS = 60.0
"""The longest wait for a new window of the rate limit: Coder's windows are this long."""
TOLD_SECONDS = 3.0
"""Waits that are shorter are not worth a word."""
CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 1 << 16
_T = TypeVar("_T")


class CoderClient:
    """Coder at ``settings.url``. For one thread; another may set ``stop``, which ends its waits, and call ``cut``.

    Failures that may pass are tried again up to ``attempts`` times in all. ``beat`` is called before each step with
    the seconds it may take, ``tell`` before each long wait with a sentence for who waits too.
    """

    def __init__(
        self,
        settings: Coder,
        *,
        attempts: int = ATTEMPTS_MAX_COUNT,
        stop: threading.Event | None = None,
        beat: Callable[[float], None] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if not settings.url:
            raise UsageError("no Coder is named: set coder.url in the configuration, or $CODER_URL")
        self._settings = settings
        self._attempts = attempts
        self._stop = stop or threading.Event()
        self._beat = beat
        self._tell = tell
        self._session: requests.Session | None = None
        self._wire: Wire | None = None
        self._lock = threading.Lock()
        self._asking = 0
        """The number of the request under way, 0 for none."""
        self._late = False
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

    def cut(self) -> None:
        """End the request under way, if there is one, as if the connection were broken."""
        wire = self._wire
        if wire is not None:
            wire.shut()

    def me(self) -> User:
        """The user whose token it is."""
        return self.get("users/me", User)

    def my_roles(self) -> UserRoles:
        """The roles of the user whose token it is, those in organizations too; the site's alone where Coder does not tell."""
        try:
            return self.get("users/me/roles", UserRoles)
        except RemoteBusy:
            raise
        except RemoteError:
            # Closed, not there, or of another form: what is then not known is told as missing, never taken as open.
            return UserRoles([role.name for role in self.me().roles])

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
                wish = error.retry_seconds or 0.0
                if attempt == self._attempts or self._stop.is_set() or wish > RETRY_MAX_SECONDS:
                    raise
                self._wait(max(pause, wish))
                if self._stop.is_set():
                    raise
                pause *= 2
        raise RemoteBusy(f"{what}: can't be asked; try again later")

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            if self._beat is not None:
                self._beat(RETRY_MAX_SECONDS)
            if self._tell is not None and seconds >= TOLD_SECONDS:
                self._tell(f"Coder wants to be left alone, or fails; waiting {seconds:.0f} s")
            self._stop.wait(min(seconds, RETRY_MAX_SECONDS))

    def _read_token(self) -> str:
        if not self._token:
            self._token, _ = find_secret(self._settings.token_file, CREDENTIAL, VARIABLE)
        return self._token

    def _open(self) -> requests.Session:
        if self._session is None:
            import requests

            from shipper.coder.adapter import WireAdapter
            from shipper.wire import Wire

            session = requests.Session()
            # Without a say of its own in this, requests would send what ~/.netrc holds for the host.
            session.auth = _as_it_is
            self._wire = Wire()
            adapter = WireAdapter(self._wire, self._context())
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            self._session = session
        return self._session

    def _context(self) -> ssl.SSLContext | None:
        if not self.url.startswith("https:"):
            return None
        file = self._settings.ca_file
        try:
            refuse_pipe(file)
            return ssl.create_default_context(cafile=file)
        except FileNotFoundError as error:
            raise SecretError(f"{file}: there is no such file; check coder.ca_file") from error
        except OSError as error:
            why = error.strerror if isinstance(error, PermissionError) else "holds no certificate in PEM form"
            raise SecretError(f"{file}: {why}; check coder.ca_file") from error

    def _ask(self, what: str, params: dict[str, str | int]) -> bytes:
        if self._stop.is_set():
            raise RemoteBusy(f"{what}: not asked any more, since connlog ends")
        self.requests_count += 1
        if self._beat is not None:
            self._beat(2 * self._settings.timeout_seconds)
        session = self._open()
        headers = {"Coder-Session-Token": self._read_token(), "Accept": "application/json"}
        watch = self._watch()
        try:
            status, raw, reply = self._exchange(session, what, params, headers)
        except RemoteBusy:
            if self._late:
                raise RemoteBusy(f"{what}: the answer takes longer than coder.timeout") from None
            raise
        finally:
            with self._lock:
                self._asking = 0
            watch.cancel()
        self._heed(reply)
        if status == 200:
            return raw
        if status == 429:
            self.limited_count += 1
        raise failure(status, what, raw, reply)

    def _watch(self) -> threading.Timer:
        """Cut the request that begins now once it took all of its time: a server that sends a byte now and then would
        else never be too slow."""
        with self._lock:
            mine = self._asking = self.requests_count
            self._late = False

        def late() -> None:
            with self._lock:
                if self._asking != mine:
                    return
                self._late = True
            self.cut()

        timer = threading.Timer(self._settings.timeout_seconds, late)
        timer.daemon = True
        timer.start()
        return timer

    def _exchange(
        self, session: requests.Session, what: str, params: dict[str, str | int], headers: dict[str, str]
    ) -> tuple[int, bytes, Mapping[str, str]]:
        from requests import RequestException

        limits = (min(CONNECT_SECONDS, self._settings.timeout_seconds), self._settings.timeout_seconds)
        try:
            with session.get(
                what, params=params, headers=headers, timeout=limits, stream=True, allow_redirects=False
            ) as answer:
                return answer.status_code, _body(answer, what), answer.headers
        except RequestException as error:
            raise RemoteBusy(f"{what}: {reason(error)}; check coder.url, coder.ca_file and the way there") from error

    def _heed(self, headers: Mapping[str, str]) -> None:
        """Leave it alone until the next window once this one is used up."""
        left, reset = number(headers.get("X-RateLimit-Remaining")), number(headers.get("X-RateLimit-Reset"))
        if left is not None and left < 1 and reset is not None:
            wait = min(max(0.0, reset - time.time()), WINDOW_SECONDS)
            self._ready_at = time.monotonic() + wait


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _body(answer: requests.Response, what: str) -> bytes:
    raw = bytearray()
    for piece in answer.iter_content(_CHUNK_BYTES):
        raw += piece
        if len(raw) > ANSWER_MAX_BYTES:
            raise RemoteError(f"{what}: the answer is larger than {ANSWER_MAX_BYTES >> 20} MiB and was not read on")
    expected = answer.headers.get("Content-Length", "")
    if expected.isdecimal() and "Content-Encoding" not in answer.headers and len(raw) < int(expected):
        raise RemoteBusy(f"{what}: the answer ended before its end")
    return bytes(raw)
