"""The connection: HTTP/1.1 with one server over one socket, straight or through a proxy, one request after another.

A whole HTTP library takes longer to load than a hundred thousand events to send, and does for each request what an
endpoint needs once. All that comes from a server is bounded here: the head, the body and the notices before both.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from msgspec import Struct

from shipper.outputs.hec.cookie import Cookies
from shipper.outputs.hec.reply import Broken, Reply, Stream
from shipper.pattern import pattern
from shipper.wire import Wire

if TYPE_CHECKING:
    import ssl

SEND_TOGETHER_MAX_BYTES = 16 << 10
"""A larger body is not copied behind its head, but sent after it."""
_PORTS = {"http": 80, "https": 443}
# RFC 9110, 5.5 and 5.6.2: what may stand in a header.
_name = pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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
        self._stream: Stream | None = None
        self._fixed = ""
        self.cookies = Cookies(self._url.hostname or "")
        self.use(None, None)

    def use(self, context: ssl.SSLContext | None, proxy: str | None) -> None:
        """Take another TLS context or proxy (``scheme://user:password@host:port``) from the next request on."""
        self.close()
        self._context = context
        self._proxy = _split(proxy) if proxy else None
        host = _authority(self._url, with_port=self._url.port not in (None, _PORTS[self._url.scheme]))
        self._fixed = f"Host: {host}\r\nAccept-Encoding: identity\r\n"
        if self._proxy is not None and self._url.scheme == "http":
            self._fixed += _login(self._proxy)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """One request, whole, and its answer. Raises OSError, TimeoutError among them, and ValueError for headers that
        can't be sent; the connection is closed then."""
        head = self._head(method, path, headers, body)
        try:
            stream = self._stream
            if stream is None or stream.ended():
                self.close()
                stream = self._stream = self._open()
            sent = _send(stream.socket, head, body or b"")
            reply = stream.reply(method, self._limits.body_max_bytes)
        except BaseException:
            self.close()
            raise
        self.cookies.take(reply.cookies)
        if not (sent and reply.stays):
            self.close()
        return reply

    def close(self) -> None:
        """Give the socket back; the next request makes another one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.socket.close()

    # -- the request -----------------------------------------------------------------------

    def _head(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        lines = []
        for name, value in headers.items():
            if _name.fullmatch(name) is None or _value.fullmatch(value) is None:
                # Not shown: it may be the token.
                raise ValueError(f"the header {name[:40]!r} holds characters that can't be sent")
            lines.append(f"{name}: {value}\r\n")
        if body is not None or method == "POST":
            lines.append(f"Content-Length: {len(body or b'')}\r\n")
        cookies = self.cookies.header(f"{self._url.path}{path}".partition("?")[0], self._url.scheme == "https")
        if cookies:
            lines.append(f"Cookie: {cookies}\r\n")
        target = f"{self._url.path}{path}"
        if self._proxy is not None and self._url.scheme == "http":
            target = f"http://{self._url.netloc}{target}"
        return f"{method} {target} HTTP/1.1\r\n{self._fixed}{''.join(lines)}\r\n".encode("latin-1")

    # -- the socket ------------------------------------------------------------------------

    def _open(self) -> Stream:
        first = self._proxy or self._url
        self._wire.opened(None)
        # As bytes, since for text Python loads the tables of IDNA, of which nothing is left to do.
        host: Any = (first.hostname or "").encode()
        sock = socket.create_connection((host, first.port or _PORTS[first.scheme]), self._limits.connect_seconds)
        try:
            self._wire.opening(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if first.scheme == "https":
                sock = self._encrypted(sock, first)
            inner = sock
            if self._proxy is not None and self._url.scheme == "https":
                self._tunnel(sock, self._proxy)
                if first.scheme == "https":
                    inner = self._encrypted_within(sock)
                else:
                    inner = sock = self._encrypted(sock, self._url)
            inner.settimeout(self._limits.read_seconds)
        except BaseException:
            sock.close()
            raise
        self._wire.opened(sock)
        return Stream(inner)

    def _encrypted(self, sock: socket.socket, server: SplitResult) -> socket.socket:
        assert self._context is not None
        name = (server.hostname or "").rstrip(".")
        made = self._context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
        self._wire.opening(made)
        try:
            made.do_handshake()
        except BaseException:
            made.close()
            raise
        return made

    def _encrypted_within(self, sock: socket.socket) -> Any:
        # TLS in TLS: so seldom that it may load what can do it.
        from urllib3.util.ssltransport import SSLTransport

        assert self._context is not None
        return SSLTransport(sock, self._context, server_hostname=(self._url.hostname or "").rstrip("."))

    def _tunnel(self, sock: socket.socket, proxy: SplitResult) -> None:
        """Have the proxy connect this socket to the server."""
        to = _authority(self._url, with_port=True)
        sock.sendall(f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{_login(proxy)}\r\n".encode("latin-1"))
        reply = Stream(sock).reply("CONNECT", self._limits.body_max_bytes)
        if not 200 <= reply.status < 300:
            raise Broken(f"the proxy makes no tunnel: {reply.status} {reply.reason}".rstrip())


def _send(sock: socket.socket, head: bytes, body: bytes) -> bool:
    """Whether all of it went out: who takes no more may have said why before."""
    try:
        if len(body) <= SEND_TOGETHER_MAX_BYTES:
            sock.sendall(head + body)
        else:
            sock.sendall(head)
            sock.sendall(body)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _split(url: str) -> SplitResult:
    found = urlsplit(url)
    host, netloc = found.hostname or "", found.netloc
    if not host.isascii():
        netloc = netloc.replace(host, host.encode("idna").decode())
    return found._replace(netloc=netloc, path=quote(found.path, safe="/%:@!$&'()*+,;=~-._"))


def _authority(url: SplitResult, *, with_port: bool) -> str:
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{url.port or _PORTS[url.scheme]}" if with_port else host


def _login(proxy: SplitResult) -> str:
    if proxy.username is None:
        return ""
    import base64

    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}\r\n"


__all__ = ["Connection", "Limits"]
