"""The Coder double: a real HTTP server on 127.0.0.1 that answers the endpoints connlog uses as Coder does.

    world = World()
    owner = world.user("alice", roles=("owner",))
    with CoderServer(world) as coder:
        ... coder.url, world.token_of(owner)

It keeps to what is known of Coder: paging, filters and their errors, the rate limit with its headers, what each role
gets to see. ``faults`` are used up one for each request whose path they name.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from tests.coder.endpoint import NOT_FOUND, Answer, Endpoints
from tests.coder.fault import Fault
from tests.coder.form import V2_33, Version
from tests.coder.world import World

RATE_LIMIT = 512
WINDOW_SECONDS = 60
FORBIDDEN_DETAIL = (
    "You don't have permission to view this content. If you believe this is a mistake, "
    "please contact your administrator or try signing in with different credentials."
)


class Asked(Struct, frozen=True):
    """One request as it came. ``parameters`` has the first value of each."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    status: int


class CoderServer(Endpoints):
    """The double, serving from ``with`` on. ``limit`` is the rate limit a minute, -1 for none."""

    def __init__(
        self,
        world: World,
        *,
        version: Version = V2_33,
        limit: int = RATE_LIMIT,
        licensed: bool = True,
        tls: ssl.SSLContext | None = None,
        page_max: int | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(world, version, licensed=licensed, page_max=page_max)
        self.limit = limit
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self._begun: list[str] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, int], int] = {}
        self._stop = threading.Event()
        self._http = _Server(("127.0.0.1", port), _handler(self))
        self._tls = tls is not None
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://localhost:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; whoever waits is cut off."""
        self._stop.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Do this to the next requests that it fits."""
        with self._lock:
            self.faults += [fault] * times

    def paths(self) -> list[str]:
        """The paths asked so far, in order."""
        with self._lock:
            return [one.path for one in self.asked]

    def begun(self) -> list[str]:
        """The paths of all requests that came, answered or not."""
        with self._lock:
            return list(self._begun)

    def asked_since(self, number: int) -> list[Asked]:
        """The requests after the first ``number`` ones."""
        with self._lock:
            return self.asked[number:]

    def forget(self) -> None:
        """Forget what was asked, and the counts of the rate limit."""
        with self._lock:
            self.asked.clear()
            self._counts.clear()

    # ---- handling ------------------------------------------------------------------------------

    def take_fault(self, path: str) -> Fault | None:
        """The next fault for a path."""
        with self._lock:
            self._begun.append(path)
            for number, fault in enumerate(self.faults):
                if path.startswith(fault.path):
                    return self.faults.pop(number)
        return None

    def wait(self, seconds: float) -> None:
        """Be slow, but not slower than the end of the test."""
        self._stop.wait(seconds)

    def note(self, asked: Asked) -> None:
        """Remember a request."""
        with self._lock:
            self.asked.append(asked)

    def count_request(self, who: str, path: str) -> tuple[dict[str, str], bool]:
        """The rate limit's headers, and whether the request is one too many: a window that slides over two minutes."""
        if self.limit < 0:
            return {}, False
        now = self._clock()
        minute, into = divmod(now, WINDOW_SECONDS)
        endpoint = re.sub(r"/[0-9a-f-]{36}", "/{id}", path)
        with self._lock:
            current = self._counts.get((who, endpoint, int(minute)), 0)
            before = self._counts.get((who, endpoint, int(minute) - 1), 0)
            rate = before * (WINDOW_SECONDS - into) / WINDOW_SECONDS + current
            over = round(rate) >= self.limit
            if not over:
                self._counts[who, endpoint, int(minute)] = current + 1
        left = 0 if over else max(0, self.limit - round(rate) - 1)
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(int((minute + 1) * WINDOW_SECONDS)),
        }
        if over:
            headers["Retry-After"] = str(WINDOW_SECONDS)
        return headers, over


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or refuses our certificate, is part of the tests."""


_ERRORS = {
    401: {"message": "You are signed out or your session has expired. Please sign in again to continue."},
    403: {"message": "Forbidden.", "detail": FORBIDDEN_DETAIL},
    404: {"message": NOT_FOUND},
    429: {"message": "You've been rate limited for sending too many requests!"},
    500: {"message": "An internal server error occurred.", "detail": "pq: something"},
}


def _handler(double: CoderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            parameters = {key: values[0] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
            fault = double.take_fault(split.path)
            headers: dict[str, str] = {"X-Coder-Build-Version": double.version.name}
            if fault is not None and fault.slow_seconds:
                double.wait(fault.slow_seconds)
            if fault is not None and fault.status is not None:
                status, body = fault.status, _ERRORS.get(fault.status, _ERRORS[500])
                if fault.retry_after is not None:
                    headers["Retry-After"] = fault.retry_after
                if fault.location is not None:
                    headers["Location"] = fault.location
                raw = json.dumps(body).encode() + b"\n"
            elif fault is not None and fault.body is not None:
                status, raw = 200, fault.body
            else:
                status, answered = self._handle(split.path, parameters, headers)
                raw = _go_json(answered)
            double.note(Asked("GET", split.path, parameters, dict(self.headers.items()), status))
            if fault is not None and fault.drip_seconds:
                self._drip(raw, fault.drip_seconds)
                return
            self.send_response(status)
            self.send_header("Content-Type", fault.content_type if fault else "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if fault is not None and fault.cut:
                self.wfile.write(raw[: len(raw) // 2])
                self.close_connection = True
                return
            self.wfile.write(raw)

        def _drip(self, raw: bytes, seconds: float) -> None:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
            self.close_connection = True
            for byte in head.encode() + raw:
                self.wfile.write(bytes((byte,)))
                double.wait(seconds)

        def _handle(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> tuple[int, object]:
            if path == "/api/v2/buildinfo":
                return 200, double.build_info(double.url)
            if not path.startswith("/api/v2/"):
                return 404, {"message": "Route not found."}
            try:
                cookie = re.search(r"coder_session_token=([^;]+)", self.headers.get("Cookie", ""))
                token = (
                    self.headers.get("Coder-Session-Token")
                    or (cookie[1] if cookie else None)
                    or parameters.get("coder_session_token")
                )
                me = double.who(token)
                bypass = self.headers.get("X-Coder-Bypass-Ratelimit") == "true" and "owner" in me.roles
                if not bypass:
                    extra, over = double.count_request(me.id, path)
                    headers |= extra
                    if over:
                        return 429, _ERRORS[429]
                return 200, double.answer(path, parameters, me)
            except Answer as answer:
                return answer.status, answer.body

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    return Handler


def _go_json(body: object) -> bytes:
    """JSON as Go's encoder writes it, with a newline."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"
