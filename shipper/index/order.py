"""The order of an answer as SQL, and the range of time that a question is about."""

from __future__ import annotations

from shipper import timestamp
from shipper.errors import UsageError
from shipper.index.cell import sort_columns
from shipper.index.schema import KIND_COLUMNS, PLACE_COLUMNS
from shipper.query.filter import Filter, Moment

_WORD_SORTS = sort_columns()
_CONNECTION_SORTS = {
    "connect_time": "connect_ns",
    "disconnect_time": "disconnect_ns",
    "duration_seconds": "duration_ns",
    "duration": "duration_ns",
    "lasted": "duration_ns",
    "state": "state",
}


def sort_names(events: bool) -> list[str]:
    """What an answer can be sorted by."""
    return ["time", "code", *([] if events else _CONNECTION_SORTS), *_WORD_SORTS]


def order_by(sort: str, events: bool, state: str = "state") -> str:
    """The order as SQL, from own names only; ``state`` is the expression for a connection's state."""
    name = sort.removeprefix("-")
    direction = "DESC" if sort.startswith("-") else "ASC"
    time = "time_ns" if events else "connect_ns"
    known = {"time": time, "code": "code", **({} if events else _CONNECTION_SORTS)}
    if name in ("time", "connect_time") and name in known:
        return f"{time} {direction}, id {direction}"
    if name in known:
        column = state if known[name] == "state" else known[name]
        return f"{column} {direction} NULLS LAST, {time} DESC, id DESC"
    if name in _WORD_SORTS:
        column = _WORD_SORTS[name]
        if column in KIND_COLUMNS:
            column = f"(SELECT {column} FROM kinds WHERE kinds.id = kind)"  # noqa: S608  # own names
        elif column in PLACE_COLUMNS:
            column = f"(SELECT {column} FROM places WHERE places.id = place)"  # noqa: S608  # own names
        word = f"(SELECT coalesce(fold, text) FROM words WHERE words.id = {column})"  # noqa: S608  # own names
        return f"{word} {direction} NULLS LAST, {time} DESC, id DESC"
    from difflib import get_close_matches

    near = get_close_matches(name, [*known, *_WORD_SORTS], n=1)
    hint = f'did you mean "{near[0]}"?' if near else "known are " + ", ".join([*known, *_WORD_SORTS])
    raise UsageError(f'can\'t sort by "{name}"; {hint}')


def time_range(filter_: Filter, since_ns: int | None, until_ns: int | None) -> tuple[int, int]:
    """The range of time that a question is about."""
    low = timestamp.NS_MIN if since_ns is None else since_ns
    high = timestamp.NS_MAX if until_ns is None else until_ns
    for term in filter_.terms:
        if isinstance(term, Moment) and not term.negated:
            if term.key == "connected_after":
                low = max(low, term.ns)
            else:
                high = min(high, term.ns)
    return low, high
