"""Whatever a server answers, in whatever order: every event arrives or is in the quarantine, and doubles are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.conftest import Rig, name, wait

EVENTS_COUNT = 60
_faults = st.lists(
    st.sampled_from(
        [
            fault.code(8, take=True), fault.code(8), fault.code(9), fault.code(26), fault.code(4), fault.code(18),
            fault.html(take=True), fault.html(502), fault.status(504, take=True), fault.status(404),
            fault.reset_before(), fault.reset_after(take=True), fault.reset_after(take=False),
            fault.reset_in_answer(take=True), fault.status(200, b"", take=True), fault.code(24, take=True),
        ]
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(
    event=_faults,
    ack=st.lists(
        st.sampled_from([fault.status(500), fault.html(), fault.reset_after(take=True), fault.status(404)]), max_size=4
    ),
    use_ack=st.booleans(),
    stops=st.integers(0, 2),
)
def test_nothing_is_lost_and_what_is_doubled_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
    event: list[fault.Fault],
    ack: list[fault.Fault],
    use_ack: bool,
    stops: int,
) -> None:
    folder: Path = tmp_path_factory.mktemp("storm")
    with HecServer(Token(use_ack=use_ack), ack=AckRules(false_polls=1)) as server:
        for one in event:
            server.script.add(one)
        for one in ack:
            server.script.add(one, to="ack")
        rig = Rig(folder, server.url)
        try:
            for first in range(0, EVENTS_COUNT, 10):
                rig.append(*range(first, first + 10))
            options = {"batch_max_events": 7, "backoff_max_seconds": 0.05, "ack_timeout_seconds": 1.5, "in_flight": 3}
            for _ in range(stops):
                rig.start(**options)
                wait(lambda: len(server.store) > 20, 0.2)
                rig.stop()
            rig.start(**options)
            assert rig.delivered()
            counts = server.store.counts()
            assert set(counts) == {name(number) for number in range(EVENTS_COUNT)}
            assert server.store.duplicates() <= rig.state().possible_duplicates
            assert not rig.journal.quarantine()
            assert rig.state().sent == EVENTS_COUNT
        finally:
            rig.close()
