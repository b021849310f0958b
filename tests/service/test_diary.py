"""The daemon's log says each thing once, on one line, and can't be made to command a terminal."""

from __future__ import annotations

import io
import json
import logging
import os
import sys

from hypothesis import given
from hypothesis import strategies as st

from shipper.service.diary import (
    KIND_MAX_COUNT,
    MESSAGE_MAX_CHARS,
    REMEMBERED_MAX_COUNT,
    REPEAT_SECONDS,
    Line,
    Quiet,
    form_for,
    open_diary,
)


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


def test_of_one_kind_of_message_no_more_than_some_are_told_at_once() -> None:
    now = 0.0
    quiet = Quiet(lambda: now)
    assert sum(quiet.filter(entry(f"file {number}")) for number in range(100)) == KIND_MAX_COUNT
    now = REPEAT_SECONDS + 1
    again = entry("file 100")
    assert quiet.filter(again)
    assert f"({100 - KIND_MAX_COUNT} more of these left out)" in Line().format(again)


def test_what_was_left_out_and_does_not_come_again_is_told_with_its_count() -> None:
    now = 0.0
    quiet = Quiet(lambda: now)
    for _ in range(5):
        quiet.filter(entry("a"))
    quiet.filter(entry("b"))
    assert quiet.settled() == []
    now = REPEAT_SECONDS + 1
    (last,) = quiet.settled()
    assert quiet.filter(last)
    assert "a (3 more of these left out)" in Line().format(last)
    assert quiet.settled() == []


@given(st.text(), st.sampled_from(["text", "journal", "terminal", "json"]))
def test_every_form_is_one_printable_line(text: str, form: str) -> None:
    line = Line(form).format(entry(text))
    assert line.isprintable()
    assert len(line) < 12 * MESSAGE_MAX_CHARS
    if form == "json":
        assert json.loads(line)["message"] == text


def test_a_line_for_the_journal_begins_with_its_priority() -> None:
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
    lines = [
        Line("journal").format(logging.LogRecord("shipper.x", level, __file__, 1, "<3>x", (), None)) for level in levels
    ]
    assert lines == ["<7><3>x", "<6><3>x", "<4><3>x", "<3><3>x", "<2><3>x"]


def test_the_form_is_that_of_where_the_stream_leads() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stream:
        status = os.fstat(stream.fileno())
        assert form_for(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}) == "journal"
        assert form_for(stream, {"JOURNAL_STREAM": "1:2"}) == "text"
    os.close(ours)
    assert form_for(io.StringIO(), {}) == "text"
    terminal, other = os.openpty()
    with os.fdopen(other, "w") as stream:
        assert form_for(stream, {}) == "terminal"
    os.close(terminal)


def test_what_an_error_of_pythons_quotes_is_for_those_who_ask_for_debug() -> None:
    stream = io.StringIO()
    root = logging.getLogger("shipper")
    before = (root.handlers[:], root.level, root.propagate)
    try:
        for level, told in (("info", False), ("debug", True)):
            open_diary(stream, level=level, environ={})
            try:
                int("secret of a user")
            except ValueError:
                logging.getLogger("shipper.test").exception("failed at %s", level)
            assert ("secret of a user" in stream.getvalue()) is told
            assert "ValueError" in stream.getvalue()
            assert "test_diary.py" in stream.getvalue()
    finally:
        root.handlers[:], root.propagate = before[0], before[2]
        root.setLevel(before[1])
