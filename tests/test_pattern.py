"""A pattern is what ``re.compile`` gives, later."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.pattern import pattern


@given(st.text(alphabet="ab1 \n", max_size=12))
def test_it_finds_what_the_compiled_expression_finds(text: str) -> None:
    ours, theirs = pattern(r"(a+)b?", re.ASCII), re.compile(r"(a+)b?", re.ASCII)
    for name in ("match", "fullmatch", "search"):
        found, expected = getattr(ours, name)(text), getattr(theirs, name)(text)
        assert (found and (found.span(), found.groups())) == (expected and (expected.span(), expected.groups()))
    assert ours.sub("-", text) == theirs.sub("-", text)
    assert ours.findall(text) == theirs.findall(text)
    assert [found.span() for found in ours.finditer(text)] == [found.span() for found in theirs.finditer(text)]
    assert ours.pattern == theirs.pattern


def test_it_is_for_bytes_too() -> None:
    found = pattern(rb"\d+").search(b"ab12")
    assert found is not None
    assert found[0] == b"12"


def test_it_is_compiled_at_its_first_use_and_not_before() -> None:
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.match("")
