"""The wire: a connection whose socket another thread can shut, so that no answer takes longer than it may.

A server that sends a byte now and then keeps every timeout of a socket from coming; only the whole request's can end it.
"""

from __future__ import annotations

import logging
import socket

log = logging.getLogger(__name__)


class Wire:
    """The socket of a session that asks one thing at a time. ``shut`` may be called from any thread."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.connected = False
        """Whether there is, or was, a connection for the request under way."""

    def opened(self, sock: socket.socket | None) -> None:
        """Take note of a connection that begins (None), or is there."""
        self._socket = sock
        self.connected = sock is not None

    def opening(self, sock: socket.socket) -> None:
        """Take note of the socket of a connection that is not there yet: what is encrypted is not agreed."""
        self._socket = sock

    def shut(self) -> None:
        """End the request under way, as if the connection were broken."""
        sock = self._socket
        if sock is not None:
            try:
                # Of the plain socket: the one of TLS would take its state away from the thread that reads.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError as error:
                log.debug("a connection was gone already: %s", error)
