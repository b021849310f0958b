"""HEC itself without sockets: a request and the time go in, an answer comes out, and what is indexed is in the store."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from tests.hec.ack import AckRules, AckTable
from tests.hec.answer import Answer, ack_answer, hec_answer, http_answer, options_answer
from tests.hec.body import Sizes, read_lines, unpack
from tests.hec.envelope import Envelope, Reading, read_envelopes
from tests.hec.seen import SeenList
from tests.hec.store import Indexed, Store
from tests.hec.token import Token, TokenTable
from tests.hec.wire import Request

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_EVENT_MARK = b'"event":'


class Queue(Enum):
    """How full the server's queue is."""

    FREE = "free"
    NEAR = "near"
    FULL = "full"


KEPT_MAX_BYTES = 1 << 30
"""Of bodies that are kept to be counted later; more are counted at once."""


class Collector:
    """One HEC, of one node or more behind a balancer. Its public attributes may be changed while it serves.

    ``indexes``: the indexes that exist (None: any). ``cloud``: answers as Splunk Cloud does where that differs (a body
    that is too large is 400 code 6 number 0, a missing channel is 28). ``queue``, ``ack_service`` and
    ``shutting_down`` are its health. ``count_only`` counts events without reading them, with ``later`` not before ``count_kept``.
    ``poison`` are event ids with the code that refuses each, ``numbering`` what becomes of ``invalid-event-number``
    (code, number, events of the request).
    """

    def __init__(
        self,
        tokens: TokenTable,
        store: Store,
        *,
        ack: AckRules,
        sizes: Sizes,
        indexes: set[str] | None,
        cloud: bool,
        cookie: str,
        nodes: int,
        bodies: Path | None,
        count_only: bool,
        later: bool,
    ) -> None:
        self.tokens = tokens
        self.store = store
        self.sizes = sizes
        self.indexes = indexes
        self.cloud = cloud
        self.queue = Queue.FREE
        self.full_code = 26
        self.ack_service = True
        self.shutting_down = False
        self.retry_after = ""
        self.poison: dict[str, int] = {}
        self.numbering: Callable[[int, int, int], int | None] = lambda code, number, events: number
        self.nodes = [AckTable(ack) for _ in range(nodes)]
        self.seen = SeenList()
        self._cookie = cookie
        self._bodies = bodies
        self._count_only = count_only
        self._later = later
        self._kept: list[Request] = []
        self._kept_bytes = 0
        self._turn = 0
        self._newest = self._restarted_at = 0
        """The newest request's number, now and at the last restart: ids that were given before then mean nothing since."""
        self._lock = threading.Lock()

    def take(self, request: Request, now: float, clock: float) -> Answer:
        """Answers a request. ``now`` is a monotonic time for acks, ``clock`` the epoch time of receipt."""
        with self._lock:
            self._newest = max(self._newest, request.number)
            node = self._node(request)
            before = self.store.total
            plain = 0
            token: Token | int = 0
            if request.service == "":
                answer = http_answer(404)
            elif request.method == "OPTIONS":
                answer = options_answer("GET,HEAD,OPTIONS" if request.service == "health" else "POST,OPTIONS")
            elif request.service == "health":
                answer = self._health(request) if request.method in ("GET", "HEAD") else http_answer(405)
            elif request.method != "POST":
                answer = http_answer(405)
            elif isinstance(token := self.tokens.authorise(request.headers, request.query), int):
                answer = hec_answer(token)
            elif self.shutting_down:
                answer = hec_answer(23)
            elif self._later and not token.use_ack and request.service == "event" and self._kept_bytes < KEPT_MAX_BYTES:
                self._kept.append(request)
                self._kept_bytes += len(request.body)
                answer = hec_answer(0)
            else:
                body = unpack(request, self.sizes, cloud=self.cloud)
                if isinstance(body, bytes):
                    plain = len(body)
                    if self._bodies is not None and request.service == "event":
                        (self._bodies / f"{request.number:09}.body").write_bytes(body)
                answer = body if isinstance(body, Answer) else self._post(request, token, body, node, now, clock)
            if answer.status in (429, 503) and self.retry_after:
                answer = _with_header(answer, ("Retry-After", self.retry_after))
            if self._cookie:
                answer = _with_header(answer, ("Set-Cookie", f"{self._cookie}={node}; Path=/"))
            self.seen.note(request, answer, node=node, plain=plain, events=self.store.total - before)
        self.store.wake()
        return answer

    def count_kept(self) -> tuple[int, int]:
        """Unpacks and counts what was kept for later: its events, and its bytes unpacked. A body that can't be unpacked
        counts for nothing."""
        with self._lock:
            kept, self._kept, self._kept_bytes = self._kept, [], 0
        events = plain = 0
        for request in kept:
            body = unpack(request, self.sizes, cloud=self.cloud)
            if isinstance(body, bytes):
                events += body.count(_EVENT_MARK)
                plain += len(body)
        self.store.count(events)
        return events, plain

    def refuse(self, request: Request, status: int, code: int | None) -> None:
        """Notes a request that a fault answered instead (status 0: not at all)."""
        self.seen.note(request, Answer(status=status, body=b"", code=code), faulted=True)
        self.store.wake()

    def restart(self, *, lose_unacknowledged: bool = False) -> int:
        """Forgets all acks, as a restart does; with ``lose_unacknowledged`` also what was not yet told as true.

        Gives how many events were lost.
        """
        with self._lock:
            lost = self.store.lose(self._is_pending) if lose_unacknowledged else 0
            for node in self.nodes:
                node.forget()
            self._restarted_at = self._newest
            return lost

    def _is_pending(self, event: Indexed) -> bool:
        return (
            event.channel is not None
            and event.ack_id is not None
            and event.request > self._restarted_at
            and self.nodes[event.node].is_pending(event.channel, event.ack_id)
        )

    def _node(self, request: Request) -> int:
        """The node that the cookie names, else the next in turn."""
        if self._cookie:
            for part in request.headers.get("cookie", "").split(";"):
                name, _, value = part.strip().partition("=")
                if name == self._cookie and value.isdigit() and int(value) < len(self.nodes):
                    return int(value)
        self._turn = (self._turn + 1) % len(self.nodes)
        return self._turn

    def _health(self, request: Request) -> Answer:
        if "token" in request.query or "authorization" in request.headers:
            token = self.tokens.authorise(request.headers, request.query)
            if isinstance(token, int):
                return hec_answer(22 if token == 1 else 21 if token in (3, 4) else token)
        if self.shutting_down:
            return hec_answer(23)
        full = self.queue is Queue.FULL
        ack_gone = not self.ack_service and request.query.get("ack") == "true"
        return hec_answer(20 if full and ack_gone else 18 if full else 19 if ack_gone else 17)

    def _post(self, request: Request, token: Token, body: bytes, node: int, now: float, clock: float) -> Answer:
        channel = request.channel
        if request.service == "ack" and not token.use_ack:
            return hec_answer(14)
        if token.use_ack:
            if not channel:
                return hec_answer(28 if self.cloud else 10)
            if not _GUID.match(channel):
                return hec_answer(11)
        if request.service == "ack":
            return self._acks(body, node, channel or "", now)
        if self.queue is Queue.FULL:
            return hec_answer(self.full_code)
        near = 24 if self.queue is Queue.NEAR else 0
        acks = self.nodes[node] if token.use_ack else None
        if acks is not None and channel:
            room = acks.room(channel, now)
            if room not in (0, 25):
                return hec_answer(room)
            near = near or room
        if self._count_only and request.service == "event":
            self.store.count(body.count(_EVENT_MARK))
            return hec_answer(near, ack_id=acks.give(channel, now) if acks is not None and channel else None)
        reading = self._read(request, token, body)
        if isinstance(reading, Answer):
            return reading
        refusal = reading.refusal
        ack_id = None
        if acks is not None and channel and (reading.taken or refusal is None):
            ack_id = acks.give(channel, now)
        self.store.add(_indexed(request, node, channel, ack_id, token, envelope, clock) for envelope in reading.taken)
        if refusal is None:
            return hec_answer(near, ack_id=ack_id)
        number = refusal.number
        if number is not None:
            number = self.numbering(refusal.code, number, body.count(_EVENT_MARK))
        return hec_answer(refusal.code, number, ack_id)

    def _read(self, request: Request, token: Token, body: bytes) -> Reading | Answer:
        if request.service == "event":
            return read_envelopes(
                body,
                lambda index: self._index_allowed(token, index),
                self.sizes.event_max_bytes,
                lambda envelope: self.poison.get(envelope.event_id or ""),
            )
        if not body.strip():
            return hec_answer(5)
        index = request.query.get("index")
        if index and not self._index_allowed(token, index):
            return hec_answer(7)
        return read_lines(request, body)

    def _index_allowed(self, token: Token, index: str) -> bool:
        return (not token.indexes or index in token.indexes) and (self.indexes is None or index in self.indexes)

    def _acks(self, body: bytes, node: int, channel: str, now: float) -> Answer:
        if not body.strip():
            return hec_answer(5)
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return hec_answer(6)
        numbers = asked.get("acks") if isinstance(asked, dict) else None
        if not isinstance(numbers, list) or any(type(number) is not int for number in numbers):
            return hec_answer(6)
        return ack_answer(self.nodes[node].poll(channel, numbers, now))


def _with_header(answer: Answer, header: tuple[str, str]) -> Answer:
    return Answer(status=answer.status, body=answer.body, headers=(*answer.headers, header), code=answer.code)


def _indexed(
    request: Request, node: int, channel: str | None, ack_id: int | None, token: Token, envelope: Envelope, clock: float
) -> Indexed:
    return Indexed(
        request=request.number,
        node=node,
        channel=channel,
        ack_id=ack_id,
        token=token.name,
        event_id=envelope.event_id,
        time=clock if envelope.time is None else envelope.time,
        host=envelope.host or token.host,
        source=envelope.source or token.source,
        sourcetype=envelope.sourcetype or token.sourcetype,
        index=envelope.index or token.index,
        event=envelope.event,
        fields=envelope.fields,
        raw=envelope.raw,
    )
