"""The grammar of the query language: one way to read each text, and the cutting of Coder's own search."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark

from shipper.query.element import Element, cut, parse_elements, scan_elements, split_elements
from shipper.query.kind import WEB, kinds
from shipper.resource import read_data

_texts = st.text(st.sampled_from('ab:" \t\n-,é'))


def test_no_two_terminals_of_one_rank_match_the_same_text() -> None:
    logging.getLogger("lark").setLevel(logging.ERROR)  # it says that look-aheads are not compared
    assert Lark(read_data("grammars/query.lark"), parser="lalr", lexer="contextual", strict=True).terminals


@pytest.mark.parametrize(
    ("query", "elements"),
    [
        ("a b", [Element("WORD", "a", 1, False), Element("WORD", "b", 3, False)]),
        ('  k:"a b"c', [Element("PAIR", 'k:"a b"c', 3, False)]),
        ("-ip:::1 -ip", [Element("ADDRESS", "ip:::1", 1, True), Element("WORD", "ip", 9, True)]),
        ("/a b/ /a/b", [Element("REGEX", "/a b/", 1, False), Element("WORD", "/a/b", 7, False)]),
        ("--a", [Element("WORD", "-a", 1, True)]),
        ('ip:"::1"', [Element("PAIR", 'ip:"::1"', 1, False)]),
        ('"', [Element("WORD", '"', 1, False)]),
    ],
)
def test_a_query_is_cut_into(query: str, elements: list[Element]) -> None:
    assert split_elements(query) == elements


@given(st.text(st.sampled_from('ab:" \t\n-,é/\\ip')))
def test_the_scan_cuts_as_the_grammar_does(query: str) -> None:
    assert scan_elements(query) == parse_elements(query)


@given(_texts)
def test_elements_are_what_coder_cuts_at_blanks_outside_quotes(query: str) -> None:
    """Coder's own algorithm: a quote toggles anywhere, a blank outside of quotes ends a token."""
    expected, token, quoted = [], "", False
    for character in query + ("" if query.count('"') % 2 else " "):
        if character.isspace() and not quoted:
            expected += [token] if token else []
            token = ""
        else:
            quoted ^= character == '"'
            token += character
    expected += [token] if token else []
    found = split_elements(query)
    assert [("-" if element.negated else "") + element.text for element in found] == expected
    for element in found:
        outside = "".join(element.text.split('"')[::2])
        assert (element.kind == "PAIR") == (":" in outside)


@given(_texts, st.sampled_from(":,"))
def test_cutting_loses_nothing_but_the_delimiters(text: str, delimiter: str) -> None:
    pieces = cut(text, delimiter)
    assert all(pieces)
    assert sum(map(len, pieces)) == len(text) - sum(part.count(delimiter) for part in text.split('"')[::2])


def test_the_web_types_known_without_the_table_are_the_tables() -> None:
    assert frozenset(kinds().web_methods) == WEB
