"""A verdict for every entry: nothing is raised, the place of a fault is exact, and an asked form is kept to."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from shipper.framing.chain import Entry
from shipper.parsing.jsonline import JsonParser
from shipper.recognition import Recogniser
from shipper.record import Malformed, Record, Source

HEAD = '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"connection_log","caller":"a.go:1","func":"f","logger_names":["coderd"]'
FLAT = '{"severity":"INFO","message":"connection_log","timestampSeconds":1786378806,"timestampNanos":5'
FLAT += ',"logging.googleapis.com/operation":{"producer":"coderd"}'
HUMAN = "2026-01-12 10:11:26.102 [info]  coderd: connection_log"
ID = "0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b"


def verdict(text: str | bytes, format: str = "auto", source: Source | None = None) -> Record | Malformed | None:
    raw = text.encode() if isinstance(text, str) else text
    return Recogniser(source or Source(), format=format).verdict(Entry(raw, 0, 1, len(raw)))


@pytest.mark.parametrize("error", [ValueError, RecursionError, OverflowError, UnicodeError, KeyError, AssertionError])
def test_an_error_nobody_thought_of_is_a_malformed_entry(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a parser raises, one entry is malformed and the reading goes on."""

    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(JsonParser, "parse", fails)
    found = verdict(HEAD + ',"fields":{"ID":"a"}}')
    assert isinstance(found, Malformed)
    assert error.__name__ in found.reason


def test_a_file_whose_name_is_no_text_gives_records_that_can_be_written() -> None:
    """The bytes that are no UTF-8 become replacements."""
    fields = f',"fields":{{"ID":"{ID}","Time":"2026-08-10T16:20:06.5Z","ConnectionStatus":"connected"}}}}'
    found = verdict(HEAD + fields, source=Source(path=os.fsdecode(b"/var/log/\xff.log")))
    assert isinstance(found, Record | Malformed)
    assert found.source.path == "/var/log/\ufffd.log"
    assert msgspec.json.encode(found)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (HEAD + ',"fields":{"AgentName":"my ID","ID":"x"}}', len(HEAD) + 33),
        (f'{HUMAN}  AgentName="my  ID=1"  ID=x', len(HUMAN) + 25),
        (f"{HUMAN}  UserID=1  ID=x", len(HUMAN) + 13),
    ],
)
def test_the_column_is_that_of_the_key(text: str, column: int) -> None:
    """Not of a value or a longer key in which its name stands too."""
    found = verdict(text)
    assert isinstance(found, Malformed)
    assert text[found.column - 1 :].startswith("ID")
    assert found.column == column


@pytest.mark.parametrize(("text", "form"), [(HEAD, "json"), (FLAT, "stackdriver")])
def test_an_asked_form_is_kept_to_by_malformed_entries(text: str, form: str) -> None:
    """A broken line of another form is not told of."""
    for asked in ("auto", "json", "stackdriver", "human"):
        found = verdict(text, asked)
        assert isinstance(found, Malformed) == (asked in ("auto", form))
