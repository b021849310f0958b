"""The conversation on one connection: requests read one after the other, each answered or broken as the script says."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

from tests.hec.answer import Answer, http_answer
from tests.hec.collector import Collector
from tests.hec.fault import Fault, Script
from tests.hec.wire import BrokenRequest, Request, Stream, answer_bytes, request_of


class Conversation:
    """One connection. ``busy`` holds the numbers of the requests that are under way."""

    def __init__(
        self,
        connection: socket.socket,
        number: int,
        collector: Collector,
        script: Script,
        *,
        stopping: threading.Event,
        numbers: Iterator[int],
        busy: set[int],
        clock: Callable[[], float],
        requests_max_count: int | None,
        silent: bool,
    ) -> None:
        self._connection = connection
        self._number = number
        self._collector = collector
        self._script = script
        self._stopping = stopping
        self._numbers = numbers
        self._busy = busy
        self._clock = clock
        self._requests_max_count = requests_max_count
        self._silent = silent
        self._stream = Stream(connection)

    def run(self) -> None:
        """Until either side is done. Raises OSError, BrokenRequest, ValueError where the client or a fault breaks it."""
        for served in itertools.count(1):
            head = self._stream.head()
            if head is None:
                return
            request = request_of(self._number, next(self._numbers), head)
            fault = self._script.fault_of(request) or Fault()
            last = served == self._requests_max_count
            stays = request.keeps_alive and not (last and not self._silent)
            self._busy.add(request.number)
            try:
                goes_on = self._exchange(request, fault, stays=stays)
            finally:
                self._busy.discard(request.number)
            if not goes_on or last or not stays:
                return

    def _exchange(self, request: Request, fault: Fault, *, stays: bool) -> bool:
        """One request and its answer; False if the connection is done."""
        if fault.reset == "before":
            self._collector.refuse(request, 0, None)
            _reset(self._connection)
            return False
        length = int(request.headers.get("content-length", "0"))
        sizes = self._collector.sizes
        if sizes.early and length > sizes.content_max_bytes:
            self._collector.refuse(request, 413, 413)
            self._connection.sendall(answer_bytes(http_answer(413), keep_alive=False))
            self._connection.shutdown(socket.SHUT_WR)
            self._read_body(request, Fault())
            return False
        if request.headers.get("expect", "").lower() == "100-continue":
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = self._read_body(request, fault)
        answer = self._answer(request, fault)
        if fault.wait_seconds:
            self._stopping.wait(fault.wait_seconds)
        if fault.hang:
            self._stopping.wait()
            return False
        data = answer_bytes(answer, keep_alive=stays, with_body=request.method != "HEAD")
        if fault.reset in ("after", "answer"):
            if fault.reset == "answer":
                self._connection.sendall(data[: len(data) - max(1, len(answer.body) // 2)])
            _reset(self._connection)
            return False
        self._connection.sendall(data)
        return not fault.close

    def _answer(self, request: Request, fault: Fault) -> Answer:
        instead = fault.answer
        if fault.take or (instead is None and not fault.hang and fault.reset not in ("after", "answer")):
            answer = self._collector.take(request, self._clock(), time.time())
            return answer if instead is None else instead
        if instead is None:
            instead = Answer(status=200, body=b"{}")
            self._collector.refuse(request, 0, None)
        else:
            self._collector.refuse(request, instead.status, instead.code)
        return instead

    def _read_body(self, request: Request, fault: Fault) -> bytes:
        rate = fault.read_bytes_a_second
        if rate:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        pieces: list[bytes] = []
        if request.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := self._stream.chunk_size():
                pieces += self._take(size, rate)
                self._stream.chunk_end()
        else:
            pieces += self._take(int(request.headers.get("content-length", "0")), rate)
        return b"".join(pieces)

    def _take(self, size: int, rate: int) -> list[bytes]:
        pieces = []
        while size:
            piece = self._stream.take(min(size, max(1, rate // 20)) if rate else size)
            size -= len(piece)
            pieces.append(piece)
            if rate and self._stopping.wait(len(piece) / rate):
                raise BrokenRequest("stopping")
        return pieces


def _reset(connection: socket.socket) -> None:
    """Closes with RST rather than FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
