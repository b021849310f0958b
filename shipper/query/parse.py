"""Parsing: a query text into a ``Filter``, with the rules and the error texts of Coder's own search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from shipper.errors import QueryError
from shipper.query.element import Element, cut, split_elements
from shipper.query.filter import (
    STATES,
    Addresses,
    Contains,
    Filter,
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
from shipper.query.moment import GO_LAYOUT, parse_moment
from shipper.query.value import compile_regex, read_code, read_duration, read_network, read_uuid

ALTERNATIVES_MAX = 256
ALIASES = {"started_after": "connected_after", "started_before": "connected_before"}
"""Names that older pages of Coder's documentation give."""

_STATUSES = ("ongoing", "completed")
_REPEATABLE = frozenset({"code", "duration"})
"""Keys whose terms together make a range."""


def parse_query(query: str, now_ns: int) -> Filter:
    """The filter that ``query`` asks for; ages such as ``2h`` are counted back from ``now_ns``.

    Raises QueryError with every problem, a line each; its field and column are the first one's.
    """
    problems: list[QueryError] = []
    terms: list[Term] = []
    places: dict[str, list[int]] = {}
    for element in split_elements(query):
        try:
            terms += _read_element(element, now_ns, places)
        except QueryError as problem:
            problems.append(problem)
    problems += [
        QueryError(
            key,
            f'Query param "{key}" provided more than once, found {len(columns)} times. '
            "Only provide 1 instance of this query param.",
            columns[1],
        )
        for key, columns in places.items()
        if len(columns) > 1
    ]
    if problems:
        problems.sort(key=lambda problem: problem.column or 0)
        first = problems[0]
        raise QueryError(
            first.field, "\n".join(str(problem).replace("\n", "\\n") for problem in problems), first.column
        )
    return Filter(tuple(terms))


def unknown_value(key: str, value: str, known: tuple[str, ...]) -> QueryError:
    """The error for a value that isn't one of ``known``, with the nearest of these."""
    text = f'Query param "{key}" has invalid value: "{value}" is not a valid value'
    from difflib import get_close_matches

    near = get_close_matches(value, known, n=1, cutoff=0.5)
    return QueryError(key, f'{text}; did you mean "{near[0]}"?' if near else text)


def _read_element(element: Element, now_ns: int, places: dict[str, list[int]]) -> list[Term]:
    """The terms of one element, at most one; ``places`` collects where each key stands that may stand only once."""
    text, negated = element.text.lower(), element.negated
    if element.kind == "REGEX":
        regex = element.text[1:-1].replace("\\/", "/")
        try:
            compile_regex(regex)
        except ValueError as error:
            raise QueryError("q", f"Regular expression /{regex}/ can't be used: {error}", element.column) from error
        return [Pattern(regex, negated=negated)]
    if element.kind == "WORD":
        word = _bare(text)
        return [FreeText(word, negated=negated)] if word else []
    if element.kind == "ADDRESS":
        key, value = "ip", text[3:]
    elif text.startswith(":") or text.endswith(":"):
        raise QueryError("q", f"Query element {_quoted(text)} cannot start or end with ':'", element.column)
    else:
        parts = cut(text, ":")
        if len(parts) > 2:
            raise QueryError("q", f"Query element {_quoted(text)} can only contain 1 ':'", element.column)
        key, value = _bare(parts[0]), parts[-1]
    key = ALIASES.get(key, key)
    read = _READERS.get(key)
    if read is None:
        raise _unknown_key(key, element.column)
    if not negated and key not in _REPEATABLE:
        places.setdefault(key, []).append(element.column)
    values = [bare for piece in cut(value, ",") if (bare := _bare(piece))]
    if len(values) > ALTERNATIVES_MAX:
        raise QueryError(key, f'Query param "{key}" has more than {ALTERNATIVES_MAX} alternatives', element.column)
    if not values:
        return []  # Coder takes an empty value for no filter
    try:
        return [read(Asked(key, tuple(values), negated, now_ns))]
    except QueryError as error:
        raise QueryError(key, str(error), element.column) from error
    except ValueError as error:
        raise QueryError(key, f'Query param "{key}" has invalid value: {error}', element.column) from error


def _unknown_key(key: str, column: int) -> QueryError:
    from difflib import get_close_matches

    text = f'Query param "{key}" is not a valid query param'
    near = get_close_matches(key, KEYS, n=1)
    return QueryError(key, f'{text}; did you mean "{near[0]}"?' if near else text, column)


def _bare(text: str) -> str:
    return text.strip('"')


def _quoted(text: str) -> str:
    """Text as Go's %q prints it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Asked(NamedTuple):
    """What one element asks, for the reader of its key."""

    key: str
    values: tuple[str, ...]
    negated: bool
    now_ns: int


Reader = Callable[[Asked], Term]


def _text(asked: Asked) -> Term:
    return Text(asked.key, asked.values, negated=asked.negated)


def _app(asked: Asked) -> Term:
    # As Coder normalises the names of apps.
    return Text(asked.key, tuple(value.replace("-", "_") for value in asked.values), negated=asked.negated)


def _contains(asked: Asked) -> Term:
    return Contains(asked.key, asked.values, negated=asked.negated)


def _names(asked: Asked) -> Term:
    return Names(asked.key, tuple(read_uuid(value) or value for value in asked.values), negated=asked.negated)


def _ids(asked: Asked) -> Term:
    ids = [read_uuid(value) for value in asked.values]
    if None in ids:
        raise QueryError(asked.key, f'Query param "{asked.key}" must be a valid uuid')
    return Ids(asked.key, tuple(one for one in ids if one is not None), negated=asked.negated)


def _types(asked: Asked) -> Term:
    return Types(asked.values, negated=asked.negated)


def _methods(asked: Asked) -> Term:
    return Methods(asked.values, negated=asked.negated)


def _addresses(asked: Asked) -> Term:
    return Addresses(tuple(read_network(value) for value in asked.values), negated=asked.negated)


def _code(asked: Asked) -> Term:
    return Numbers(asked.key, tuple(read_code(value) for value in asked.values), negated=asked.negated)


def _duration(asked: Asked) -> Term:
    return Numbers(asked.key, tuple(read_duration(value) for value in asked.values), negated=asked.negated)


def _moment(asked: Asked) -> Term:
    try:
        return Moment(asked.key, parse_moment(",".join(asked.values), asked.now_ns), negated=asked.negated)
    except ValueError as error:
        raise QueryError(
            asked.key, f'Query param "{asked.key}" must be a valid date format ({GO_LAYOUT}): {error}'
        ) from error


def _status(asked: Asked) -> Term:
    for value in asked.values:
        if value not in _STATUSES:
            raise unknown_value(asked.key, value, _STATUSES)
    return Status(asked.values, negated=asked.negated)


def _state(asked: Asked) -> Term:
    for value in asked.values:
        if value not in STATES:
            raise unknown_value(asked.key, value, STATES)
    return State(asked.values, negated=asked.negated)


_READERS: dict[str, Reader] = {
    "organization": _names,
    "workspace_owner": _names,
    "workspace_owner_email": _names,
    "type": _types,
    "username": _names,
    "user_email": _names,
    "connected_after": _moment,
    "connected_before": _moment,
    "workspace_id": _ids,
    "connection_id": _ids,
    "status": _status,
    "method": _methods,
    "app": _app,
    "ip": _addresses,
    "state": _state,
    "workspace": _text,
    "agent": _text,
    "code": _code,
    "duration": _duration,
    "slug": _text,
    "reason": _contains,
}
KEYS = (*_READERS, *ALIASES)
"""Every key that a query may use."""
