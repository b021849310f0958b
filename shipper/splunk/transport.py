"""The transport: one request to Splunk's management port, with a bound on its time and on the size of its answer.

``splunklib`` brings none of its own: without this it would wait for ever, and not look at certificates.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from shipper.config.secret import refuse_pipe
from shipper.errors import RemoteBusy, RemoteError, UsageError

ANSWER_MAX_BYTES = 64 << 20
PIECE_BYTES = 64 << 10
MANAGEMENT_PORT = 8089


class Server(Struct, frozen=True):
    """Where Splunk's management port is and how it is to be trusted. ``timeout_seconds`` is for one whole answer."""

    scheme: str
    host: str
    port: int
    ca_file: Path | None = None
    insecure: bool = False
    timeout_seconds: float = 60.0

    @property
    def shown(self) -> str:
        """Its address, for messages."""
        return f"{self.scheme}://[{self.host}]:{self.port}" if ":" in self.host else f"{self.scheme}://{self.host}:{self.port}"  # fmt: skip

    @property
    def local(self) -> bool:
        """Whether it is on this machine, so that it can read a file that is written here."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_server(address: str, ca_file: Path | None, insecure: bool, timeout_seconds: float) -> Server:
    """The server of an address such as ``https://splunk.example.com:8089``, which is checked already.

    Raises UsageError where a path is in it: the management port has none.
    """
    split = urlsplit(address)
    if split.path not in ("", "/"):
        raise UsageError(f"{address}: the management port has no path; write https://HOST:{MANAGEMENT_PORT}")
    return Server(split.scheme, split.hostname or "", split.port or MANAGEMENT_PORT, ca_file, insecure, timeout_seconds)


def make_handler(server: Server) -> Callable[..., dict[str, Any]]:
    """What ``splunklib`` sends its requests by. What it raises is RemoteError, with what to do."""
    context = _context(server) if server.scheme == "https" else None

    def handle(url: str, message: Mapping[str, Any], **_more: object) -> dict[str, Any]:
        split = urlsplit(url)
        target = split.path + ("?" + split.query if split.query else "")
        deadline = time.monotonic() + server.timeout_seconds
        connection = _connection(server, context)
        try:
            headers = {str(name): str(value) for name, value in message.get("headers", ())}
            headers |= {"Accept": "*/*", "Connection": "close"}
            connection.request(message.get("method", "GET"), target, message.get("body") or b"", headers)
            answer = connection.getresponse()
            body = _read(server, connection, answer, deadline)
        except TimeoutError as error:
            raise RemoteBusy(
                f"{server.shown}: no whole answer within {server.timeout_seconds:g} s; try later, or give a longer --timeout"
            ) from error
        except ssl.SSLCertVerificationError as error:
            raise RemoteError(
                f"{server.shown}: its certificate can't be trusted: {error.verify_message}; name the certificate of its "
                "authority with --ca-file"
            ) from error
        except ssl.SSLError as error:
            raise RemoteError(
                f"{server.shown}: no TLS: {error.reason or error}; check the port, and http or https"
            ) from error
        except (OSError, HTTPException) as error:
            what = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
            raise RemoteError(f"{server.shown}: {what}; check the address and that Splunk is running") from error
        finally:
            connection.close()
        _refuse_strange(server, answer, body)
        return {
            "status": answer.status,
            "reason": answer.reason,
            "headers": [(name, value) for name, value in answer.getheaders() if name.lower() != "set-cookie"],
            "body": io.BytesIO(body),
        }

    return handle


def _context(server: Server) -> ssl.SSLContext:
    if server.insecure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        refuse_pipe(server.ca_file)
        return ssl.create_default_context(cafile=server.ca_file)
    except (OSError, ssl.SSLError) as error:
        what = (error.strerror or str(error)) if not isinstance(error, ssl.SSLError) else "holds no certificate"
        raise UsageError(f"--ca-file {server.ca_file}: {what}; name a file with certificates in PEM form") from error


def _connection(server: Server, context: ssl.SSLContext | None) -> HTTPConnection:
    if context is None:
        return HTTPConnection(server.host, server.port, timeout=server.timeout_seconds)
    return HTTPSConnection(server.host, server.port, timeout=server.timeout_seconds, context=context)


def _read(server: Server, connection: HTTPConnection, answer: HTTPResponse, deadline: float) -> bytes:
    """The whole body; a server that drips it is cut off at the deadline, a boundless one at the limit."""
    body = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock: socket.socket | None = connection.sock
        if sock is not None:
            sock.settimeout(left)
        piece = answer.read1(PIECE_BYTES)
        body += piece
        if len(body) > ANSWER_MAX_BYTES:
            raise RemoteError(
                f"{server.shown}: an answer of more than {ANSWER_MAX_BYTES >> 20} MiB; ask for a shorter time"
            )
        if not piece:
            break
    if answer.length:
        raise RemoteError(f"{server.shown}: the answer broke off; try again")
    return bytes(body)


def _refuse_strange(server: Server, answer: HTTPResponse, body: bytes) -> None:
    """Raise for what is no answer of a management port, before anything tries to understand it."""
    kind = answer.headers.get_content_type()
    if 300 <= answer.status < 400 or (kind == "text/html" and answer.status < 400):
        raise RemoteError(
            f"{server.shown}: answers as a web page; give the management port, which is {MANAGEMENT_PORT} by default"
        )
    if kind in ("text/xml", "application/xml", "application/atom+xml") and (
        b"<!DOCTYPE" in body or b"<!ENTITY" in body
    ):
        raise RemoteError(f"{server.shown}: answers with XML that declares entities, which Splunk never does")
