"""Elements: a query text cut by the grammar into its pieces, each with its place."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from shipper.errors import QueryError
from shipper.pattern import pattern
from shipper.resource import read_data

if TYPE_CHECKING:
    from lark import Lark

QUERY_MAX_CHARACTERS = 16_384
ELEMENTS_MAX = 256
GRAMMAR = "grammars/query.lark"

_TERMINAL = r"^([A-Z]+)(?:\.\d+)?: /(.+)/([a-z]*)$"
_word = pattern(r"\S")

# Bytes of a command line that are not UTF-8; in records each such byte is one U+FFFD.
_SURROGATES = "[\ud800-\udfff]"


class Element(Struct, frozen=True):
    """One element. ``kind`` is REGEX, ADDRESS, PAIR or WORD; ``column`` is 1-based, of the element's first character."""

    kind: str
    text: str
    column: int
    negated: bool


def split_elements(query: str) -> list[Element]:
    """The elements of ``query`` in order; raises QueryError where it is too long."""
    if not query.strip():
        return []  # the most frequent question, and Lark is slow to load
    if len(query) > QUERY_MAX_CHARACTERS:
        raise QueryError("q", f"Query has {len(query)} characters; at most {QUERY_MAX_CHARACTERS} are read")
    if not query.isascii():
        query = re.sub(_SURROGATES, "\ufffd", query)
    elements = scan_elements(query)
    if elements is None:
        elements = parse_elements(query)
    if len(elements) > ELEMENTS_MAX:
        raise QueryError("q", f"Query has {len(elements)} elements; at most {ELEMENTS_MAX} are read")
    return elements


def scan_elements(query: str) -> list[Element] | None:
    """The elements by the grammar's own terminals, tried in the order of their priority; None where it takes the
    grammar to tell. Lark alone costs a tenth of a second, which is more than most questions take."""
    terminals = _terminals()
    elements: list[Element] = []
    place = _blanks_end(query, 0)
    while place < len(query):
        begin, negated = place, False
        if terminals["NOT"].match(query, place):
            place, negated = place + 1, True
        for kind in ("REGEX", "ADDRESS", "PAIR", "WORD"):
            found = terminals[kind].match(query, place)
            if found is not None:
                break
        else:
            return None
        elements.append(Element(kind, found[0], begin + 1, negated))
        place = _blanks_end(query, found.end())
    return elements


def parse_elements(query: str) -> list[Element]:
    """The elements by the grammar; raises QueryError with the place where it ends."""
    from lark.exceptions import UnexpectedInput

    try:
        elements: list[Element] = _parser().parse(query)  # type: ignore[assignment]  # the transformer makes the list
    except UnexpectedInput as error:
        column = (error.pos_in_stream or 0) + 1  # type: ignore[redundant-expr]  # lark declares it anew
        raise QueryError("q", f"Query can't be read from column {column} on", column) from error
    return elements


def _blanks_end(query: str, place: int) -> int:
    found = _word.search(query, place)
    return len(query) if found is None else found.start()


@cache
def _terminals() -> dict[str, re.Pattern[str]]:
    return {
        found[1]: re.compile(
            found[2], (re.DOTALL if "s" in found[3] else 0) | (re.IGNORECASE if "i" in found[3] else 0)
        )
        for found in re.finditer(_TERMINAL, read_data(GRAMMAR), re.MULTILINE)
    }


def cut(text: str, delimiter: str) -> list[str]:
    """``text`` cut at ``delimiter`` outside quotes; empty pieces are left out, quotes are kept."""
    pieces: list[str] = []
    begin, quoted = 0, False
    for place, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif character == delimiter and not quoted:
            pieces.append(text[begin:place])
            begin = place + 1
    pieces.append(text[begin:])
    return [piece for piece in pieces if piece]


@cache
def _parser() -> Lark:
    from lark import Lark, Token, Transformer

    class Build(Transformer[Token, list[Element]]):
        def start(self, children: list[Element]) -> list[Element]:
            return children

        def element(self, children: list[Token]) -> Element:
            token = children[-1]
            return Element(token.type, str(token), (children[0].start_pos or 0) + 1, len(children) == 2)

    return Lark(read_data(GRAMMAR), parser="lalr", lexer="contextual", transformer=Build())
