"""Durations and sizes read as written, write as read, and refuse everything else with a sentence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config.quantity import DURATION_MS, SIZE_BYTES, duration_text, parse_duration, parse_size, size_text


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("5s", 5000), ("500ms", 500), ("1h30m", 5_400_000), ("365d", 31_536_000_000), ("2w", 1_209_600_000), ("0s", 0)],
)
def test_durations_mean_what_they_say(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"), [("64KiB", 65536), ("64kB", 64000), ("2GiB", 2 << 30), ("10 MiB", 10 << 20), ("7B", 7)]
)
def test_sizes_mean_what_they_say(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(min_value=0, max_value=10**14))
def test_a_duration_written_out_reads_back_as_the_same(milliseconds: int) -> None:
    assert parse_duration(duration_text(milliseconds)) == milliseconds


@given(st.integers(min_value=0, max_value=10**14))
def test_a_size_written_out_reads_back_as_the_same(size: int) -> None:
    assert parse_size(size_text(size)) == size


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(list(DURATION_MS))), min_size=1, max_size=8))
def test_a_duration_is_the_sum_of_its_parts_if_each_is_shorter_than_the_one_before(
    parts: list[tuple[int, str]],
) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    units = [DURATION_MS[unit] for _, unit in parts]
    if all(left > right for left, right in pairwise(units)):
        assert parse_duration(text) == sum(number * DURATION_MS[unit] for number, unit in parts)
    else:
        with pytest.raises(ValueError, match="no duration"):
            parse_duration(text)


@given(st.integers(0, 10**6), st.sampled_from(list(SIZE_BYTES)))
def test_every_unit_of_size_is_read(number: int, unit: str) -> None:
    assert parse_size(f"{number}{unit}") == number * SIZE_BYTES[unit]


@given(st.text())
def test_any_other_text_is_refused_with_a_sentence_and_never_another_error(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert "write a number with" in str(error)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 s", "1.5h", "5S", "٥s", "1m1h", "1s1s", "1" * 16 + "s", "5s\n"]
)
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "5", "GiB", "-5B", "1.5GiB", "5gib", "٥B", "5K", "1" * 16 + "B", "5B\n"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        parse_size(text)
