"""The connection: HTTP/1.1 with one server over one socket, straight or through a proxy, one request after another.

``http.client`` speaks it, which loads in a fraction of the time that a client with pools, redirects and retries takes:
none of these is wanted here. What is ours is which socket it gets, and that another thread can end what it waits for.
"""

from __future__ import annotations

import base64
import select
import socket
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from msgspec import Struct

from shipper.outputs.hec.reply import Reply, broken, read
from shipper.pattern import pattern
from shipper.wire import Wire

if TYPE_CHECKING:
    import ssl

    from shipper.outputs.hec.cookie import Cookies

_PORTS = {"http": 80, "https": 443}
# RFC 9110, 5.5: what may stand in a header; http.client lets through what servers differ about, and shows what it refuses.
_value = pattern(r"[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*")


class Limits(Struct, frozen=True):
    """Seconds until there is a connection, and until the next bytes of an answer; bytes of an answer's body."""

    connect_seconds: float
    read_seconds: float
    body_max_bytes: int


class Connection:
    """To the server at ``url``; opened when it is needed, and again after the server closed it. ``wire`` is told of its
    socket. Raises OSError and ValueError as the methods say, both with what went wrong."""

    def __init__(self, url: str, wire: Wire, limits: Limits) -> None:
        self._url = _split(url)
        self._wire = wire
        self._limits = limits
        self._proxy: SplitResult | None = None
        self._context: ssl.SSLContext | None = None
        self._speaker: _Speaker | None = None
        self._fixed: dict[str, str] = {}
        self._before = ""
        self.cookies: Cookies | None = None
        self.use(None, None)

    def use(self, context: ssl.SSLContext | None, proxy: str | None) -> None:
        """Take another TLS context or proxy (``scheme://user:password@host:port``) from the next request on."""
        self.close()
        self._context = context
        self._proxy = _split(proxy) if proxy else None
        self._fixed = {"Host": _authority(self._url, with_port=self._url.port not in (None, _PORTS[self._url.scheme]))}
        self._before = self._url.path
        if self._proxy is not None and self._url.scheme == "http":
            self._fixed |= _login(self._proxy)
            self._before = f"http://{self._url.netloc}{self._url.path}"

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """One request, whole, and its answer. Raises OSError, TimeoutError among them, and ValueError for headers that
        can't be sent; the connection is closed then."""
        for name, value in headers.items():
            if _value.fullmatch(value) is None:
                # Not shown: it may be the token.
                raise ValueError(f"the header {name[:40]!r} holds characters that can't be sent")
        try:
            return self._ask(method, path, headers, body)
        except BaseException as error:
            self.close()
            if isinstance(error, HTTPException) and not isinstance(error, OSError):
                raise broken(error) from error
            raise

    def close(self) -> None:
        """Give the socket back; the next request makes another one."""
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            speaker.close()

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        speaker = self._ready()
        url = f"{self._url.scheme}://{self._url.netloc}{self._url.path}{path}"
        all_headers = {**self._fixed, **headers}
        if self.cookies is not None and (cookies := self.cookies.header(url)):
            all_headers["Cookie"] = cookies
        sent = True
        try:
            speaker.request(method, f"{self._before}{path}", body, all_headers)
        except (BrokenPipeError, ConnectionResetError):
            # Who takes no more may have said why before.
            sent = False
        with speaker.getresponse() as response:
            reply = read(response, self._limits.body_max_bytes)
            if "Set-Cookie" in reply.headers:
                self._keep_cookies(url, response)
        if not (sent and reply.stays):
            self.close()
        return reply

    def _keep_cookies(self, url: str, response: HTTPResponse) -> None:
        if self.cookies is None:
            # Imported here: most collectors give none, and what keeps them is slow to load.
            from shipper.outputs.hec.cookie import Cookies

            self.cookies = Cookies()
        self.cookies.take(url, response)

    def _ready(self) -> _Speaker:
        """Who has a connection: not one that the server closed, or on which it says what nobody asked for."""
        speaker = self._speaker
        if speaker is None or speaker.ended():
            self.close()
            speaker = self._speaker = _Speaker(self._url, self._proxy, self._context, self._wire, self._limits)
            speaker.connect()
        return speaker


class _Speaker(HTTPConnection):
    """One connection of http.client's, over TLS where that is asked for, to the proxy, to the server, or to both."""

    def __init__(
        self, url: SplitResult, proxy: SplitResult | None, context: ssl.SSLContext | None, wire: Wire, limits: Limits
    ) -> None:
        self._first = first = proxy or url
        super().__init__(first.hostname or "", first.port or _PORTS[first.scheme], timeout=limits.connect_seconds)
        # What http.client has its socket from: a tunnel begins in what this gives.
        self._create_connection = self._dial
        self._through = proxy is not None and url.scheme == "https"
        if proxy is not None and self._through:
            to = _authority(url, with_port=True)
            self.set_tunnel(_authority(url, with_port=False), url.port or 443, {"Host": to, **_login(proxy)})
        self._url = url
        self._context = context
        self._wire = wire
        self._read_seconds = limits.read_seconds

    def connect(self) -> None:
        """Raises OSError and HTTPException."""
        self._wire.opened(None)
        super().connect()
        outer = self.sock
        if self._through and self._first.scheme == "https":
            self.sock = self._encrypted_within(outer)
        elif self._through:
            self.sock = outer = self._encrypted(outer, self._url)
        self.sock.settimeout(self._read_seconds)
        self._wire.opened(outer)

    def ended(self) -> bool:
        """Whether no further request can be sent."""
        if self.sock is None:
            return True
        waiting = select.poll()
        waiting.register(self.sock.fileno(), select.POLLIN)
        return bool(waiting.poll(0))

    def _dial(self, address: tuple[str, int], timeout: float, _source: object = None) -> socket.socket:
        # As bytes, since for text Python loads the tables of IDNA, of which nothing is left to do.
        host: Any = address[0].encode()
        sock = socket.create_connection((host, address[1]), timeout)
        self._wire.opening(sock)
        return self._encrypted(sock, self._first) if self._first.scheme == "https" else sock

    def _encrypted(self, sock: socket.socket, server: SplitResult) -> socket.socket:
        assert self._context is not None
        made = sock
        try:
            # Not agreed at once: the wire is to know the socket that a server lets wait.
            made = self._context.wrap_socket(sock, server_hostname=_certified(server), do_handshake_on_connect=False)
            self._wire.opening(made)
            made.do_handshake()
        except BaseException:
            made.close()
            raise
        return made

    def _encrypted_within(self, sock: socket.socket) -> Any:
        # TLS in TLS: so seldom that it may load what can do it.
        from urllib3.util.ssltransport import SSLTransport

        assert self._context is not None
        return SSLTransport(sock, self._context, server_hostname=_certified(self._url))


def _certified(url: SplitResult) -> str:
    """The name that a certificate is for."""
    return (url.hostname or "").rstrip(".")


def _split(url: str) -> SplitResult:
    found = urlsplit(url)
    host, netloc = found.hostname or "", found.netloc
    if not host.isascii():
        login, at, place = netloc.rpartition("@")
        netloc = f"{login}{at}{place.lower().replace(host, host.encode('idna').decode())}"
    return found._replace(netloc=netloc, path=quote(found.path, safe="/%:@!$&'()*+,;=~-._"))


def _authority(url: SplitResult, *, with_port: bool) -> str:
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{url.port or _PORTS[url.scheme]}" if with_port else host


def _login(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}


__all__ = ["Connection", "Limits"]
