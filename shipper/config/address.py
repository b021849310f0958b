"""The address: a host and a port to listen on, as in ``127.0.0.1:9464`` or ``[::1]:9464``."""

from __future__ import annotations

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
