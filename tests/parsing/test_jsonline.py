"""JSON and stackdriver lines: nothing on them is lost, broken ones are told, and no text makes the parser fail."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shipper.parsing.jsonline import JsonParser
from shipper.parsing.result import Parsed, Refused
from tests.property.hostile import events, noise
from tests.render.entry import ERAS, Entry
from tests.render.jsonlike import json as render_json
from tests.render.jsonlike import stackdriver

ID = "0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b"
HEAD = '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"connection_log","caller":"a.go:1","func":"f","logger_names":["coderd"]'
FLAT = '{"severity":"INFO","message":"connection_log","timestampSeconds":1786378806,"timestampNanos":5'
FLAT += ',"logging.googleapis.com/operation":{"producer":"coderd"}'
QUIET = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def parsed(text: str | bytes) -> Parsed:
    found = JsonParser().parse(text.encode() if isinstance(text, str) else text)
    assert isinstance(found, Parsed), found
    return found


def fields(text: str | bytes) -> dict[str, Any]:
    found = parsed(text)
    return dict(zip(found.keys, found.values, strict=True))


def refused(text: str | bytes) -> Refused:
    found = JsonParser().parse(text.encode() if isinstance(text, str) else text)
    assert isinstance(found, Refused), found
    return found


@pytest.mark.parametrize(
    ("text", "kept", "beside"),
    [
        (HEAD + ',"fields":{"ID":"a","Type":"ssh","Type":"vscode"}}', {"ID": "a", "Type": "ssh"}, {"Type": "vscode"}),
        (HEAD + ',"fields":{"ID":"a","Type":"ssh","Type":"ssh"}}', {"ID": "a", "Type": "ssh"}, {}),
        (HEAD + ',"fields":{"ID":"a","Ty\\u0070e":"ssh","Type":"x"}}', {"ID": "a", "Type": "ssh"}, {"Type": "x"}),
        (HEAD + ',"hint":1,"fields":{"ID":"a"}}', {"ID": "a"}, {"hint": 1}),
        (FLAT + ',"message":"other","ID":"a"}', {"ID": "a"}, {"message": "other"}),
        (FLAT + ',"severity":"mine","ID":"a"}', {"ID": "a"}, {"severity": "mine"}),
        (FLAT + ',"ID":"a","ID":"b"}', {"ID": "a"}, {"ID": "b"}),
    ],
)
def test_of_two_equal_keys_the_first_wins_and_the_other_is_kept(
    text: str, kept: dict[str, Any], beside: dict[str, Any]
) -> None:
    """Whether a sink repeats a field, or a field of the context has the name of the sink's own."""
    assert fields(text) == kept
    assert parsed(text).beside == beside


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"\\ud83d\\ude00"', "\U0001f600"), ('"\\u0000\\u001b\\u007f"', "\0\x1b\x7f"), ('"\\u2028<\\u003e"', "\u2028<>"),
        ("18446744073709551615", 18446744073709551615), ("1.5", 1.5), ("true", True), ("null", None), ('[{"a":[]}]', [{"a": []}]),
    ],
)  # fmt: skip
def test_values_are_as_the_line_has_them(text: str, value: Any) -> None:
    """Any JSON value under an unknown key."""
    found = fields(HEAD + ',"fields":{"ID":"a","X":' + text + "}}")["X"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\udc00\\ud800b"', '"\xed"'])
def test_text_that_is_no_text_can_still_be_written(text: str) -> None:
    """A lone surrogate, which JSON can write and UTF-8 can't, becomes a replacement."""
    value = fields((HEAD + ',"fields":{"ID":"a","X":' + text + "}}").encode("latin-1"))["X"]
    assert "\ufffd" in value
    assert msgspec.json.encode(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_beyond_json_do_no_harm(text: str) -> None:
    """What no JSON writer would write is refused, or a value that JSON can carry on."""
    found = JsonParser().parse((HEAD + ',"fields":{"ID":"a","X":' + text + "}}").encode())
    if isinstance(found, Parsed):
        assert json.loads(msgspec.json.encode(found.values), parse_constant=pytest.fail)[0] == "a"
    else:
        assert isinstance(found, Refused)


@pytest.mark.parametrize("cut", [1, 2, 5, 20])
@pytest.mark.parametrize("head", [HEAD + ',"fields":{"ID":"a","UserAgent":"Mozilla (X11)"}}'])
def test_a_cut_line_is_refused_at_its_end(head: str, cut: int) -> None:
    """A line of ours whose end is missing is malformed, and the place is where it stops."""
    found = refused(head[:-cut])
    assert 0 <= found.at <= len(head) - cut
    assert "ends before" in found.reason or "broken" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        '{"msg":"connection_log","broken', '{"msg":"connection_log"}', '{"msg":"connection_log","fields":{"ID":"a"}}',
        HEAD + "}", HEAD + ',"fields":{}}', HEAD + ',"fields":{"rows":1}}', HEAD + ',"fields":null}', HEAD + ',"fields":["ID"]}',
        (HEAD + ',"fields":{"ID":"a"}}').replace('["coderd"]', '["coderd2"]'), (HEAD + ',"fields":{"ID":"a"}}').replace('["coderd"]', "[]"),
        (HEAD + ',"fields":{"ID":"a"}}').replace('["coderd"]', '["x","coderd"]'), (HEAD + ',"fields":{"ID":"a"}}').replace('["coderd"]', '"coderd"'),
        (HEAD + ',"fields":{"ID":"a"}}').replace("connection_log", "connection_logs"),
        (HEAD + ',"fields":{"ID":"a"}}').replace('"connection_log"', '["connection_log"]'),
        FLAT + "}", (FLAT + ',"ID":"a"}').replace('"coderd"', '"x"'),
        '{"fields":{"msg":"connection_log","ID":"a"}}', "{}", "{", "{\"a\":" * 50, "[1]", "null", "",
    ],
)  # fmt: skip
def test_what_is_not_ours_is_none(text: str) -> None:
    """Another logger, another message, no field of an event, or no object at all."""
    assert JsonParser().parse(text.encode()) is None


@pytest.mark.parametrize("names", ['["coderd"]', '["coderd","a"]', '["coderd","a","b.c"]', '["coderd.x"]'])
def test_the_logger_may_have_children(names: str) -> None:
    """coderd and what is below it."""
    text = (HEAD + ',"fields":{"ID":"a"}}').replace('["coderd"]', names)
    assert parsed(text).log.logger == ".".join(json.loads(names))


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
@pytest.mark.parametrize("head", [HEAD + ',"fields":{"ID":"a","X":', FLAT + ',"ID":"a","X":'])
def test_deep_nesting_is_refused_and_does_no_harm(head: str, nested: str) -> None:
    """Ours, and too deep to be read: malformed, neither a crash nor an error."""
    assert isinstance(JsonParser().parse((head + nested).encode()), Refused | None)


def test_more_keys_than_any_event_has_are_kept() -> None:
    """A thousand unknown fields are a thousand values."""
    many = {f"k{at}": at for at in range(1000)}
    assert fields(HEAD + ',"fields":' + json.dumps({"ID": "a", **many}) + "}") == {"ID": "a", **many}


def rendered(entry: Entry, era: str, flat: bool) -> bytes:
    return (stackdriver if flat else render_json)(entry, era).rstrip(b"\n")


def plain(found: Parsed | Refused | None) -> Any:
    return {**msgspec.to_builtins(found), "beside": found.beside or {}} if isinstance(found, Parsed) else found


LINES = st.builds(rendered, st.one_of(events(), noise()), st.sampled_from(ERAS), st.booleans())


@given(LINES)
@QUIET
def test_the_quick_way_is_the_careful_one(raw: bytes) -> None:
    """A line that needs no care gives the same with it: the same fields, header and leftovers."""
    parser = JsonParser()
    quick, careful = parser.parse(raw), parser._carefully(raw)
    assert plain(quick) == plain(careful)


@given(
    LINES,
    st.lists(
        st.tuples(
            st.integers(0, 3000),
            st.integers(0, 3),
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b",", b"\xff", b"\0", b":", b'"ID":1,']),
        ),
        min_size=1,
        max_size=3,
    ),
)
@example(b'{"msg":"connection_log","logger_names":["coderd"],"ID":\xff', [(0, 0, b"")])
@QUIET
def test_damaged_lines_get_a_verdict(raw: bytes, damage: list[tuple[int, int, bytes]]) -> None:
    """An event, refused at a place inside the line, or not ours; nothing is raised."""
    for at, length, put in damage:
        raw = raw[:at] + put + raw[at + length :]
    found = JsonParser().parse(raw)
    if isinstance(found, Refused):
        assert 0 <= found.at <= len(raw)
        assert found.reason.isprintable()
    elif found is not None:
        assert len(found.keys) == len(found.values) == len(set(found.keys))
        assert msgspec.json.encode(found.values)


TAIL = ',"fields":{"ID":"a","X":1}}'


@pytest.mark.parametrize("key", ['q\\"k', "b\\\\k", "n\\nk", "\\u0001", "\u043a\u043b", "", "\\u2028", "a b"])
def test_any_key_can_come_again_and_again(key: str) -> None:
    """A key that no decoder of its own can be made for goes the general way, each time."""
    parser = JsonParser()
    text = HEAD + f',"fields":{{"ID":"a","{key}":"x"}}}}'
    first, second = parser.parse(text.encode()), parser.parse(text.encode())
    assert isinstance(first, Parsed)
    assert first.keys == ("ID", json.loads(f'"{key}"'))
    assert plain(first) == plain(second)


def test_bytes_that_are_no_text_do_not_stop_a_parser_that_has_learned() -> None:
    """The decoder of a known shape meets a byte that is no UTF-8: the general way reads it."""
    parser = JsonParser()
    text = (HEAD + ',"fields":{"ID":"a","X":"b"}}').encode()
    parser.parse(text)
    found = parser.parse(text.replace(b'"b"', b'"\xff"'))
    assert isinstance(found, Parsed)
    assert found.values == ["a", "\ufffd"]


def test_a_lone_surrogate_is_one_replacement_in_values_and_in_keys() -> None:
    """So that whatever was read can be written."""
    found = parsed(HEAD + ',"fields":{"ID":"a","\\ud800":{"\\udc00":"\\ud800"}}}')
    assert dict(zip(found.keys, found.values, strict=True)) == {"ID": "a", "\ufffd": {"\ufffd": "\ufffd"}}
    assert msgspec.json.encode(found.values)


@pytest.mark.parametrize("depth", [65, 300, 990, 1015, 1030])
@pytest.mark.parametrize("head", [HEAD + ',"fields":{"ID":"a","X":', FLAT + ',"ID":"a","X":'])
def test_what_nobody_could_write_is_refused(head: str, depth: int) -> None:
    """Nesting that a decoder takes and an encoder does not."""
    end = "}}" if head.startswith(HEAD) else "}"
    for value in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        assert "nested too deeply" in refused(head + value + end).reason
    assert isinstance(JsonParser().parse((head + "[" * 60 + "]" * 60 + end).encode()), Parsed)


@pytest.mark.parametrize(
    "text",
    [
        HEAD[:40] + HEAD + TAIL, '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"other","fields":{"x":"' + "y" * 5000 + HEAD + TAIL,
        '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"connection_log","caller":"a.go',
        '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"connection_log"', FLAT[:60], FLAT[:30] + FLAT + ',"ID":"a"}',
    ],
)  # fmt: skip
def test_a_torn_line_with_an_event_in_it_is_refused(text: str) -> None:
    """Cut behind its message, or a torn one with a whole event behind: never silence."""
    refused(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"msg":"connection_log","broken', '{"level":"INFO","msg":"connection_log"',
        '{"ts":"2026-08-10T16:20:06.5Z","level":"INFO","msg":"x","fields":{"y":"{\\"msg\\":\\"connection_log\\"',
    ],
)  # fmt: skip
def test_a_broken_line_of_others_is_not_ours(text: str) -> None:
    """It has neither an event's header nor its logger, or has them inside a text."""
    assert JsonParser().parse(text.encode()) is None


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        (HEAD + ',"fields":{"ID":"a","X":1,"X":2,"X":3}}', {"X": [2, 3]}),
        (HEAD + ',"fields":{"ID":"a","X":1,"X":true}}', {"X": True}),
        (HEAD + ',"foo":1,"fields":{"ID":"a","X":1},"foo":2}', {"foo": [1, 2]}),
        (HEAD + ',"fields":{"ID":"a","X":1},"fields":{"ID":"b"}}', {"fields": {"ID": "b"}}),
        (FLAT + ',"message":"b","message":"c","ID":"a"}', {"message": ["b", "c"]}),
    ],
)
def test_every_repetition_is_kept(text: str, beside: dict[str, Any]) -> None:
    """However often a key stands there."""
    assert parsed(text).beside == beside


def test_an_object_inside_a_value_keeps_its_repetitions() -> None:
    """As a list under the name."""
    assert fields(HEAD + ',"fields":{"ID":"a","X":{"k":1,"k":2,"k":3,"l":4}}}')["X"] == {"k": [1, 2, 3], "l": 4}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ts", '"yesterday"'),
        ("ts", "5"),
        ("level", "5"),
        ("caller", "7"),
        ("func", "[]"),
        ("trace", "{}"),
        ("span", "1"),
    ],
)
def test_what_the_header_can_not_use_is_kept(key: str, value: str) -> None:
    """Under its own name, from a new parser and from one that knows the shape."""
    shape = HEAD + ',"fields":{"ID":"a"}}'
    parser = JsonParser()
    parser.parse(shape.encode())
    parts = {**json.loads(shape), key: json.loads(value)}
    found = parser.parse(json.dumps(parts, separators=(",", ":")).encode())
    assert isinstance(found, Parsed)
    assert found.beside == {key: json.loads(value)}


def test_the_flat_form_loses_nothing_of_its_header() -> None:
    """The sampling flag, the trace with its project, and what is not as the sink writes it."""
    sd = '"logging.googleapis.com/'
    found = parsed(FLAT + f',{sd}trace":"projects/p/traces/ab",{sd}trace_sampled":true,{sd}spanId":7,"ID":"a"}}')
    assert found.log.trace == "ab"
    assert found.beside == {
        "logging.googleapis.com/trace": "projects/p/traces/ab",
        "logging.googleapis.com/trace_sampled": True,
        "logging.googleapis.com/spanId": 7,
    }
    assert parsed(FLAT.replace('"INFO"', "5").replace(":5,", ':"x",') + ',"ID":"a"}').beside


@pytest.mark.parametrize("again", ["", ',"x":{"y":1}'])
def test_a_flat_line_with_its_time_in_another_place_is_an_event(again: str) -> None:
    """The message, the logger and a key of an event make it ours; the time that is not where the sink puts it is kept."""
    found = parsed(FLAT.replace("timestampSeconds", "timestamp") + again + ',"ID":"a"}')
    assert found.log.time is None
    assert ("timestamp", 1786378806) in zip(found.keys, found.values, strict=True)
    assert found.beside == {"timestampNanos": 5}


@pytest.mark.parametrize(
    "value", ["[36893488147419103233]", '{"k":36893488147419103233}', '[{"k":[36893488147419103233]}]']
)
@pytest.mark.parametrize("head", [HEAD + ',"fields":{"ID":"a","X":', FLAT + ',"ID":"a","X":'])
def test_a_number_inside_a_value_keeps_its_digits(head: str, value: str) -> None:
    """As text where 64 bits can't hold it."""
    found = fields(head + value + ("}}" if head.startswith(HEAD) else "}"))["X"]
    assert "36893488147419103233" in json.dumps(found)
    assert '"36893488147419103233"' in json.dumps(found)
