"""The HEC server: listens on 127.0.0.1, answers as Splunk does, and fails as its script says."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.hec.ack import AckRules
from tests.hec.body import Sizes
from tests.hec.collector import Collector
from tests.hec.conversation import Conversation
from tests.hec.fault import Script
from tests.hec.seen import Seen
from tests.hec.store import Indexed, Store
from tests.hec.token import Token, TokenTable
from tests.hec.wire import BrokenRequest

CONNECTIONS_MAX_COUNT = 256
STOP_SECONDS = 5.0


class HecServer:
    """A HEC server in threads of this process; its parts and attributes are described in the package.

    Starts with ``start`` or as a context manager; ``down`` and ``up`` take it away and back at the same port.
    """

    def __init__(
        self,
        *tokens: Token,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        ack: AckRules | None = None,
        sizes: Sizes | None = None,
        indexes: Iterable[str] | None = None,
        cloud: bool = False,
        cookie: str = "",
        nodes: int = 1,
        keepalive_requests: int | None = None,
        keepalive_silent: bool = False,
        recording: Path | None = None,
        bodies: Path | None = None,
        count_only: bool = False,
        later: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = Store(recording)
        self.script = Script()
        self.collector = Collector(
            TokenTable(tokens or (Token(),)),
            self.store,
            ack=ack or AckRules(),
            sizes=sizes or Sizes(),
            indexes=None if indexes is None else set(indexes),
            cloud=cloud,
            cookie=cookie,
            nodes=nodes,
            bodies=bodies,
            count_only=count_only,
            later=later,
        )
        self.connections = 0
        self.handshake_failures = 0
        self._host = host
        self._port = port
        self._tls = tls
        self._keepalive_requests = keepalive_requests
        self._keepalive_silent = keepalive_silent
        self._clock = clock
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None
        self._stopping = threading.Event()
        self._busy: set[int] = set()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._accepting: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, the same after ``down`` and ``up``."""
        return self._port

    @property
    def url(self) -> str:
        """Scheme, host and port, as an endpoint of the output's configuration."""
        host = "localhost" if self._tls else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self._port}"

    @property
    def tokens(self) -> TokenTable:
        """The tokens, to be put, replaced and dropped."""
        return self.collector.tokens

    @property
    def events(self) -> list[Indexed]:
        """What is indexed now."""
        return self.store.events

    @property
    def seen(self) -> list[Seen]:
        """The requests so far, in the order of their answers."""
        return self.collector.seen.all()

    @property
    def requests(self) -> int:
        """How many requests were seen in all."""
        return self.collector.seen.count

    def drain_seen(self) -> list[Seen]:
        """Gives the requests since the last time, and forgets them."""
        return self.collector.seen.drain()

    def count_kept(self) -> tuple[int, int]:
        """Counts what was kept for later: events, and bytes unpacked."""
        return self.collector.count_kept()

    def set_ack(self, rules: AckRules) -> None:
        """Other rules for acks from now on, for what is pending too."""
        for node in self.collector.nodes:
            node.rules = rules

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Waits for a condition, as soon as it holds; False when the time is up."""
        return self.store.wait(condition, seconds)

    def wait_events(self, count: int, seconds: float = 60.0) -> bool:
        """Waits until so many events are indexed."""
        return self.wait(lambda: len(self.store) >= count, seconds)

    def wait_requests(self, count: int, seconds: float = 60.0) -> bool:
        """Waits until so many requests were seen."""
        return self.wait(lambda: self.requests >= count, seconds)

    def start(self) -> Self:
        """Listens, and answers in the background."""
        self._stopping.clear()
        listener = socket.create_server((self._host, self._port), backlog=128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = threading.Thread(target=self._accept, args=(listener,), daemon=True, name="hec-accept")
        self._accepting.start()
        return self

    @property
    def listens(self) -> bool:
        """Is it up?"""
        return self._listener is not None

    def down(self) -> None:
        """Refuses connections from now on and breaks the open ones; what it holds stays."""
        self._stopping.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            connections = list(self._open.items())
        for connection, _ in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in [self._accepting, *(thread for _, thread in connections)]:
            if thread is not None:
                thread.join(STOP_SECONDS)

    def up(self) -> None:
        """Listens again, at the same port."""
        self.start()

    def finish(self, seconds: float = STOP_SECONDS) -> bool:
        """Waits until no request is under way; False when the time is up."""
        return self.wait(lambda: not self._busy, seconds)

    def restart(self, *, lose_unacknowledged: bool = False) -> int:
        """Breaks all connections and forgets all acks; can lose what was not yet told as true (gives how many)."""
        self.down()
        lost = self.collector.restart(lose_unacknowledged=lose_unacknowledged)
        self.up()
        return lost

    def stop(self) -> None:
        """Ends it for good."""
        self.down()
        self.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if len(self._open) >= CONNECTIONS_MAX_COUNT or self._stopping.is_set():
                    connection.close()
                    continue
                self.connections += 1
                thread = threading.Thread(
                    target=self._serve, args=(connection, self.connections), daemon=True, name="hec-connection"
                )
                self._open[connection] = thread
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._open[connection] = self._open.pop(plain)
                connection.do_handshake()
            Conversation(
                connection,
                number,
                self.collector,
                self.script,
                stopping=self._stopping,
                numbers=self._numbers,
                busy=self._busy,
                clock=self._clock,
                requests_max_count=self._keepalive_requests,
                silent=self._keepalive_silent,
            ).run()
        except ssl.SSLError:
            self.handshake_failures += 1
        except (OSError, BrokenRequest, ValueError):
            pass
        finally:
            with self._lock:
                self._open.pop(connection, None)
            connection.close()
