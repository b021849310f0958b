"""The output: what the lanes of one Splunk output share: its place in the journal, its endpoints, counts and troubles.

Each lane sends one request at a time. Between two of them it comes here, under the lock, to write down what the last
one did and to take the next slice, both in one transaction of the journal. An event is done with when it is taken for
good; a restart begins with everything that is not. What was on its way when a process ended is counted as possibly
doubled by the next one.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from shipper.config import SplunkHecOutput
from shipper.errors import SecretError, StateError
from shipper.journal import Change, Channel, Journal, Receipt, Span
from shipper.outputs.hec.endpoint import Endpoint
from shipper.outputs.hec.envelope import Renderer
from shipper.outputs.hec.names import Namer
from shipper.outputs.hec.parcels import NamedParcels
from shipper.outputs.hec.pool import Pool
from shipper.outputs.hec.progress import Progress
from shipper.outputs.hec.routing import Routing
from shipper.outputs.hec.sealed import AnySlice
from shipper.outputs.hec.state import HecState, Latency
from shipper.outputs.hec.supply import Limits, Supply
from shipper.outputs.hec.token import Token
from shipper.outputs.hec.trouble import Troubles
from shipper.outputs.hec.waiting import FIRST_ACK, Waiting, key_of
from shipper.outputs.hec.wrapping import wrapping_name

if TYPE_CHECKING:
    from shipper.outputs.hec.sieve import Sieve

IDLE_SECONDS = 5.0
TIDY_SECONDS = 60.0
BODY_MIN_BYTES = 16 << 10
"""A limit that was found out is never below this: an event that is larger still is sent alone."""
log = logging.getLogger(__name__)


class Work(Struct):
    """What a lane did: the change, and the items that are taken with it; from before the batches were renumbered where
    ``epoch`` is not the output's."""

    change: Change
    taken: tuple[Span, ...]
    epoch: int


class HecOutput:
    """The output of ``settings``, registered in the journal. Its lanes call from their own threads, others ask ``state``.

    ``keeps`` is its filter. Raises StateError where the journal can't be used.
    """

    def __init__(
        self,
        settings: SplunkHecOutput,
        journal: Journal,
        *,
        keeps: Sieve | None = None,
        namer: Namer | None = None,
        retention_seconds: int = 30 * 86400,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._journal = journal
        self._keeps = keeps
        self._namer = namer
        self._retention_seconds = retention_seconds
        self.lock = threading.RLock()
        self.token = Token(settings.token_file)
        routing = Routing(settings.route, settings.sourcetype, settings.index)
        self._renderer = Renderer(routing, settings.sourcetype, settings.index)
        self._limits = Limits(
            settings.batch_max_bytes, settings.batch_max_events, int(settings.batch_age_seconds * 1e9)
        )
        self._last_token = ""
        self.latency = Latency()
        self.refusals = 0
        """Events refused one after another, with none taken between."""
        self.last_success_ns: int | None = None
        self.flush = False
        """Nothing waits any more to share a request: the output is to end."""
        self.more = False
        """Whether the last slice was a full one, so that there may be another."""
        self._troubles = Troubles(self.name)
        self.pool = Pool(settings.endpoints, settings.backoff_max_seconds, jitter, self._troubles, self.lock)
        self._tallies: dict[str, int] = {}
        self._in_flight: dict[int, int] = {}
        self._tidied = float("-inf")
        journal.register(self.name)
        self._outbox = journal.outbox(self.name)
        self.channels: list[Channel] = []
        self.doubted: frozenset[str] = frozenset()
        """Channels on which a request of an earlier process may be under way; nothing more is sent there."""
        self.epoch = 0
        self._open()

    def _open(self) -> None:
        """Begin with what the journal remembers."""
        self._moves = self._journal.moves_count
        found = self._outbox.remembered()
        if found.flying:
            self._outbox.write(Change(tallies={"possible_duplicates": found.flying}))
            self._outbox.landed()
            log.warning(
                "output %s: %d events were on their way when the last process ended; they are sent again and may be "
                "there twice",
                self.name,
                found.flying,
            )
        self.last_success_ns = self.last_success_ns or found.delivered_ns
        self._tallies = dict(found.tallies)
        self._tallies["possible_duplicates"] = self._tallies.get("possible_duplicates", 0) + found.flying
        known = dict.fromkeys(self.settings.endpoints)
        channels = {one.channel: one for one in found.channels if one.endpoint in known}
        self.channels = list(channels.values())
        receipts = [one for one in found.receipts if one.channel in channels]
        # As after a request without an answer: its id may be one that another waits under.
        self.doubted = frozenset(channels if found.flying else ())
        receipts = [one for one in receipts if one.ack != FIRST_ACK or one.channel not in self.doubted]
        self.waiting = Waiting(receipts, self.channels)
        progress = Progress(found.cursor)
        for seq in dict.fromkeys(span.seq for one in receipts for span in one.spans):
            parcel = self._outbox.at(seq)
            if parcel is not None:
                progress.expect(seq, parcel.count)
        self._progress = progress
        self._supply = Supply(
            self._outbox if self._namer is None else NamedParcels(self._outbox, self._namer),
            self._renderer,
            progress,
            self._limits,
            keeps=self._keeps,
            gaps=self.settings.gaps,
            taken=found.taken,
            waiting=[span for one in receipts for span in one.spans],
            wrap="" if self.settings.route else wrapping_name(self.settings.sourcetype, self.settings.index),
        )
        kept = set(map(key_of, receipts))
        lost = [one for one in found.receipts if key_of(one) not in kept]
        closed = [one.channel for one in found.channels if one.endpoint not in known]
        if lost or closed:
            doubled = sum(span.until - span.first for one in lost for span in one.spans)
            self._write(Change(void=lost, closed=closed, tallies={"possible_duplicates": doubled}))

    # ---- for the lanes -------------------------------------------------------------------------

    def claim(self, now: float) -> tuple[Endpoint, str] | None:
        """An endpoint for the next request, and the token; the pool's ``release`` gives it back. None where nothing may be sent
        now: ``rest`` says for how long."""
        with self.lock:
            try:
                token = self.token.value(now)
            except SecretError as error:
                self.trouble("token", str(error))
                return None
            self.trouble("token", None)
            if token != self._last_token:
                # What was refused for the old one may be taken with this one.
                self._last_token = token
                self.pool.hurry()
            if len(self.waiting) >= self.settings.ack_pending_max_count:
                return None
            endpoint = self.pool.claim(now, self.waiting.at)
            return None if endpoint is None else (endpoint, token)

    def exchange(self, lane: int, works: list[Work], *, take: bool) -> tuple[AnySlice | None, float]:
        """Write down what a lane did, which leaves ``works``, and take the next slice, or None and for how long there
        is none. Raises StateError, and then what is left in ``works`` is not written and nothing is taken."""
        with self.lock:
            self._check_moves()
            while len(works) > 1:
                self._save(works[0])
                works.pop(0)
            piece, wait = self._supply.take(time.time_ns(), flush=self.flush) if take else (None, 0.0)
            flying = 0 if piece is None else len(piece)
            try:
                if works:
                    works[0].change.flights = {lane: flying}
                    self._save(works[0])
                    works.pop(0)
                elif flying != self._in_flight.get(lane, 0) or self._progress.advanced() > self._progress.cursor:
                    self._save(Work(Change(flights={lane: flying}), (), self.epoch))
            except StateError:
                if piece is not None:
                    self._supply.give_back((piece,))
                raise
            self._in_flight[lane] = flying
            self.more = piece is not None and (
                2 * flying >= self._limits.events or 2 * piece.size >= self._limits.bytes
            )
            return piece, min(wait, IDLE_SECONDS)

    def give_back(self, pieces: Sequence[AnySlice], epoch: int) -> None:
        """Slices to be sent again."""
        if not pieces:
            return
        with self.lock:
            if epoch == self.epoch:
                self._supply.give_back(pieces)

    def send_again(self, receipts: Sequence[Receipt], epoch: int) -> None:
        """What these requests held is to be read and sent again."""
        with self.lock:
            if epoch == self.epoch:
                self._supply.send_again([span for one in receipts for span in one.spans])

    def lower_limit(self, piece: AnySlice) -> None:
        """The server takes no body as large as this one."""
        with self.lock:
            limit = max(BODY_MIN_BYTES, piece.size // 2)
            if limit < self._limits.bytes:
                self._limits.bytes = limit
                log.warning(
                    "output %s: the server takes no body of %d bytes; bodies are at most %d bytes from now on: lower "
                    "batch_max, or raise the server's limit",
                    self.name,
                    piece.size,
                    limit,
                )

    def trouble(self, kind: str, what: str | None) -> None:
        """Something beside the endpoints stands in the way, or no longer does."""
        if what is None and kind not in self._troubles:
            return  # as after each request: another lane may hold the lock for long, while it writes
        with self.lock:
            self._troubles.set(kind, what, time.monotonic())

    # ---- for the keeper ------------------------------------------------------------------------

    def tidy(self, now: float) -> None:
        """What is due from time to time. Raises StateError."""
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            self._outbox.tidy(self._retention_seconds)

    @property
    def last_error(self) -> str | None:
        """Why nothing gets through now, None where something does."""
        with self.lock:
            if self._troubles.first is not None:
                return self._troubles.first
            return self.pool.reason

    def state(self) -> HecState:
        """All that is to be shown."""
        with self.lock:
            tallies = self._tallies
            return HecState(
                endpoints=self.pool.states(),
                ack=self.pool.ack,
                ack_pending=len(self.waiting),
                held=self.last_error if self.pool.held or self._troubles.first is not None else None,
                sent=tallies.get("sent", 0),
                retried=tallies.get("retried", 0),
                quarantined=tallies.get("quarantined", 0),
                possible_duplicates=tallies.get("possible_duplicates", 0),
                unconfirmed=tallies.get("unconfirmed", 0),
                put_back=self._outbox.put_back_count(),
                undecided=0 if self._keeps is None else self._keeps.undecided_count,
                left_out=None if self._keeps is None else self._keeps.left_out_count,
            )

    # ---- under the lock ------------------------------------------------------------------------

    def _save(self, work: Work) -> None:
        """Write a lane's work down, with the cursor as far as it goes then."""
        if work.epoch != self.epoch:
            # The numbers are of another count: what it took is sent again.
            doubled = sum(span.until - span.first for span in work.taken)
            change = work.change
            work = Work(
                Change(refused=change.refused, flights=change.flights, tallies={"possible_duplicates": doubled}),
                (),
                self.epoch,
            )
        fresh = self._progress.take(work.taken)
        try:
            self._write(work.change, fresh)
        except StateError:
            self._progress.give_back(fresh)
            raise

    def _write(self, change: Change, fresh: Sequence[Span] = ()) -> None:
        cursor = self._progress.advanced()
        change.cursor = cursor if cursor > self._progress.cursor else None
        change.finished = self._progress.finished()
        change.taken = [
            span for span in fresh if span.seq > cursor or (span.seq < 0 and span.seq not in change.finished)
        ]
        receipt = self._outbox.write(change)
        self.waiting.drop((*change.confirmed, *change.void))
        if receipt is not None and change.channel is not None:
            self.waiting.add(receipt, change.channel)
        self.waiting.forget(change.closed)
        for name, value in change.tallies.items():
            self._tallies[name] = self._tallies.get(name, 0) + value
        if change.tallies.get("sent"):
            self.last_success_ns = time.time_ns()
        self._progress.move(cursor)

    def _check_moves(self) -> None:
        if self._journal.moves_count != self._moves:
            log.warning(
                "output %s: the journal's batches have other numbers now; it begins again at its cursor", self.name
            )
            self.begin_anew()

    def begin_anew(self) -> None:
        """Begin with what is in the journal; what is under way in other lanes does not count. Raises StateError."""
        with self.lock:
            self.epoch += 1
            self._in_flight.clear()
            self._open()
