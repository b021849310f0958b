"""Evaluates the terms of Splunk's ``search`` that the add-on uses: field=value, IN, NOT, AND, OR, wildcards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from lark import Lark, Token, Tree

from tests.splunk.expression import Value, text_of

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("OR" conjunction)*
?conjunction: negation (["AND"] negation)*
?negation: "NOT" negation -> negated | atom
?atom: NAME "=" WORD -> equals | NAME "=" STRING -> equals
     | NAME "IN" "(" (WORD|STRING) ("," (WORD|STRING))* ")" -> among
     | "(" disjunction ")"
NAME.2: /[A-Za-z_][A-Za-z0-9_.]*(?=\s*(=|IN\b))/
WORD: /[^\s"=(),]+/
STRING: /"([^"\\]|\\.)*"/
%ignore " "
"""


@cache
def _parse(text: str) -> Tree[Token]:
    parsed = Lark(_GRAMMAR, parser="lalr").parse(text)
    assert isinstance(parsed, Tree)
    return parsed


def condition_names(text: str) -> set[str]:
    """The fields that the terms name."""
    return {str(node.children[0]) for node in _parse(text).iter_subtrees() if node.data in ("equals", "among")}


def condition_values(text: str) -> set[tuple[str, str]]:
    """Field and value of every term, as written."""
    found: set[tuple[str, str]] = set()
    for node in _parse(text).iter_subtrees():
        if node.data in ("equals", "among"):
            found |= {(str(node.children[0]), _plain(value)) for value in node.children[1:]}
    return found


def matches(text: str, row: Mapping[str, Value]) -> bool:
    """Whether an event's fields meet the terms."""
    return _holds(_parse(text), row)


def _plain(token: Any) -> str:
    text = str(token)
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _holds(node: Any, row: Mapping[str, Value]) -> bool:
    assert isinstance(node, Tree), node
    parts = [part for part in node.children if part is not None]
    kind = str(node.data)
    if kind == "disjunction":
        return any(_holds(part, row) for part in parts)
    if kind == "conjunction":
        return all(_holds(part, row) for part in parts)
    if kind == "negated":
        return not _holds(parts[0], row)
    field, *wanted = parts
    value = row.get(str(field))
    values = value if isinstance(value, list) else [] if value is None else [text_of(value)]
    return any(_alike(_plain(one), own) for one in wanted for own in values)


def _alike(pattern: str, value: str) -> bool:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, value, re.DOTALL | re.IGNORECASE) is not None
