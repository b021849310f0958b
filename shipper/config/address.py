"""The address: a host and a port to listen on, as in ``127.0.0.1:9464`` or ``[::1]:9464``, or where a server is."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

PORT_MAX = 65535


def split_address(text: str) -> tuple[str, int]:
    """Host and port; raises ValueError with what is wrong and what to write."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError('has no port; write it as "127.0.0.1:9464"')
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError('has a bare IPv6 address; write it in brackets, as in "[::1]:9464"')
    if not host or not host.isprintable() or any(c.isspace() or c in "[]/" for c in host):
        raise ValueError('has no usable host; write "127.0.0.1:9464", or "0.0.0.0:9464" for every interface')
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= PORT_MAX):
        raise ValueError(f"has no usable port; write a number from 0 to {PORT_MAX}")
    return host, int(port)


def read_web_address(text: str) -> str:
    """The address of a server without its last slash; raises ValueError, which never shows what may be a secret."""
    example = 'write it as "https://coder.example.com"'
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        raise ValueError(f"is no address of a server; {example}") from None
    if split.username is not None or split.password is not None:
        raise ValueError(f"has a user name or password in it, which does not belong there; {example}")
    if split.scheme not in ("http", "https") or not split.hostname or port == 0:
        raise ValueError(f"is no http or https address; {example}")
    if split.query or split.fragment or not text.isprintable() or any(c.isspace() for c in text):
        raise ValueError(f"has more in it than host, port and path; {example}")
    return text.rstrip("/")


def is_local(url: str) -> bool:
    """Whether a server is on this machine, so that nobody can listen on the way to it."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(?:\.\d{1,3}){3}", host, re.ASCII) is not None
