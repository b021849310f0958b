"""Evaluates the part of Splunk's eval language that the add-on uses, and refuses what it leaves open.

A comparison with a missing field is missing itself, and ``if`` and ``case`` take that for no; what AND, OR and NOT
make of it is not relied on, and raises here.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lark import Lark, Token, Tree

Value = str | float | bool | list[str] | None

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction ("OR" conjunction)*
?conjunction: negation ("AND" negation)*
?negation: "NOT" negation -> negated | comparison
?comparison: sum (COMPARE sum)?
?sum: product (SIGN product)*
?product: atom (FACTOR atom)*
?atom: NUMBER -> number | STRING -> string | QUOTED -> quoted | NAME "(" [disjunction ("," disjunction)*] ")" -> call
     | NAME -> field | "(" disjunction ")"
COMPARE: "==" | "!=" | "<=" | ">=" | "=" | "<" | ">"
SIGN: "+" | "-" | "."
FACTOR: "*" | "/"
NUMBER: /\d+(\.\d+)?/
STRING: /"([^"\\]|\\.)*"/
QUOTED: /'[^']+'/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
%ignore " "
"""


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


@cache
def parse(text: str) -> Tree[Token] | Token:
    """The tree of an expression."""
    return _parser().parse(text)


def names(text: str) -> set[str]:
    """The fields that an expression reads."""
    tree = parse(text)
    found = set()
    if isinstance(tree, Tree):
        for node in tree.iter_subtrees():
            if node.data == "field":
                found.add(str(node.children[0]))
            elif node.data == "quoted":
                found.add(str(node.children[0])[1:-1])
    return found


def evaluate(text: str, row: Mapping[str, Value]) -> Value:
    """The value of an expression over the fields of one event."""
    return _value(parse(text), row)


def number_of(value: Value) -> float | None:
    """The value as a number, where Splunk would take it for one."""
    if isinstance(value, bool | list) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if re.fullmatch(r"-?\d+(\.\d+)?", value) else None


def text_of(value: Value) -> str:
    """The value as text."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def compare(sign: str, left: Value, right: Value) -> bool | None:
    """What a comparison gives: None where a side is missing."""
    if left is None or right is None:
        return None
    a: Any
    b: Any
    a, b = number_of(left), number_of(right)
    if a is None or b is None:
        a, b = text_of(left), text_of(right)
    holds: bool = {
        "=": a == b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b,
    }[sign]  # fmt: skip
    return holds


def _value(node: Tree[Token] | Token, row: Mapping[str, Value]) -> Value:
    assert isinstance(node, Tree), node
    parts: list[Any] = node.children
    kind = str(node.data)
    if kind == "number":
        return float(parts[0])
    if kind == "string":
        return re.sub(r"\\(.)", r"\1", str(parts[0])[1:-1])
    if kind in ("field", "quoted"):
        name = str(parts[0])[1:-1] if kind == "quoted" else str(parts[0])
        return row.get(name)
    if kind == "call":
        return _call(str(parts[0]), [part for part in parts[1:] if part is not None], row)
    if kind in ("disjunction", "conjunction"):
        sides = [_value(part, row) for part in parts]
        assert all(isinstance(side, bool) for side in sides), f"{kind} of {sides}"
        return any(sides) if kind == "disjunction" else all(sides)
    if kind == "negated":
        side = _value(parts[0], row)
        assert isinstance(side, bool), f"NOT of {side}"
        return not side
    if kind == "comparison":
        return compare(str(parts[1]), _value(parts[0], row), _value(parts[2], row))
    result = _value(parts[0], row)
    for sign, part in zip(parts[1::2], parts[2::2], strict=True):
        result = _arithmetic(str(sign), result, _value(part, row))
    return result


def _arithmetic(sign: str, left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    if sign == ".":
        return text_of(left) + text_of(right)
    a, b = number_of(left), number_of(right)
    if a is None or b is None or (sign == "/" and b == 0):
        return None
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else 0.0}[sign]


def _call(name: str, arguments: list[Tree[Token]], row: Mapping[str, Value]) -> Value:
    if name == "if":
        condition, yes, no = arguments
        return _value(yes if _value(condition, row) is True else no, row)
    if name == "case":
        assert len(arguments) % 2 == 0
        pairs = zip(arguments[::2], arguments[1::2], strict=True)
        return next((_value(then, row) for condition, then in pairs if _value(condition, row) is True), None)
    values = [_value(argument, row) for argument in arguments]
    return _FUNCTIONS[name](*values)


def _among(value: Value, *rest: Value) -> bool | None:
    return None if value is None else any(compare("=", value, one) for one in rest)


def _like(value: Value, pattern: Value) -> bool | None:
    if value is None or pattern is None:
        return None
    expression = re.escape(text_of(pattern)).replace("%", ".*").replace("_", ".")
    return re.fullmatch(expression, text_of(value), re.DOTALL) is not None


def _rounded(value: Value, digits: Value = 0.0) -> Value:
    number = number_of(value)
    return None if number is None else round(number, int(number_of(digits) or 0))


def _stamp(value: Value, form: Value) -> Value:
    number = number_of(value)
    return None if number is None else datetime.fromtimestamp(number, UTC).strftime(text_of(form))


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "floor": lambda value: None if (number := number_of(value)) is None else float(math.floor(number)),
    "substr": lambda value, first, count: (
        None if value is None else text_of(value)[int(first) - 1 : int(first) - 1 + int(count)]
    ),
    "tonumber": lambda value, base: None if value is None else float(int(text_of(value), int(base))),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "in": _among,
    "isnotnull": lambda value: value is not None,
    "isnull": lambda value: value is None,
    "like": _like,
    "now": time.time,
    "null": lambda: None,
    "round": _rounded,
    "strftime": _stamp,
    "true": lambda: True,
}
