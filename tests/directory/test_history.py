"""A history tells what a value was when, whatever the order in which it was learnt."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from shipper.directory.history import SPANS_MAX_COUNT, Period, Span, as_of, observe, periods

sightings = st.dictionaries(st.integers(0, 40), st.sampled_from("abc"), max_size=25).flatmap(
    lambda seen: st.permutations(list(seen.items()))
)


def learn(seen: list[tuple[int, str]]) -> list[Span]:
    spans: list[Span] = []
    for at, value in seen:
        spans = observe(spans, value, at)
    return spans


@given(sightings)
def test_as_of_a_sighting_it_is_what_was_seen_in_any_order(seen: list[tuple[int, str]]) -> None:
    spans = learn(seen)
    assert [as_of(spans, at) for at, _ in seen] == [value for _, value in seen]


@given(sightings)
def test_spans_are_in_order_and_never_overlap(seen: list[tuple[int, str]]) -> None:
    spans = learn(seen)
    assert all(span.first_ns <= span.last_ns for span in spans)
    assert all(one.last_ns < two.first_ns for one, two in itertools.pairwise(spans))


@given(sightings, st.integers(-5, 50), st.sampled_from("abcd"))
def test_periods_say_when_it_was_one_of_the_values(seen: list[tuple[int, str]], at: int, value: str) -> None:
    spans = learn(seen)
    inside = any(
        (one.from_ns is None or one.from_ns <= at) and (one.until_ns is None or at < one.until_ns)
        for one in periods(spans, frozenset(value))
    )
    assert inside is (as_of(spans, at) == value)


@given(sightings)
def test_a_sighting_again_changes_nothing(seen: list[tuple[int, str]]) -> None:
    spans = learn(seen)
    for at, value in seen:
        assert observe(spans, value, at) == spans


def test_between_two_values_the_older_one_is_taken_and_before_all_the_first() -> None:
    spans = learn([(10, "a"), (20, "b")])
    assert [as_of(spans, at) for at in (0, 10, 19, 20, 99)] == ["a", "a", "a", "b", "b"]
    assert as_of([], 5) is None


def test_what_did_not_change_since_a_time_reaches_back_to_it_but_not_into_what_was_seen_before() -> None:
    spans = observe(learn([(10, "a"), (20, "a")]), "b", 50, since_ns=30)
    assert spans == [Span("a", 10, 20), Span("b", 30, 50)]
    assert observe(learn([(10, "a"), (20, "a")]), "b", 50, since_ns=5)[1] == Span("b", 21, 50)
    assert observe([], "b", 50, since_ns=60) == [Span("b", 50, 50)]


def test_letters_of_a_value_in_any_case_and_one_period_for_neighbours() -> None:
    spans = learn([(10, "Bob"), (20, "BOB"), (30, "x")])
    assert periods(spans, frozenset({"bob"})) == [Period(None, 30)]


def test_a_value_that_flaps_is_kept_within_bounds() -> None:
    spans = learn([(at, "ab"[at % 2]) for at in range(3 * SPANS_MAX_COUNT)])
    assert len(spans) == SPANS_MAX_COUNT
    assert spans[-1].last_ns == 3 * SPANS_MAX_COUNT - 1
