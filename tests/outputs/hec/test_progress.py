"""The cursor stands before the first event that is not taken, whatever order they are taken in."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shipper.journal import Span
from shipper.outputs.hec.progress import Progress
from shipper.outputs.hec.slice import spans_of


@given(
    counts=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    again=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=5),
)
def test_it_is_what_a_list_of_all_items_says(
    counts: list[int], order: Random, again: list[tuple[int, int, int]]
) -> None:
    progress = Progress(0)
    items = [(seq, at) for seq, count in enumerate(counts, 1) for at in range(count)]
    for seq, count in enumerate(counts, 1):
        progress.add(seq, count)
    progress.read_until = len(counts)
    order.shuffle(items)
    taken: set[tuple[int, int]] = set()
    for seq, at in items:
        fresh = progress.take([Span(seq, at, at + 1)])
        assert fresh == [Span(seq, at, at + 1)]
        taken.add((seq, at))
        for other, first, length in again:
            # What is taken twice counts once.
            known = {(other, place) for place in range(first, first + length)} <= taken
            if known:
                assert progress.take([Span(other, first, first + length)]) == []
        expected = 0
        for number, count in enumerate(counts, 1):
            if any((number, place) not in taken for place in range(count)):
                break
            expected = number
        assert progress.advanced() == expected
    assert progress.advanced() == len(counts)


def test_what_could_not_be_written_down_is_not_taken() -> None:
    progress = Progress(0)
    progress.add(1, 4)
    progress.read_until = 1
    progress.take([Span(1, 0, 1)])
    fresh = progress.take([Span(1, 0, 4)])
    assert fresh == [Span(1, 1, 4)]
    progress.give_back(fresh)
    assert progress.advanced() == 0
    assert [progress.is_taken(1, at) for at in range(4)] == [True, False, False, False]
    assert progress.take([Span(1, 0, 4)]) == [Span(1, 1, 4)]
    assert progress.advanced() == 1


def test_batches_beyond_what_was_read_hold_nothing_up_and_push_nothing() -> None:
    progress = Progress(10)
    progress.add(20, 1)
    progress.take([Span(20, 0, 1)])
    assert progress.advanced() == 10
    progress.read_until = 20
    assert progress.advanced() == 20
    progress.move(20)
    assert progress.take([Span(20, 0, 1)]) == []


def test_one_event_that_waits_costs_nothing_for_all_that_is_taken_behind_it() -> None:
    progress = Progress(0)
    progress.add(1, 2)
    progress.take([Span(1, 0, 1)])
    for seq in range(2, 5000):
        progress.add(seq, 3)
        progress.read_until = seq
        progress.take([Span(seq, 0, 3)])
        progress.move(progress.advanced())
        assert (progress.cursor, len(progress)) == (0, 1)
    progress.take([Span(1, 1, 2)])
    assert progress.advanced() == 4999


def test_a_batch_of_an_earlier_life_is_known_until_it_is_read() -> None:
    """It may be acknowledged before the reading comes to it, and is not sent again then."""
    progress = Progress(4)
    progress.expect(5, 2)
    progress.take([Span(5, 0, 2)])
    progress.move(progress.advanced())
    assert progress.cursor == 4
    progress.add(5, 2)
    assert progress.is_taken(5, 0)
    progress.read_until = 5
    assert progress.advanced() == 5
    progress.move(5)
    assert len(progress) == 0


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 9)), unique=True, max_size=30))
def test_spans_hold_each_mark_once(marks: list[tuple[int, int]]) -> None:
    found = [(span.seq, at) for span in spans_of(marks) for at in range(span.first, span.until)]
    assert found == marks
