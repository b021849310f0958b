"""The query language: what a text asks for, and the words in which a wrong one is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import QueryError
from shipper.query import KEYS, Filter, parse_query
from shipper.query.filter import (
    Addresses,
    Comparison,
    Contains,
    FreeText,
    Ids,
    Methods,
    Moment,
    Names,
    Numbers,
    Pattern,
    State,
    Status,
    Term,
    Text,
    Types,
)
from shipper.query.kind import kinds

NOW = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
HOUR = 3_600_000_000_000
ID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        (" \t ", []),
        ("type:ssh", [Types(("ssh",))]),
        ("TYPE:SSH", [Types(("ssh",))]),
        ("type:ssh,VSCode", [Types(("ssh", "vscode"))]),
        ("-type:ssh", [Types(("ssh",), negated=True)]),
        ("-type:ssh -type:vscode", [Types(("ssh",), negated=True), Types(("vscode",), negated=True)]),
        ("type::ssh", [Types(("ssh",))]),
        ('workspace:"my dev"', [Text("workspace", ("my dev",))]),
        ('"workspace":dev', [Text("workspace", ("dev",))]),
        ('workspace:"a,b",c', [Text("workspace", ("a,b", "c"))]),
        ('slug:"a:b"', [Text("slug", ("a:b",))]),
        ('slug:""', []),
        ("app:Code-Server", [Text("app", ("code_server",))]),
        ("method:ssh", [Methods(("ssh",))]),
        ("agent:main", [Text("agent", ("main",))]),
        ("reason:exit", [Contains("reason", ("exit",))]),
        ("hello World", [FreeText("hello"), FreeText("world")]),
        ('"hello  World"', [FreeText("hello  world")]),
        ('"a:b"', [FreeText("a:b")]),
        ('"never closed', [FreeText("never closed")]),
        ("-word", [FreeText("word", negated=True)]),
        ("- word", [FreeText("-"), FreeText("word")]),
        ("/usr/bin", [FreeText("/usr/bin")]),
        ("/Kernel (panic|oops)/", [Pattern("Kernel (panic|oops)")]),
        (r"-/a\/b/", [Pattern("a/b", negated=True)]),
        (f"workspace_id:{ID.upper()}", [Ids("workspace_id", (ID,))]),
        (f"connection_id:{ID.replace('-', '')}", [Ids("connection_id", (ID,))]),
        ("username:bob", [Names("username", ("bob",))]),
        ("workspace_owner:me", [Names("workspace_owner", ("me",))]),
        (f"organization:{ID.upper()}", [Names("organization", (ID,))]),
        ("status:ongoing", [Status(("ongoing",))]),
        ("state:point,unknown", [State(("point", "unknown"))]),
        ("ip:10.1.2.3", [Addresses(("10.1.2.3/32",))]),
        ("ip:10.1.2.3/8", [Addresses(("10.0.0.0/8",))]),
        ("ip:::ffff:10.1.2.3", [Addresses(("10.1.2.3/32",))]),
        ("ip:fd7a:115c:a1e0::/48,10.0.0.0/8", [Addresses(("fd7a:115c:a1e0::/48", "10.0.0.0/8"))]),
        ("ip:fe80::", [Addresses(("fe80::/128",))]),
        ("-IP:::1", [Addresses(("::1/128",), negated=True)]),
        ("code:404", [Numbers("code", (Comparison("=", 404),))]),
        ("code:>=400 code:<500", [Numbers("code", (Comparison(op, n),)) for op, n in ((">=", 400), ("<", 500))]),
        ("code:-1,0", [Numbers("code", (Comparison("=", -1), Comparison("=", 0)))]),
        ("duration:>1h30m", [Numbers("duration", (Comparison(">", HOUR * 3 // 2),))]),
        ('connected_after:"2026-01-01T00:00:00Z"', [Moment("connected_after", NOW)]),
        ('connected_after:"2026-01-01t01:00:00+01:00"', [Moment("connected_after", NOW)]),
        ("started_before:2h", [Moment("connected_before", NOW - 2 * HOUR)]),
        ("started_after:yesterday", [Moment("connected_after", NOW - 24 * HOUR)]),
        ("connected_after:2026-01-01", [Moment("connected_after", NOW)]),
        ('connected_after:"2026-01-01T0:00:00Z"', [Moment("connected_after", NOW)]),
        ('connected_after:"2026-01-01T00:00:00.0000000019Z"', [Moment("connected_after", NOW + 1)]),
        ('connected_after:"2026-01-01T01:00:00,5+01:00"', [Moment("connected_after", NOW + 500_000_000)]),
        (f"connection_id:{{{ID}}}", [Ids("connection_id", (ID,))]),
        (f'connection_id:"urn:uuid:{ID}"', [Ids("connection_id", (ID,))]),
    ],
)
def test_a_query_means(query: str, terms: list[Term]) -> None:
    assert parse_query(query, NOW) == Filter(tuple(terms))


@pytest.mark.parametrize(
    "text",
    [
        "c2d6a0c20-000-4000-8000-0000000000a3",
        "------------------------------------",
        "6ba7b8109dad11d180b400c04fd430c8----",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c",
        "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "urn:uuid:6ba7b8109dad11d180b400c04fd430c8----",
        "6ba7b8109dad11d180b400c04fd4_0c8",
    ],
)
@pytest.mark.parametrize("key", ["connection_id", "workspace_id"])
def test_what_is_no_uuid_is_refused(key: str, text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(f'{key}:"{text}"', NOW)
    assert str(caught.value) == f'Query param "{key}" must be a valid uuid'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-01-32T00:00:00Z", ": day out of range"),
        ("2026-01-00T00:00:00Z", ": day out of range"),
        ("2026-01-01T24:00:00Z", ": hour out of range"),
        ("2026-01-01T00:60:00Z", ": minute out of range"),
        ("2026-01-01T00:00:60Z", ": second out of range"),
        ("2026-01-01T00:00:00+25:00", ": time zone offset hour out of range"),
        ("2026-01-01T00:00:00+01:61", ": time zone offset minute out of range"),
        ("0000-01-01T00:00:00Z", ": year out of range"),
        ("0001-01-01T00:00:00+01:00", ": year out of range"),
        ("9999-12-31T23:59:59-01:00", ": year out of range"),
        ("2026-01-01T00:00:00Zx", ': extra text: "X"'),
    ],
)
def test_a_wrong_time_is_refused_for_what_is_wrong_with_it(text: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(f'connected_after:"{text}"', NOW)
    assert str(caught.value).endswith(f'parsing time "{text.upper()}"{said}')


@pytest.mark.parametrize(("text", "name"), [("2026-02-29", "day"), ("2026-13-01", "month"), ("0000-01-01", "year")])
def test_a_day_that_is_none_is_refused_for_its_part(text: str, name: str) -> None:
    with pytest.raises(QueryError, match=f'"{text}T00:00:00Z": {name} out of range'):
        parse_query(f"connected_after:{text}", NOW)


@pytest.mark.parametrize(
    ("text", "rest", "layout"),
    [
        ("2026-01-01T00:00:00.Z", ".Z", "Z07:00"),
        ("2026-01-01T00:00:00+1:00", "+1:00", "Z07:00"),
        ("2026-01-01T000:00:00Z", "0:00:00Z", ":"),
        ("2026-1-01T00:00:00Z", "1-01T00:00:00Z", "01"),
        ("9" * 5000 + "h", "9" * 4996 + "H", "-"),
    ],
)
def test_a_time_that_cant_be_read_is_refused_from_there_on(text: str, rest: str, layout: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(f'connected_after:"{text}"', NOW)
    assert str(caught.value).endswith(f'{_LAYOUT} "{rest}" as "{layout}"')


@given(
    st.from_regex(
        r"\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2]?[0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-6][0-9])\Z"
    )
)
def test_a_time_of_gos_form_is_read_or_the_part_that_is_out_of_range_is_named(text: str) -> None:
    year, month, day = (int(part) for part in text[:10].split("-"))
    try:
        parse_query(f'connected_after:"{text}"', NOW)
    except QueryError as error:
        assert str(error).endswith("out of range")
        if str(error).endswith(": day out of range"):
            with pytest.raises(ValueError, match="day"):
                date(year or 4, month, day)


def test_a_wrong_age_is_named() -> None:
    with pytest.raises(QueryError, match='"1h1h" is no duration'):
        parse_query("connected_after:1h1h", NOW)


_DATE = "must be a valid date format (2006-01-02T15:04:05.999999999Z07:00): parsing time"
_LAYOUT = 'as "2006-01-02T15:04:05.999999999Z07:00": cannot parse'


@pytest.mark.parametrize(
    ("query", "field", "column", "message"),
    [
        ("x:", "q", 1, "Query element \"x:\" cannot start or end with ':'"),
        ("ssh :X", "q", 5, "Query element \":x\" cannot start or end with ':'"),
        ("a:b:C", "q", 1, "Query element \"a:b:c\" can only contain 1 ':'"),
        (
            "connected_after:2026-01-01T00:00:00Z",
            "q",
            1,
            "Query element \"connected_after:2026-01-01t00:00:00z\" can only contain 1 ':'",
        ),
        (
            "type:ssh type:vscode",
            "type",
            10,
            'Query param "type" provided more than once, found 2 times. Only provide 1 instance of this query param.',
        ),
        (
            "started_after:2h connected_after:3h",
            "connected_after",
            18,
            (
                'Query param "connected_after" provided more than once, found 2 times. '
                "Only provide 1 instance of this query param."
            ),
        ),
        ("usernam:bob", "usernam", 1, 'Query param "usernam" is not a valid query param; did you mean "username"?'),
        ("qqq:bob", "qqq", 1, 'Query param "qqq" is not a valid query param'),
        ("ssh -zzz:1", "zzz", 5, 'Query param "zzz" is not a valid query param'),
        ("workspace_id:dev", "workspace_id", 1, 'Query param "workspace_id" must be a valid uuid'),
        ("status:open", "status", 1, 'Query param "status" has invalid value: "open" is not a valid value'),
        (
            "state:complete",
            "state",
            1,
            'Query param "state" has invalid value: "complete" is not a valid value; did you mean "completed"?',
        ),
        (
            "connected_after:soon",
            "connected_after",
            1,
            f'Query param "connected_after" {_DATE} "SOON" {_LAYOUT} "SOON" as "2006"',
        ),
        (
            'connected_before:"2026-13-01T00:00:00Z"',
            "connected_before",
            1,
            f'Query param "connected_before" {_DATE} "2026-13-01T00:00:00Z": month out of range',
        ),
        (
            'connected_before:"2026-02-30T00:00:00Z"',
            "connected_before",
            1,
            f'Query param "connected_before" {_DATE} "2026-02-30T00:00:00Z": day out of range',
        ),
        (
            'connected_before:"2026-02-03T00:00:00"',
            "connected_before",
            1,
            f'Query param "connected_before" {_DATE} "2026-02-03T00:00:00" {_LAYOUT} "" as "Z07:00"',
        ),
        ("/(a/", "q", 1, "Regular expression /(a/ can't be used: missing ): (a"),
        (r"/(a)\1/", "q", 1, r"Regular expression /(a)\1/ can't be used: invalid escape sequence: \1"),
    ],
)
def test_a_wrong_query_is_refused_with_coders_words(query: str, field: str, column: int, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(query, NOW)
    assert (caught.value.field, caught.value.column, str(caught.value)) == (field, column, message)


def test_all_problems_are_told_at_once_in_the_order_of_the_query() -> None:
    with pytest.raises(QueryError) as caught:
        parse_query("nope:1 type:a ip:x type:b", NOW)
    lines = str(caught.value).split("\n")
    assert ["nope" in lines[0], '"ip"' in lines[1], "more than once" in lines[2]] == [True, True, True]
    assert (caught.value.field, caught.value.column) == ("nope", 1)


@given(st.text(st.sampled_from('ab:"-/,\\ ipcode>=1(\x00\x1b\ud800é')) | st.text())
def test_any_text_is_a_filter_or_a_query_error(query: str) -> None:
    try:
        assert isinstance(parse_query(query, NOW), Filter)
    except QueryError as error:
        assert error.field
        assert error.column is None or 1 <= error.column <= len(query)


@pytest.mark.parametrize("key", KEYS)
def test_an_empty_value_is_no_filter(key: str) -> None:
    assert parse_query(f'{key}:""', NOW) == Filter()


@pytest.mark.parametrize("query", ["a" * 20_000, "a " * 300, "type:" + "a," * 300])
def test_what_is_too_long_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match=r"at most|more than"):
        parse_query(query, NOW)


def test_bytes_of_the_command_line_that_are_no_utf8_are_searched_as_records_hold_them() -> None:
    assert parse_query("caf\udce9", NOW).terms == (FreeText("caf�"),)


def test_the_table_of_kinds_is_whole() -> None:
    table = kinds()
    apps = {app for family in table.families.values() for app in family}
    assert apps | set(table.methods) == set(table.types) == set(table.display)
    assert set(table.web_methods) <= set(table.methods)
    assert all(name in apps_of for name, apps_of in table.families.items())
    assert "cursor" in table.family("vscode")
    assert table.family("goland") == ("goland",)
