"""Exactly the events that were logged come out, whatever text stands in them and around them.

Every free field of an event, and the messages and fields of other log calls, hold whole forged lines, look-alikes
of wrappers, escapes, key=value, control characters and bytes that are no text; each logger's version prints them in
each form, each wrapper carries them. Not asked for, because the bytes do not tell:

- a log call of coderd's own logger whose message is ``connection_log`` with the fields of an event: it prints what
  an event prints;
- a text with NUL in many lines under ``journalctl -o short``, and one with NUL at the end of a line under any form of
  the journal (see ``undecidable``);
- many-line text behind a prefix that took the blanks at the start of lines away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.property.expectation import truth_of, undecidable
from tests.property.hostile import FORGED, events, noise, strays
from tests.render.entry import ERAS, Entry, Moment, Text, Uuid, Value
from tests.render.human import ANSI256, NO_TERM, TRUECOLOR, Paint, human
from tests.render.jsonlike import json, stackdriver
from tests.render.wrapper import WRAPPERS
from tests.truth.reading import read
from tests.truth.score import differences

Sink = Callable[[Entry, str], bytes]
SINKS: dict[str, Sink] = {"human": human, "json": json, "stackdriver": stackdriver}
PAINTS: list[Paint | None] = [None, TRUECOLOR, ANSI256, NO_TERM]
SIZES = st.lists(st.sampled_from([1, 2, 7, 63, 64, 500, 4096]), max_size=40)


def check(parts: list[tuple[Entry, bool]], form: str, era: str, wrapper: str, sizes: list[int], sink: Sink) -> None:
    """Renders, wraps and reads; compares with what is true."""
    data, truths = b"", []
    for entry, ours in parts:
        record = sink(entry, era)
        if not record:
            continue  # lost by the sink itself: a line over its limit
        if undecidable(record, wrapper):
            reject()
        if wrapper == "docker" and any(len(line) >= 16_384 for line in record.split(b"\n")):
            reject()  # a cut inside a rune loses it
        if ours:
            truths.append(truth_of(entry, form, era, wrapper, len(data)))
        data += WRAPPERS[wrapper](record)
    found = read(data, sizes)
    assert FORGED not in {record["id"] for record in found.records}
    assert [record["id"] for record in found.records] == [truth["fields"]["ID"] for truth in truths]
    assert found.malformed == []
    wrong = [
        difference
        for truth, record in zip(truths, found.records, strict=True)
        for difference in differences(truth, record, form)
    ]
    assert wrong == []
    assert (found.bytes, found.lines) == (len(data), data.count(b"\n"))


def entries(nul: bool = True) -> st.SearchStrategy[list[tuple[Entry, bool]]]:
    """Events and other log calls, mixed."""
    event = st.tuples(events(nul=nul), st.just(True))
    other = st.tuples(noise(nul=nul), st.just(False))
    return st.lists(st.one_of(event, other), min_size=1, max_size=5)


QUIET = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large])


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
@pytest.mark.parametrize("form", sorted(SINKS))
@given(data=st.data(), era=st.sampled_from(ERAS))
@QUIET
def test_exactly_what_was_logged_comes_out(form: str, wrapper: str, data: st.DataObject, era: str) -> None:
    """In each form, era and wrapper: nothing missing, nothing invented, every field equal."""
    parts = data.draw(entries(nul=wrapper != "syslog" or form != "human"))
    check(parts, form, era, wrapper, data.draw(SIZES), SINKS[form])


MANY_LINES = [
    b"a\nb\0c\n d\0e", b"a\n\0b", b"a  \n  \n\n\n  b\t\nc", b"a\r\n\r\nb", b"\xff\n\x1b[31mred\x1b[0m\n\x7f\xc2\x85", b"a\n ...\nb ...",
    b"a\n    UserAgent= x\n" + b"  b" * 2000, b"\n\n a\nb \n\n", b"a\n" * 200, b"\xe2\x80\xa8a\n\xe2\x80\xa9b\x0b\x0c",
]  # fmt: skip


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("text", MANY_LINES, ids=range(len(MANY_LINES)))
def test_many_lines_come_back_through_every_wrapper(text: bytes, era: str, wrapper: str) -> None:
    """Every kind of odd line inside a many-line value, each wrapper, each era; what follows is still found."""
    fields: tuple[tuple[str, Value], ...] = (
        ("ID", Uuid("0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b")), ("Time", Moment("2026-08-10T16:20:06.5Z")), ("Type", Text(b"ssh", True)),
        ("DisconnectReason", Text(text)), ("ConnectionStatus", Text(b"connected", True)),
    )  # fmt: skip
    entry = Entry("2026-08-10T16:20:06.557Z", fields)
    other = replace(entry, fields=(("ID", Uuid("5d72e380-d634-4a23-b2be-b234dc9b7f45")), *fields[1:]))
    if undecidable(human(entry, era), wrapper):
        assert b"\0" in text
        return
    check([(entry, True), (other, True)], "human", era, wrapper, [], human)


@given(entries(), st.sampled_from(ERAS), st.sampled_from(PAINTS), SIZES)
@QUIET
def test_colours_change_nothing(
    parts: list[tuple[Entry, bool]], era: str, paint: Paint | None, sizes: list[int]
) -> None:
    """What the human sink paints is taken off, and nothing of the value's own."""

    def painted(entry: Entry, era: str) -> bytes:
        return human(entry, era, paint)

    check(parts, "human", era, "bare", sizes, painted)


@pytest.mark.parametrize("form", sorted(SINKS))
@given(st.lists(st.one_of(strays(), events()), min_size=2, max_size=6), st.sampled_from(ERAS), SIZES)
@QUIET
def test_lines_that_no_logger_wrote_change_nothing(
    form: str, parts: list[Entry | bytes], era: str, sizes: list[int]
) -> None:
    """Banners, dumps, broken JSON and single wrapped lines between the records of a bare stream hide no event."""
    data = b""
    truths: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, bytes):
            # The text of many lines that ends a record goes on in a line that is indented alike.
            data += b"" if part.startswith(b"    ") or not part.strip() else part
        elif printed := SINKS[form](part, era):
            truths.append(truth_of(part, form, era, "bare", len(data)))
            data += printed
    found = read(data, sizes)
    assert [record["id"] for record in found.records] == [truth["fields"]["ID"] for truth in truths]
    wrong = [d for truth, record in zip(truths, found.records, strict=True) for d in differences(truth, record, form)]
    assert wrong == []


@given(st.lists(st.tuples(events(), st.sampled_from(sorted(SINKS))), min_size=2, max_size=5), st.sampled_from(ERAS))
@QUIET
def test_forms_may_be_mixed_in_one_stream(parts: list[tuple[Entry, str]], era: str) -> None:
    """Several sinks may write to one stream: each record is read by what it is."""
    data = b""
    truths: list[tuple[dict[str, Any], str]] = []
    for entry, form in parts:
        printed = SINKS[form](entry, era)
        if printed:
            truths.append((truth_of(entry, form, era, "bare", len(data)), form))
        data += printed
    found = read(data)
    assert [record["id"] for record in found.records] == [truth["fields"]["ID"] for truth, _ in truths]
    wrong: list[Any] = []
    for (truth, form), record in zip(truths, found.records, strict=True):
        wrong += differences(truth, record, form)
    assert wrong == []
