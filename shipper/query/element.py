"""Elements: a query text cut by the grammar into its pieces, each with its place."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from shipper.errors import QueryError
from shipper.resource import read_data

if TYPE_CHECKING:
    from lark import Lark

QUERY_MAX_CHARACTERS = 16_384
ELEMENTS_MAX = 256

# Bytes of a command line that are not UTF-8; in records each such byte is one U+FFFD.
_surrogates = re.compile("[\ud800-\udfff]")


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
    from lark.exceptions import UnexpectedInput

    if len(query) > QUERY_MAX_CHARACTERS:
        raise QueryError("q", f"Query has {len(query)} characters; at most {QUERY_MAX_CHARACTERS} are read")
    query = _surrogates.sub("\ufffd", query)
    try:
        elements: list[Element] = _parser().parse(query)  # type: ignore[assignment]  # the transformer makes the list
    except UnexpectedInput as error:
        column = (error.pos_in_stream or 0) + 1  # type: ignore[redundant-expr]  # lark declares it anew
        raise QueryError("q", f"Query can't be read from column {column} on", column) from error
    if len(elements) > ELEMENTS_MAX:
        raise QueryError("q", f"Query has {len(elements)} elements; at most {ELEMENTS_MAX} are read")
    return elements


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
    # Imported here: Lark costs a tenth of a second, which a question without elements need not pay.
    from lark import Lark, Token, Transformer

    class Build(Transformer[Token, list[Element]]):
        def start(self, children: list[Element]) -> list[Element]:
            return children

        def element(self, children: list[Token]) -> Element:
            token = children[-1]
            return Element(token.type, str(token), (children[0].start_pos or 0) + 1, len(children) == 2)

    return Lark(read_data("grammars/query.lark"), parser="lalr", lexer="contextual", transformer=Build())
