"""A server that answers each request with bytes that it is told, whatever they are, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

PIECE_BYTES = 64 << 10


class Parrot:
    """Each request gets the next of ``answers``, a list of pieces; after the last the connection ends, or stays
    ``open_ended``. ``heads`` are the heads of the requests, ``connections`` how many there were."""

    def __init__(self, *answers: Sequence[bytes], open_ended: bool = False) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self._answers = list(answers)
        self._open_ended = open_ended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.end()
        self._thread.join()
        self._listener.close()

    def say(self, text: bytes) -> None:
        """Say something unasked."""
        assert self._client is not None
        self._client.sendall(text)

    def end(self) -> None:
        """End the connection that there is."""
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                self.connections += 1
                with self._client, contextlib.suppress(OSError):
                    self._serve(self._client)

    def _serve(self, client: socket.socket) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                piece = client.recv(PIECE_BYTES)
                if not piece:
                    return
                buffer += piece
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            self.heads.append(head)
            if not self._answers:
                return
            for text in self._answers.pop(0):
                client.sendall(text)
            if not self._answers and not self._open_ended:
                client.shutdown(socket.SHUT_WR)
