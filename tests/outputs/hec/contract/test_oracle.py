"""Whatever happens in whatever order: nothing is lost, only the guilty events are quarantined, what is doubled was counted.

The output's lanes are stepped by the test itself, over a real journal and a real server, so that an end can come at any
moment between two steps: also when an answer is there and the journal does not know it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from shipper.config import SplunkHecOutput
from shipper.journal import Batch, Journal, Piece
from shipper.outputs.hec.client import Line
from shipper.outputs.hec.lane import Lane
from shipper.outputs.hec.output import HecOutput
from shipper.outputs.hec.wrapping import HecWrapping
from shipper.record import CompactLog, CompactRecord, CompactSource, decode_record, encoded
from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

LANES = 2
SETTLE_SECONDS = 60.0
SAFE = {
    "busy": fault.code(9),
    "full": fault.code(26),
    "shutting down": fault.code(23),
    "no such token": fault.code(4),
    "wrong path": fault.status(404),
    "proxy": fault.status(407),
    "reset before the body": fault.reset_before(),
}
"""Faults after which nobody need wonder whether the events are there, but where a broken connection leaves that open."""
UNSURE = {
    "internal error": fault.code(8),
    "internal error, taken": fault.code(8, take=True),
    "page": fault.html(200),
    "page, taken": fault.html(200, take=True),
    "empty, taken": fault.status(200, take=True),
    "gateway, taken": fault.status(504, take=True),
    "reset, taken": fault.reset_after(take=True),
    "reset": fault.reset_after(take=False),
    "reset in the answer, taken": fault.reset_in_answer(take=True),
    "hang, taken": fault.hang(take=True),
}
ACK_FAULTS = {
    "error": fault.code(8),
    "page": fault.html(200),
    "not found": fault.status(404),
    "answer lost": fault.reset_after(take=True),
    "nonsense": fault.status(200, b'{"acks":{"0":"true"}}'),
}


class Deliveries(RuleBasedStateMachine):
    """One journal, one server, and an output that is made anew whenever it has ended."""

    @initialize(
        ack=st.sampled_from(["off", "auto", "required"]),
        uses_ack=st.booleans(),
        events=st.integers(1, 7) | st.just(100),
        false_polls=st.integers(0, 2),
    )
    def begin(self, ack: str, uses_ack: bool, events: int, false_polls: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="connlog-oracle-"))
        token_file = self.folder / "token"
        token_file.touch(0o600)
        token_file.write_text(TOKEN)
        self.ack = ack
        # With ack off a token that uses acks refuses everything: that is not a fault of a moment.
        self.uses_ack = (uses_ack and ack != "off") or ack == "required"
        ack_rules = AckRules(false_polls=false_polls)
        self.server = HecServer(Token(use_ack=self.uses_ack), ack=ack_rules, indexes={"main"}).start()
        self.settings = SplunkHecOutput(
            endpoints=(self.server.url,),
            token_file=token_file,
            index="main",
            ack=ack,
            ack_poll_seconds=0.005,
            ack_timeout_seconds=0.15,
            batch_max_events=events,
            batch_age_seconds=0.0,
            in_flight=LANES,
            read_timeout_seconds=0.1,
            backoff_max_seconds=0.05,
        )
        self.journal = Journal(self.folder / "journal.db")
        self.written = 0
        self.poison: dict[str, int] = {}
        self.certain = True
        """Nothing has happened after which an event may be there twice."""
        self._open()

    @rule(count=st.integers(1, 20), codes=st.lists(st.sampled_from([6, 12, 13, 15]), max_size=3), data=st.data())
    def log(self, count: int, codes: list[int], data: st.DataObject) -> None:
        """Events come, some of them bad."""
        numbers = range(self.written, self.written + count)
        self.written += count
        for code in codes:
            self.poison[_id(data.draw(st.sampled_from(numbers)))] = code
        self.server.collector.poison = self.poison
        log = CompactLog("2026-09-01T10:00:00.500000000Z", "info", "coderd", "json")
        place = CompactSource("h", "file", "/f", 0)
        time = "2026-09-01T10:00:00.000000001Z"
        records = [encoded(CompactRecord(1, _id(n), time, "connected", log=log, source=place)) for n in numbers]
        # Some batches are kept as they are sent.
        self.journal.write_for(HecWrapping("coder:connection_log", "main") if count % 2 else None, originals=True)
        self.journal.append(Batch((Piece("/f", records, [b"line"] * count, [], count),)))

    @rule(steps=st.integers(1, 12))
    def work(self, steps: int) -> None:
        """The lanes go on."""
        for _ in range(steps):
            self._step()

    @rule(name=st.sampled_from(sorted(SAFE)), times=st.integers(1, 3))
    def fail_safely(self, name: str, times: int) -> None:
        self.server.script.add(SAFE[name], times)
        self.certain = self.certain and "reset" not in name

    @rule(name=st.sampled_from(sorted(UNSURE)))
    def fail(self, name: str) -> None:
        self.server.script.add(UNSURE[name])
        self.certain = False

    @rule(name=st.sampled_from(sorted(ACK_FAULTS)), times=st.integers(1, 3))
    def fail_to_acknowledge(self, name: str, times: int) -> None:
        self.server.script.add(ACK_FAULTS[name], times, to="ack")
        self.certain = False

    @rule(lose=st.booleans())
    def restart_the_server(self, lose: bool) -> None:
        self.server.restart(lose_unacknowledged=lose)
        self.certain = False

    @rule(wrong=st.sampled_from([None, 10_000, -1]))
    def misnumber(self, wrong: int | None) -> None:
        self.server.collector.numbering = lambda code, number, events: wrong
        self.certain = False

    @rule()
    def number_rightly(self) -> None:
        self.server.collector.numbering = lambda code, number, events: number

    @rule(known=st.booleans())
    def take_the_index_away(self, known: bool) -> None:
        """Or give it back."""
        self.server.collector.indexes = {"main"} if known else set()

    @rule()
    def end(self) -> None:
        """As told: what was answered is written down."""
        for lane in self.lanes:
            lane.finish()
        self._open()

    @rule()
    def die(self) -> None:
        """As by kill -9: what was answered since the last step is forgotten."""
        self._drop()
        self._open()
        self.certain = False

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        try:
            self._mend()
            self._check()
        finally:
            self._drop()
            self.server.stop()
            self.journal.close()
            shutil.rmtree(self.folder)

    # ---- parts ---------------------------------------------------------------------------------

    def _open(self) -> None:
        self.lines: list[Line] = []
        self.output = HecOutput(self.settings, self.journal, jitter=lambda: 0.0)
        self.lanes = [Lane(number, self.output, self._line) for number in range(LANES)]

    def _line(self, url: str) -> Line:
        line = Line(url, self.settings, None)
        self.lines.append(line)
        return line

    def _drop(self) -> None:
        for line in self.lines:
            line.close()

    def _step(self) -> None:
        waits = [lane.step(time.monotonic()) for lane in self.lanes]
        if min(waits) > 0:
            time.sleep(min(0.01, *waits))

    def _mend(self) -> None:
        """All is well from now on: it must settle by itself."""
        self.server.script.clear()
        self.server.collector.indexes = {"main"}
        self.number_rightly()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._pending():
            assert time.monotonic() < deadline, f"does not settle: {self.output.state()}"
            self._step()
        for lane in self.lanes:
            lane.finish()

    def _pending(self) -> bool:
        (state,) = self.journal.outputs()
        return bool(state.pending)

    def _check(self) -> None:
        counts = self.server.store.counts()
        assert counts.keys() == {_id(n) for n in range(self.written)} - self.poison.keys()
        kept = self.journal.quarantine()
        assert {decode_record(entry.entry.raw).id: entry.code for entry in kept} == self.poison
        assert len(kept) == len(self.poison)
        doubled = self.server.store.duplicates()
        told = self.output.state().possible_duplicates
        assert doubled <= told, f"{doubled} are there twice, {told} were counted as possible"
        if self.certain:
            assert (doubled, told) == (0, 0)


def _id(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
