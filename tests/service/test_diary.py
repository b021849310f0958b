"""The daemon's log says each thing once, on one line, and can't be made to command a terminal."""

from __future__ import annotations

import io
import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from shipper.service.diary import REMEMBERED_MAX_COUNT, REPEAT_SECONDS, Line, Quiet


def entry(text: str) -> logging.LogRecord:
    return logging.LogRecord("shipper.x", logging.WARNING, __file__, 1, "%s", (text,), None)


def test_a_repeated_message_is_let_through_once_in_a_while_with_a_count() -> None:
    now = 0.0
    quiet = Quiet(lambda: now)
    assert [quiet.filter(entry("a")) for _ in range(5)] == [True, False, False, False, False]
    assert quiet.filter(entry("b"))
    now = REPEAT_SECONDS + 1
    again = entry("a")
    assert quiet.filter(again)
    assert "(4 more of these left out)" in Line().format(again)


def test_no_more_than_so_many_messages_are_remembered() -> None:
    quiet = Quiet(lambda: 0.0)
    for number in range(3 * REMEMBERED_MAX_COUNT):
        quiet.filter(entry(str(number)))
    assert len(quiet._seen) == REMEMBERED_MAX_COUNT


@given(st.text())
def test_every_message_is_one_printable_line(text: str) -> None:
    assert Line().format(entry(text)).isprintable()


def test_a_traceback_stays_on_the_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Line())
    record = entry("replaced")
    try:
        int("two\nlines")
    except ValueError:
        record = logging.LogRecord("shipper.x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    handler.emit(record)
    assert stream.getvalue().count("\n") == 1
