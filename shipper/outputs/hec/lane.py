"""The lane: one request at a time, to whichever endpoint is next, and the acknowledgements of its own requests.

A lane has a connection and a channel of its own for each endpoint, so that the ids of a channel come back in order: one
that does not rise says that the server lost its memory, and then what waited on that channel is sent again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from shipper.errors import StateError
from shipper.journal import Change, Channel, Refused
from shipper.outputs.hec.ack import Acks
from shipper.outputs.hec.answer import WRONG_INDEX, Answer, Verdict, judge, judge_health
from shipper.outputs.hec.client import EVENT_PATH, HEALTH_PATH, Line
from shipper.outputs.hec.endpoint import Endpoint
from shipper.outputs.hec.outcome import Outcome, outcome
from shipper.outputs.hec.output import HecOutput, Work
from shipper.outputs.hec.pool import REST_MAX_SECONDS
from shipper.outputs.hec.sealed import AnySlice
from shipper.outputs.hec.slice import Slice
from shipper.record import Gap, Source, decode_record

REFUSALS_MAX_COUNT = 100
"""So many refused events in a row may be the server's fault: from then on one at a time, after a wait each."""
log = logging.getLogger(__name__)
_decode_gap = msgspec.json.Decoder(Gap).decode


class Lane:
    """The lane ``number`` of ``output``; ``open_line`` makes a connection to an endpoint's address. All but ``cut`` is
    for its own thread."""

    def __init__(self, number: int, output: HecOutput, open_line: Callable[[str], Line]) -> None:
        self.number = number
        self._output = output
        self._open_line = open_line
        self._lines: dict[str, Line] = {}
        self._works: list[Work] = []
        self._journal = f"journal {number}"
        """The trouble of this lane alone: the others may get on."""
        self._gzip = output.settings.compression == "gzip"
        self._wants_ack = output.settings.ack != "off"
        self._acks = Acks(number, output, self._works)

    def step(self, now: float) -> float:
        """Do the next thing; returns for how many seconds there is nothing, 0 where there may be more."""
        output = self._output
        try:
            if self._acks.due(now):
                self._acks.step(now, self._line)
                now = time.monotonic()
            claimed = output.claim(now)
            if claimed is None:
                output.exchange(self.number, self._works, take=False)
                output.trouble(self._journal, None)
                return min(output.pool.rest(now), self._acks.rest(now))
            endpoint, token = claimed
            try:
                return self._use(endpoint, token, now)
            finally:
                output.pool.release(endpoint)
        except StateError as error:
            output.trouble(self._journal, str(error))
            return REST_MAX_SECONDS

    def begin_anew(self) -> None:
        """After a fault: forget what was under way; it is read from the journal again, and counted. Raises StateError."""
        self._works.clear()
        for line in self._lines.values():
            line.close()
        self._output.begin_anew()

    def finish(self) -> None:
        """Write down what is done, and give the connections back."""
        try:
            self._output.exchange(self.number, self._works, take=False)
        except StateError as error:
            log.warning(
                "output %s ends with events taken that can't be written down; they are sent again: %s",
                self._output.name,
                error,
            )
        for line in self._lines.values():
            line.close()

    def cut(self, now: float, *, always: bool = False) -> None:
        """End a request that has had all of its time, or with ``always`` whatever is under way."""
        for line in list(self._lines.values()):
            if always or line.overdue(now):
                line.cut()

    # ---- one request ---------------------------------------------------------------------------

    def _use(self, endpoint: Endpoint, token: str, now: float) -> float:
        output = self._output
        asked = endpoint.wants_health
        if asked and not self._is_healthy(endpoint, token):
            output.exchange(self.number, self._works, take=False)
            return 0.0
        channel = self._acks.channel(endpoint.url) if self._wants_ack else None
        if channel is not None and output.settings.ack == "required":
            problem = self._acks.missing(channel, token, self._line(endpoint.url))
            if problem is not None:
                output.pool.failed(endpoint, problem, time.monotonic())
                output.exchange(self.number, self._works, take=False)
                return 0.0
        piece, wait = output.exchange(self.number, self._works, take=True)
        output.trouble(self._journal, None)
        if piece is None:
            if asked and not endpoint.well and endpoint.reason is not None and not endpoint.held:
                # Nothing to send, and its health is good: this lane has asked, so another's failure does not pass for mended.
                output.pool.fine(endpoint, now, slow=False)
            return max(min(wait, self._acks.rest(now)), 0.001)
        epoch = output.epoch
        endpoint.count()
        answer = self._send(endpoint, token, channel, piece)
        self._settle(endpoint, channel, piece, answer, epoch)
        return 0.0

    def _send(self, endpoint: Endpoint, token: str, channel: Channel | None, piece: AnySlice) -> Answer:
        headers = {"Authorization": f"Splunk {token}", "Content-Type": "application/json"}
        if channel is not None:
            headers["X-Splunk-Request-Channel"] = channel.channel
        sent = piece.packed() if self._gzip else piece.body()
        if self._gzip:
            headers["Content-Encoding"] = "gzip"
        begun = time.monotonic()
        response = self._line(endpoint.url).ask("POST", EVENT_PATH, headers, sent)
        self._output.latency.add(time.monotonic() - begun)
        if isinstance(response, Answer):
            return response
        if response.status in (401, 403):
            self._output.token.refused()
        answer = judge(response.status, response.body, response.headers, len(piece), piece.size)
        if answer.code == WRONG_INDEX and answer.bad is not None:
            envelope = msgspec.json.decode(piece.cut(answer.bad, answer.bad + 1).opened().bodies[0])
            index = envelope.get("index", "the token's own")
            answer = msgspec.structs.replace(answer, text=f"{answer.text}; the index is {index}")
        return answer

    def _settle(self, endpoint: Endpoint, channel: Channel | None, piece: AnySlice, answer: Answer, epoch: int) -> None:
        """Turn the answer into what is to be written down, and into what goes again."""
        output = self._output
        found = outcome(piece, answer, acknowledged=output.settings.ack == "required")
        self._answered(endpoint, answer, found)
        if answer.verdict is Verdict.SPLIT:
            output.lower_limit(piece)
        if answer.verdict is Verdict.UNSURE and channel is not None:
            self._acks.doubt(channel, epoch)
        again = sum(map(len, found.back)) if answer.verdict is not Verdict.GUILTY else 0
        tallies = {"requests": 1, "retried": again, "possible_duplicates": found.doubled}
        change = Change(tallies={name: value for name, value in tallies.items() if value})
        work = Work(change, (), epoch)
        if found.taken is not None:
            change.handed = found.taken.handed()
            spans = found.taken.spans()
            count = len(found.taken)
            if channel is not None and answer.ack is not None:
                self._acks.accepted(channel, answer.ack, spans, change, epoch)
            else:
                work.taken = spans
                change.tallies = {**change.tallies, "sent": count} | ({"unconfirmed": count} if channel else {})
        if found.guilty is not None:
            change.refused = [self._refused(found.guilty, answer)]
            change.tallies = {**change.tallies, "quarantined": 1}
            work.taken = (*work.taken, *found.guilty.spans())
        self._works.append(work)
        output.give_back(found.back, epoch)

    def _answered(self, endpoint: Endpoint, answer: Answer, found: Outcome) -> None:
        """Tell the endpoint how it does."""
        output, now = self._output, time.monotonic()
        output.refusals = 0 if found.taken is not None else output.refusals + (found.guilty is not None)
        if answer.verdict in (Verdict.HELD, Verdict.REFUSED, Verdict.UNSURE):
            output.pool.failed(endpoint, answer, now)
        elif found.taken is None and answer.verdict is Verdict.TAKEN:
            problem = Answer(Verdict.HELD, answer.status, answer.code, 'no acknowledgement, and ack = "required"')
            self._acks.unsound(endpoint.url)
            output.pool.failed(endpoint, problem, now)
        elif output.refusals > REFUSALS_MAX_COUNT:
            reason = f"{output.refusals} events in a row were refused, the last with {answer.shown}"
            output.pool.failed(endpoint, answer, now, reason)
        else:
            output.pool.fine(endpoint, now, slow=answer.slow)
            if answer.verdict is Verdict.TAKEN and self._wants_ack:
                self._acks.offered(endpoint.url, answer.ack is not None)

    def _refused(self, guilty: Slice, answer: Answer) -> Refused:
        body = guilty.bodies[0]
        raw = body[body.index(b',"event":') + 9 : -1]
        code = answer.code if answer.code is not None else answer.status
        if not guilty.ids[0]:
            log.warning("output %s: a gap was refused: %s", self._output.name, answer.shown)
            gap = _decode_gap(raw)
            return Refused(raw, gap.source, gap.detected or None, code, answer.text or answer.shown)
        record = decode_record(raw)
        log.warning(
            "output %s: event %s was refused and is in the quarantine: %s", self._output.name, record.id, answer.shown
        )
        source: Source = record.source
        return Refused(raw, source, record.time, code, answer.text or answer.shown)

    def _is_healthy(self, endpoint: Endpoint, token: str) -> bool:
        response = self._line(endpoint.url).ask("GET", HEALTH_PATH, {"Authorization": f"Splunk {token}"})
        if isinstance(response, Answer):
            answer = response
        else:
            answer = judge_health(response.status, response.body, response.headers)
        if answer.verdict is Verdict.TAKEN:
            endpoint.wants_health = False
            return True
        if answer.status and endpoint.sick():
            return True
        self._output.pool.failed(endpoint, answer, time.monotonic())
        return False

    def _line(self, url: str) -> Line:
        line = self._lines.get(url)
        if line is None:
            line = self._lines[url] = self._open_line(url)
        return line
