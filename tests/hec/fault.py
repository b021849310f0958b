"""Faults of the HEC server: what happens to a request instead of the usual, and the script that says to which."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

from msgspec import Struct, structs

from tests.hec.answer import Answer, hec_answer
from tests.hec.wire import Request

Reset = Literal["", "before", "after", "answer"]


class Fault(Struct, frozen=True, kw_only=True):
    """What is done to one request. Everything left at its default is as usual.

    ``answer`` takes the place of the server's own; the events are then not indexed unless ``take`` is set, with which
    the request has its whole effect (events, ack id) and only its answer is lost.
    ``reset`` breaks the connection (RST): ``before`` the body is read, ``after`` it, or in the middle of the ``answer``.
    ``read_bytes_a_second`` reads the body slowly, ``wait_seconds`` passes before the answer, ``hang`` never answers until
    the server stops. ``close`` closes the connection after the answer without saying so in its header.
    """

    answer: Answer | None = None
    take: bool = False
    reset: Reset = ""
    read_bytes_a_second: int = 0
    wait_seconds: float = 0.0
    hang: bool = False
    close: bool = False


Rule = Callable[[Request], Fault | None]


class Script:
    """The faults to come: a queue, one fault a request, and rules that are asked where the queue has nothing."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, Fault]] = deque()
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many faults of the queue are still to come."""
        with self._lock:
            return len(self._queue)

    def add(self, fault: Fault, times: int = 1, to: str = "event") -> None:
        """The next requests to ``event``, ``raw``, ``ack``, ``health`` or ``""`` (any) get the fault."""
        with self._lock:
            self._queue.extend([(to, fault)] * times)

    def rule(self, rule: Rule) -> None:
        """Asks a function for the fault of each request; None is none. Must be quick: it runs under a lock."""
        with self._lock:
            self._rules.append(rule)

    def always(self, fault: Fault, to: str = "event") -> None:
        """Every request gets the fault, until ``clear``."""
        self.rule(lambda request: fault if to in ("", request.service) else None)

    def clear(self) -> None:
        """The server is well again."""
        with self._lock:
            self._queue.clear()
            self._rules.clear()

    def fault_of(self, request: Request) -> Fault | None:
        """The fault for a request; the first of the queue that is for its service is used up."""
        with self._lock:
            for place, (to, fault) in enumerate(self._queue):
                if to in ("", request.service):
                    del self._queue[place]
                    return fault
            for rule in self._rules:
                fault_of_rule = rule(request)
                if fault_of_rule is not None:
                    return fault_of_rule
        return None


def code(number: int, *, event_number: int | None = None, take: bool = False, retry_after: str = "") -> Fault:
    """An answer of HEC's table, with ``Retry-After`` if given (seconds or an HTTP date)."""
    headers = (("Retry-After", retry_after),) if retry_after else ()
    return Fault(answer=hec_answer(number, event_number, headers=headers), take=take)


def status(number: int, body: bytes = b"", *, take: bool = False, headers: tuple[tuple[str, str], ...] = ()) -> Fault:
    """Any status with any body, as a proxy or a load balancer gives."""
    return Fault(answer=Answer(status=number, body=body, headers=headers), take=take)


def html(number: int = 200, *, take: bool = False) -> Fault:
    """A page of HTML, as a captive portal or a proxy gives it."""
    page = b"<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>It works!</h1></body></html>"
    return status(number, page, take=take, headers=(("Content-Type", "text/html"),))


def reset_before() -> Fault:
    """The connection breaks before the body is read: nothing is indexed."""
    return Fault(reset="before")


def reset_after(*, take: bool) -> Fault:
    """The connection breaks after the body was read, before an answer: the client cannot know whether it was taken."""
    return Fault(reset="after", take=take)


def reset_in_answer(*, take: bool) -> Fault:
    """The connection breaks in the middle of the answer."""
    return Fault(reset="answer", take=take)


def slow_reading(bytes_a_second: int) -> Fault:
    """The body is read slowly, then all is as usual."""
    return Fault(read_bytes_a_second=bytes_a_second)


def slow_answer(seconds: float) -> Fault:
    """The request has its effect at once, and is answered late."""
    return Fault(wait_seconds=seconds)


def hang(*, take: bool = False) -> Fault:
    """No answer at all until the server stops."""
    return Fault(hang=True, take=take)


def closing(fault: Fault | None = None) -> Fault:
    """The connection is closed after the answer without notice."""
    return structs.replace(fault or Fault(), close=True)
