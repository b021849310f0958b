"""What is read is written soon, but while more can be read at once not for each turn; and nothing is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.journal import Baler, Batch, Piece
from shipper.journal.seal import SEGMENT_MAX_COUNT
from shipper.record import SCHEMA, CompactRecord, Gap, Malformed, Source, Yield, encoded
from shipper.service.gathering import BUSY_MAX_BYTES, BUSY_MAX_COUNT, BUSY_SECONDS, HOLD_SECONDS, Gathering
from tests.journal.test_seal import Few

TIME = "2026-01-02T03:04:05.000000000Z"
EVENT = encoded(CompactRecord(1, "00000000-0000-0000-0000-000000000001", TIME, "connected"))
GAP = Gap(SCHEMA, "rotated_unread", Source(path="/f"), detected=TIME)


def turn(events: int, size: int = 100) -> Batch:
    return Batch((Piece("/f", [EVENT] * events, [b"x"] * events, entries=events, lines=1, bytes=size),))


def baled(events: int, malformed: int = 0) -> Batch:
    """The same as an output wants it that has whole segments sealed as they are read."""
    refused = [Malformed(b"x", "no id", 1, 1, Source(path="/f"), 1)] * malformed
    piece = Piece("/f")
    piece.add(
        Yield(encoded=[EVENT] * events, malformed=refused, entries=events + malformed, lines=1, bytes=100), Baler(Few)
    )
    assert len(piece.encoded) == events % SEGMENT_MAX_COUNT
    return Batch((piece,))


def test_events_are_due_at_once_where_nothing_more_can_be_read() -> None:
    gathering = Gathering()
    gathering.add(turn(1), 10.0)
    assert gathering.due(10.0)
    assert not gathering.due(10.0, busy=True)
    assert gathering.due(10.1 + BUSY_SECONDS, busy=True)


def test_while_more_can_be_read_events_wait_for_others_within_bounds() -> None:
    for batch in (turn(BUSY_MAX_COUNT), turn(1, BUSY_MAX_BYTES)):
        gathering = Gathering()
        gathering.add(batch, 10.0)
        assert gathering.due(10.0, busy=True)


@pytest.mark.parametrize("turns", [1, 2, 7])
@pytest.mark.parametrize("malformed", [0, 1])
def test_the_bound_on_events_holds_for_those_in_bales_too(turns: int, malformed: int) -> None:
    """Sealed as they were read or not, and malformed beside them: together they are so many, and no earlier than that."""
    gathering = Gathering()
    each, rest = divmod(BUSY_MAX_COUNT - 1, turns)
    for number in range(turns):
        gathering.add(baled(each + (rest if number == 0 else 0) - malformed, malformed), 10.0)
        assert not gathering.due(10.0, busy=True)
    gathering.add(turn(1), 10.0)
    assert gathering.due(10.0, busy=True)
    assert sum(piece.count + len(piece.malformed) for piece in gathering.take().pieces) == BUSY_MAX_COUNT
    gathering.add(baled(BUSY_MAX_COUNT - 1), 20.0)
    assert not gathering.due(20.0, busy=True)  # what was taken counts no more


def test_events_that_are_all_in_a_bale_wait_no_longer_than_others_do() -> None:
    gathering = Gathering()
    gathering.add(baled(SEGMENT_MAX_COUNT), 10.0)
    assert gathering.due(10.0)
    assert not gathering.due(10.0, busy=True)
    assert gathering.due(10.1 + BUSY_SECONDS, busy=True)


def test_a_known_loss_waits_no_longer_than_events_do() -> None:
    gathering = Gathering()
    gathering.add(Batch(gaps=(GAP,)), 10.0)
    assert gathering.due(10.0)


def test_lines_without_events_wait_for_a_second() -> None:
    gathering = Gathering()
    gathering.add(turn(0), 10.0)
    assert not gathering.due(10.0 + HOLD_SECONDS / 2)
    assert gathering.due(10.0 + HOLD_SECONDS)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=20))
def test_all_that_is_added_is_taken_once(turns: list[tuple[int, bool]]) -> None:
    gathering, now, taken = Gathering(), 0.0, 0
    for events, busy in turns:
        now += 0.05
        gathering.add(turn(events), now)
        if gathering.due(now, busy=busy):
            taken += sum(len(piece.encoded) for piece in gathering.take().pieces)
    taken += sum(len(piece.encoded) for piece in gathering.take().pieces)
    assert taken == sum(events for events, _ in turns)
    assert gathering.take().empty
