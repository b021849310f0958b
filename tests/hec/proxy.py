"""An HTTP proxy for tests: passes requests on, tunnels TLS, and asks for a credential if it has one."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.hec.wire import BrokenRequest, Stream

PIECE_BYTES = 64 * 1024


class Proxy:
    """One request or tunnel for each connection; ``passed`` and ``refused`` count them. With ``tls`` it is asked over TLS."""

    def __init__(self, credential: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.credential = credential
        self._tls = tls
        self.passed = 0
        self.refused = 0
        self._listener: socket.socket | None = None
        self._sockets: list[socket.socket] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The proxy's address, without the credential."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in [self._listener, *self._sockets]:
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, BrokenRequest, ValueError), client:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._sockets.append(client)
            stream = Stream(client)
            head = stream.head()
            if head is None:
                return
            method, target, headers = head
            wanted = "Basic " + base64.b64encode(self.credential.encode()).decode()
            if self.credential and headers.get("proxy-authorization") != wanted:
                self.refused += 1
                page = b"<html>who are you?</html>"
                answer = (
                    f"Proxy-Authenticate: Basic realm=x\r\nContent-Length: {len(page)}\r\nConnection: close\r\n\r\n"
                )
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n" + answer.encode() + page)
                client.shutdown(socket.SHUT_WR)
                while client.recv(PIECE_BYTES):
                    pass
                return
            self.passed += 1
            if method == "CONNECT":
                name, _, port = target.rpartition(":")
                with socket.create_connection((name, int(port))) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self._pump(client, server)
            else:
                parts = urlsplit(target)
                with socket.create_connection((parts.hostname or "", parts.port or 80)) as server:
                    lines = "".join(
                        f"{name}: {value}\r\n" for name, value in headers.items() if not name.startswith("proxy-")
                    )
                    server.sendall(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
                    server.sendall(stream.rest())
                    self._pump(client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets.append(server)
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
