"""Nothing that is said can make a terminal do anything, or look like another line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.cli.talk import printable, say, warn


@given(st.text())
def test_any_text_becomes_one_printable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")))
def test_text_that_is_printable_stays(text: str) -> None:
    assert printable(text) == text


def test_only_the_lines_of_a_message_itself_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say("one", "two\x1b[2J\nconnlog: forged")
    warn("three\nfour\udcff")
    assert (
        capsys.readouterr().err
        == "connlog: one\ntwo\\x1b[2J\\x0aconnlog: forged\nconnlog: warning: three\\x0afour\\udcff\n"
    )
