"""The acknowledgements of one lane: its channels, what waits on them, and the questions to the server about it.

"true" is said once and then forgotten by the server, so it is kept here until it is written down. An endpoint that
fails to answer acknowledges nothing; after ``ack_timeout``, and one more question, what waited is sent again and counted.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence

import msgspec

from shipper.errors import SecretError
from shipper.journal import Change, Channel, Receipt, Span
from shipper.outputs.hec.answer import Answer, Verdict, judge_acks
from shipper.outputs.hec.client import ACK_PATH, Line
from shipper.outputs.hec.output import HecOutput, Work
from shipper.outputs.hec.waiting import FIRST_ACK, Key, key_of

ASK_MAX_COUNT = 1000
"""Ids in one question."""
LEAST_SECONDS = 0.001
LOOK_SECONDS = 0.25
"""How often it is looked for what waited too long."""
DISABLED = 14
log = logging.getLogger(__name__)


class Acks:
    """Of lane ``lane``; what is to be written down is added to ``works``."""

    def __init__(self, lane: int, output: HecOutput, works: list[Work]) -> None:
        self._lane = lane
        self._output = output
        self._works = works
        self._current: dict[str, Channel] = {}
        self._channels: dict[str, Channel] = {}
        self._asked: dict[str, float] = {}
        self._sound: set[str] = set()
        self._silent: set[str] = set()
        self._settling: set[Key] = set()
        """What is decided and not written down yet."""
        self._tried: dict[Key, float] = {}
        """When a receipt was last asked for."""
        self._from: dict[str, int] = {}
        self._looked = float("-inf")
        self._epoch = -1
        self._adopt()

    def _adopt(self) -> None:
        """Take over the channels that the journal remembers for this lane."""
        self._epoch = self._output.epoch
        lanes = self._output.settings.in_flight
        mine = [one for one in self._output.channels if one.lane % lanes == self._lane]
        self._channels = {one.channel: one for one in mine}
        fresh = [one for one in mine if one.channel not in self._output.doubted]
        self._current = {one.endpoint: one for one in fresh if one.lane == self._lane}
        self._settling.clear()
        self._tried.clear()
        used = {one.channel for one in self._current.values()}
        idle = [one.channel for one in mine if one.channel not in used and not self._waiting(one.channel)]
        if idle:
            self._close(idle)

    # ---- channels ------------------------------------------------------------------------------

    def channel(self, url: str) -> Channel:
        """The channel for the next request to an endpoint."""
        if self._epoch != self._output.epoch:
            self._adopt()
        found = self._current.get(url)
        if found is None:
            found = self._current[url] = Channel(str(uuid.uuid4()), self._lane, url)
            self._channels[found.channel] = found
        return found

    def retire(self, url: str) -> None:
        """Send nothing more on the channel of an endpoint; what waits on it is still asked for."""
        gone = self._current.pop(url, None)
        if gone is not None and self._is_idle(gone.channel):
            self._close([gone.channel])

    def doubt(self, channel: Channel, epoch: int) -> None:
        """A request on a channel got no answer. A server that was started anew may have taken it, and then under the
        first id of all: what waits under that one can't be told from it any more."""
        self.retire(channel.endpoint)
        first = [one for one in self._waiting(channel.channel) if one.ack == FIRST_ACK]
        self._void(first, "a request without an answer may have got their id", epoch)

    def accepted(self, channel: Channel, ack: int, spans: tuple[Span, ...], change: Change, epoch: int) -> None:
        """A request was accepted under an id; completes the change that says so."""
        before = self._channels.get(channel.channel, channel)
        if ack <= before.last_ack:
            self._void(
                self._waiting(channel.channel), "the server has begun to count anew, so it has lost what it knew", epoch
            )
        now = msgspec.structs.replace(before, last_ack=ack)
        self._channels[channel.channel] = now
        current = self._current.get(channel.endpoint)
        if current is not None and current.channel == channel.channel:
            self._current[channel.endpoint] = now
        self._asked.setdefault(channel.channel, time.monotonic())
        change.channel = now
        change.receipt = Receipt(channel.channel, ack, time.time_ns(), 0, spans)

    def offered(self, url: str, yes: bool) -> None:
        """Whether the last request that an endpoint took is to be acknowledged; said once, and whenever it changes."""
        output = self._output
        if not yes:
            output.pool.believe(url)
        before = output.pool.offered(url, yes)
        if before is yes:
            return
        if yes:
            log.info("output %s: %s acknowledges: events count as delivered when it does", output.name, url)
        else:
            log.log(
                logging.WARNING if before else logging.INFO,
                "output %s: %s offers no acknowledgement%s: an accepted request counts as delivered, though it is "
                "not indexed yet; 'connlog splunk verify' compares",
                output.name,
                url,
                " any more" if before else "",
            )

    # ---- questions -----------------------------------------------------------------------------

    def due(self, now: float) -> bool:
        """Whether a question or a time limit is due."""
        if not self._output.waiting:
            return False
        if self._epoch != self._output.epoch:
            self._adopt()
        return self._next(now) is not None or bool(self._expired(now))

    def rest(self, now: float) -> float:
        """How long a lane may rest that has nothing to send, in seconds."""
        if not self._output.waiting:
            return float("inf")
        poll_seconds = self._output.settings.ack_poll_seconds
        pool = self._output.pool
        asked = [
            self._asked.get(name, now)
            for name, channel in self._channels.items()
            if pool.askable(channel.endpoint, now) and self._waiting(name)
        ]
        return min([poll_seconds, *(max(LEAST_SECONDS, at + poll_seconds - now) for at in asked)])

    def step(self, now: float, line: Callable[[str], Line]) -> None:
        """Ask one question, or give up on what waited too long."""
        expired = self._expired(now)
        if expired:
            self._give_up(expired)
            return
        channel = self._next(now)
        if channel is None:
            return
        try:
            token = self._output.token.value(now)
        except SecretError as error:
            self._asked[channel.channel] = now
            self._output.trouble("token", str(error))
            return
        receipts = self._some(channel.channel)
        true, answer = self._ask(channel, token, [one.ack for one in receipts], line(channel.endpoint))
        # From its end: an endpoint that takes long to answer leaves time for events between two questions.
        self._asked[channel.channel] = time.monotonic()
        self._tried.update((key_of(one), now) for one in receipts)
        self._take(channel, true, answer)

    def _some(self, channel: str) -> Sequence[Receipt]:
        """What to ask for on a channel, by turns where that is more than fits one question."""
        waiting = self._waiting(channel)
        first = self._from.get(channel, 0)
        first = first if first < len(waiting) else 0
        self._from[channel] = first + ASK_MAX_COUNT
        return waiting[first : first + ASK_MAX_COUNT]

    def missing(self, channel: Channel, token: str, line: Line) -> Answer | None:
        """Why nothing can be acknowledged on a channel, asked before its first event; None where it can."""
        if channel.channel in self._sound:
            return None
        _, answer = self._ask(channel, token, [0], line)
        if answer.verdict is Verdict.TAKEN:
            self._sound.add(channel.channel)
            return None
        if answer.code == DISABLED:
            text = 'the token does not use acknowledgement, and ack = "required": enable it, or set ack = "auto"'
            return Answer(Verdict.HELD, answer.status, answer.code, text)
        return answer

    def unsound(self, url: str) -> None:
        """An endpoint gave no id: ask again before the next event."""
        channel = self._current.get(url)
        if channel is not None:
            self._sound.discard(channel.channel)

    def _ask(self, channel: Channel, token: str, ids: Sequence[int], line: Line) -> tuple[frozenset[int], Answer]:
        headers = {
            "Authorization": f"Splunk {token}",
            "Content-Type": "application/json",
            "X-Splunk-Request-Channel": channel.channel,
        }
        body = msgspec.json.encode({"acks": list(ids)})
        response = line.ask("POST", f"{ACK_PATH}?channel={channel.channel}", headers, body)
        if isinstance(response, Answer):
            return frozenset(), response
        if response.status in (401, 403):
            self._output.token.refused()
        return judge_acks(response.status, response.body)

    def _take(self, channel: Channel, true: frozenset[int], answer: Answer) -> None:
        output = self._output
        if answer.verdict is not Verdict.TAKEN:
            if answer.code == DISABLED:
                self._void(self._waiting(channel.channel), "the token's acknowledgement was switched off", self._epoch)
                self.retire(channel.endpoint)
            elif channel.channel not in self._silent:
                self._silent.add(channel.channel)
                log.warning(
                    "output %s: %s says nothing of acknowledgements: %s; nothing counts as delivered by that",
                    output.name,
                    channel.endpoint,
                    answer.shown,
                )
            return
        self._silent.discard(channel.channel)
        done = [one for one in self._waiting(channel.channel) if one.ack in true]
        if not done:
            return
        self._settling.update(map(key_of, done))
        output.pool.believe(channel.endpoint)
        spans = tuple(span for one in done for span in one.spans)
        change = Change(confirmed=done, tallies={"sent": sum(span.until - span.first for span in spans)})
        self._works.append(Work(change, spans, self._epoch))
        if self._current.get(channel.endpoint, channel).channel != channel.channel and self._is_idle(channel.channel):
            self._close([channel.channel])

    # ---- what waits ----------------------------------------------------------------------------

    def _waiting(self, channel: str) -> list[Receipt]:
        with self._output.lock:
            return [one for one in self._output.waiting.of(channel) if key_of(one) not in self._settling]

    def _is_idle(self, channel: str) -> bool:
        """Whether nothing waits on a channel, nor will when what was done is written down."""
        receipts = (work.change.receipt for work in self._works)
        return not self._waiting(channel) and all(one is None or one.channel != channel for one in receipts)

    def _next(self, now: float) -> Channel | None:
        """The channel to be asked about next, at an endpoint that can be asked."""
        poll_seconds = self._output.settings.ack_poll_seconds
        for name, channel in self._channels.items():
            due = now - self._asked.get(name, float("-inf")) >= poll_seconds
            if due and self._waiting(name) and self._output.pool.askable(channel.endpoint, now):
                return channel
        return None

    def _expired(self, now: float) -> list[Receipt]:
        """What waited too long: it was asked for in vain after its time, or can't be asked for while others take events."""
        if now - self._looked < LOOK_SECONDS:
            return []
        output, found = self._output, []
        with output.lock:
            self._settling = set(filter(output.waiting.known, self._settling))
            self._tried = {key: at for key, at in self._tried.items() if output.waiting.known(key)}
            for name, channel in self._channels.items():
                askable, elsewhere = output.pool.askable(channel.endpoint, now), output.pool.works
                for one in self._waiting(name):
                    over = output.waiting.since(one) + output.settings.ack_timeout_seconds
                    asked = self._tried.get(key_of(one), float("-inf")) >= over
                    if now >= over and (asked or (elsewhere and not askable)):
                        found.append(one)
        if not found:
            self._looked = now
        return found

    def _give_up(self, expired: Sequence[Receipt]) -> None:
        output = self._output
        why = f"no acknowledgement came within {output.settings.ack_timeout_seconds:g} s"
        self._void(expired, why, self._epoch)
        for channel in {one.channel for one in expired}:
            known = self._channels.get(channel)
            if known is not None:
                output.pool.doubt(
                    known.endpoint, f"{why}; one request at a time is tried there until one is acknowledged"
                )
                self.retire(known.endpoint)

    def _void(self, receipts: Sequence[Receipt], why: str, epoch: int) -> None:
        """Send again what these requests held."""
        if not receipts:
            return
        events = sum(span.until - span.first for one in receipts for span in one.spans)
        log.warning("output %s: %d events are sent again: %s", self._output.name, events, why)
        self._settling.update(map(key_of, receipts))
        tallies = {"possible_duplicates": events, "retried": events}
        self._works.append(Work(Change(void=list(receipts), tallies=tallies), (), epoch))
        self._output.send_again(receipts, epoch)

    def _close(self, channels: Sequence[str]) -> None:
        for name in channels:
            self._channels.pop(name, None)
            self._asked.pop(name, None)
            self._from.pop(name, None)
        self._works.append(Work(Change(closed=list(channels)), (), self._epoch))
