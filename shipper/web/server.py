"""The server: answers GET of /metrics, /healthz and /readyz, and nothing else, whatever it is sent.

Nothing of a request comes back in an answer. Requests are bounded in number, size and time, so that no
caller can hold up another for long, nor the daemon at all.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from shipper.config.address import split_address
from shipper.status import Status
from shipper.web.exposition import CONTENT_TYPE, Exposition
from shipper.web.health import not_alive, not_ready
from shipper.web.label import label

REQUESTS_MAX_COUNT = 16
"""At once; a further connection is closed unanswered."""
REQUEST_SECONDS = 10.0
"""How long one may take from its connection to its answer."""
_TEXT = "text/plain; charset=utf-8"
log = logging.getLogger(__name__)

Answer = tuple[HTTPStatus, str, bytes]


class Endpoint:
    """Listens on ``listen`` (host and port, port 0 for any) in threads of its own. Raises OSError where it can't."""

    def __init__(self, listen: str) -> None:
        self._latest: tuple[Status | None, float] = (None, time.monotonic())
        self._exposition = Exposition(lambda: self._latest[0])
        host, port = split_address(listen)
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self._server = _Server(self, family, address)
        shown, bound = self._server.server_address[:2]
        name = str(shown)
        self.url = f"http://[{name}]:{bound}" if ":" in name else f"http://{name}:{bound}"
        """Where it is reached, without a path."""
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def publish(self, status: Status) -> None:
        """From now on answer from ``status``."""
        self._latest = (status, time.monotonic())

    def close(self) -> None:
        """Stop answering and give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Answer:
        """What to say to GET ``path``."""
        status, since = self._latest
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, self._exposition.text()
        if path == "/healthz":
            return _verdict(not_alive(status, time.monotonic() - since))
        if path == "/readyz":
            return _verdict(not_ready(status))
        return HTTPStatus.NOT_FOUND, _TEXT, b"not found: there are /metrics, /healthz and /readyz\n"


def _verdict(reasons: list[str]) -> Answer:
    if not reasons:
        return HTTPStatus.OK, _TEXT, b"ok\n"
    lines = "".join(f"{label(reason)}\n" for reason in reasons)
    return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, lines.encode()


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = REQUESTS_MAX_COUNT

    def __init__(self, endpoint: Endpoint, family: int, address: Any) -> None:
        self.endpoint = endpoint
        self.address_family = family
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            room = len(self._open) < REQUESTS_MAX_COUNT
            if room:
                self._open[id(request)] = (request, time.monotonic())
        if room:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(id(request), None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off who takes too long: a socket's own timeout begins anew with each byte."""
        with self._lock:
            late = [one for one, since in self._open.values() if time.monotonic() - since > REQUEST_SECONDS]
            for one in late:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    log.debug("a slow request was gone already")

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("a request was broken off")
        else:
            log.error("a request failed: %r; this is a fault of connlog, please report it", error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = _TEXT

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.command != "GET":
            self._send((HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b"only GET is answered\n"))
            return False
        return True

    def do_GET(self) -> None:
        """Answer one of the paths; a query behind it changes nothing."""
        self._send(self.server.endpoint.answer(self.path.partition("?")[0]))

    def _send(self, answer: Answer) -> None:
        status, content_type, body = answer
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # The phrase of the code alone: what is passed here repeats the request.
        super().send_error(code)

    def version_string(self) -> str:
        return "connlog"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds would be most of the log."""
