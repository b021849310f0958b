"""The grammar of the human form, read in two ways."""

from __future__ import annotations

import re

from lark import Lark

from shipper.parsing.grammar import HumanGrammar, terminals
from shipper.parsing.result import Refused
from shipper.resource import read_data


def test_the_terminals_are_those_that_lark_sees() -> None:
    """The fast path is built from the text of the grammar; Lark must understand the same expressions."""
    lark = Lark(read_data("grammars/human.lark"), parser="lalr", lexer="contextual")
    assert {name: evaluated(pattern) for name, pattern in terminals().items()} == {
        terminal.name: terminal.pattern.value for terminal in lark.terminals
    }


def test_no_terminal_repeats_a_group_possessively() -> None:
    """Python before 3.11.5 takes what such a group began to match for matched; of single characters all is well."""
    possessive = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+")
    assert {name for name, pattern in terminals().items() if possessive.search(pattern)} <= {"BLOCK_TEXT"}


def evaluated(pattern: str) -> str:
    """A pattern with its escapes of single characters evaluated, as Lark does when it reads a grammar."""
    return re.sub(
        r"\\(?:(n)|x([0-9a-f]{2})|.)",
        lambda found: "\n" if found[1] else chr(int(found[2], 16)) if found[2] else found[0],
        pattern,
    )


def test_each_broken_example_has_its_words() -> None:
    """A broken line kept beside the grammar is refused with the words it stands under, never with Lark's."""
    grammar = HumanGrammar()
    refused = grammar.tree('2025-07-03 06:57:16.144 [info]  coderd: connection_log  ID=a  Reason="x')
    assert isinstance(refused, Refused)
    assert refused.reason == "this quoted string is not closed on its line"
    assert refused.at == len("2025-07-03 06:57:16.144 [info]  coderd: connection_log  ID=a  Reason=")


def test_a_level_of_another_kind_is_what_the_words_speak_of() -> None:
    """A level in capitals ends no line; the level is at fault."""
    refused = HumanGrammar().tree("2025-07-03 06:57:16.144 [INFO]  coderd: connection_log  ID=a")
    assert refused == Refused("a level in brackets, such as [info], was expected here", 23)
