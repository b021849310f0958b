"""Envelopes: what is read of a body is the prefix before the first bad one, and the number names that one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hec.envelope import Refusal, read_envelopes

LIMIT = 5 * 1024 * 1024
INDEXES = {"main", "security"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
EVENTS = JSON.filter(lambda value: value not in (None, "", {}, []))
GOOD = st.fixed_dictionaries(
    {"event": EVENTS},
    optional={
        "time": st.integers(0, 2**33) | st.floats(0, 2**33) | st.from_regex(r"\A[0-9]{1,10}\.[0-9]{1,6}\Z"),
        "host": st.text(),
        "index": st.sampled_from(["", *INDEXES]),
        "fields": st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text(), max_size=2), max_size=3),
    },
).map(json.dumps)
BAD = st.one_of(
    st.tuples(st.just(6), st.sampled_from(['{"event":', "nonsense", "{'event':1}", '{"event":NaN}', "}", "1", '"a"'])),
    st.tuples(st.just(7), st.just('{"event":1,"index":"other"}')),
    st.tuples(st.just(12), st.sampled_from(["{}", '{"time":1}', '{"host":"a","index":"main"}'])),
    st.tuples(st.just(13), st.sampled_from(["null", '""', "{}", "[]"]).map('{{"event":{}}}'.format)),
    st.tuples(
        st.just(15),
        st.sampled_from(
            ['"time":"now"', '"time":true', '"time":""', '"fields":{"a":{}}', '"fields":{"a":[1]}', '"fields":[]']
        ).map('{{"event":1,{}}}'.format),
    ),
)
SPACE = st.sampled_from(["", " ", "\n", "\r\n\t", "\n\n"])


def read(body: str | bytes) -> tuple[int, Refusal | None]:
    """How many were taken, and why no more."""
    raw = body.encode() if isinstance(body, str) else body
    reading = read_envelopes(raw, INDEXES.__contains__, LIMIT)
    return len(reading.taken), reading.refusal


@given(st.lists(GOOD, min_size=1, max_size=8), SPACE)
def test_good_envelopes_are_all_taken_with_any_white_space_between(good: list[str], space: str) -> None:
    assert read(space.join(["", *good, ""])) == (len(good), None)


@given(st.lists(GOOD, max_size=6), BAD, st.lists(GOOD, max_size=3), SPACE)
def test_what_comes_before_the_first_bad_one_is_taken(
    before: list[str], bad: tuple[int, str], after: list[str], space: str
) -> None:
    """And the number is its place from 0, for code 7 one more."""
    code, text = bad
    number = len(before) + (1 if code == 7 else 0)
    assert read(space.join([*before, text, *after])) == (len(before), Refusal(code, number))


@given(st.lists(GOOD, min_size=1, max_size=4))
def test_each_envelope_keeps_its_own_bytes(good: list[str]) -> None:
    reading = read_envelopes("\n".join(good).encode(), INDEXES.__contains__, LIMIT)
    assert [envelope.raw.decode() for envelope in reading.taken] == good
    assert [envelope.number for envelope in reading.taken] == list(range(len(good)))


@given(st.lists(GOOD, min_size=1, max_size=4))
def test_an_array_of_them_is_taken_too(good: list[str]) -> None:
    assert read("[" + ",".join(good) + "]") == (len(good), None)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    """Never an error of the reader's own."""
    read(body)


@pytest.mark.parametrize(
    ("body", "taken", "refusal"),
    [
        ('{"event":1}{"event":1,"extra":2}{"event":3}', 1, None),
        ('{"event":1,"extra":2}{"event":3}', 0, Refusal(5, None)),
        ('{"event":1}{"fields":{"a":"b"}}{"event":3}', 2, None),
        ('{"fields":{"a":"b"}}', 0, None),
        ('{"event":1}{"event":2', 1, Refusal(6, 1)),
        ('{"event":1},{"event":2}', 1, Refusal(6, 1)),
        ('{"event":0}{"event":false}', 2, None),
        ('{"event":1,"host":2}', 0, Refusal(6, 0)),
        ("[" * 100_000, 0, Refusal(6, 0)),
        ('{"event":1,"time":null}', 0, Refusal(15, 0)),
    ],
)
def test_the_odd_cases(body: str, taken: int, refusal: Refusal | None) -> None:
    assert read(body) == (taken, refusal)


def test_bytes_that_are_no_text_spoil_only_their_own_envelope() -> None:
    assert read(b'{"event":1}{"event":"\xff"}{"event":3}') == (1, Refusal(6, 1))
