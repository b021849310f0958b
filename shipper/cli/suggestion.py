"""Suggestions: what may follow what was typed of a query, for a shell that completes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from shipper.errors import ConnlogError
from shipper.query import KEYS
from shipper.query.filter import STATES
from shipper.query.kind import kinds

NAMES_MAX = 50
_STATUSES = ("ongoing", "completed")
_COLUMNS = {
    "workspace": "workspace_name",
    "agent": "agent_name",
    "app": "app",
    "slug": "slug",
    "ip": "ip",
    "username": "name_user",
    "user_email": "name_email",
    "workspace_owner": "name_owner",
    "organization": "name_organization",
    "type": "type",
}
_DIRECTORY = {
    "name_user": ("user", "username"),
    "name_email": ("user", "email"),
    "name_owner": ("user", "username"),
    "name_organization": ("organization", "name"),
}
"""Columns of names with the kind and attribute of the directory."""


def suggest(word: str, index: Path | None) -> list[str]:
    """Whole words that begin with ``word``; known names are those of ``index``, if there is one."""
    minus = "-" if word.startswith("-") else ""
    key, colon, value = word.removeprefix("-").partition(":")
    if not colon:
        return [f"{minus}{one}:" for one in sorted(KEYS) if one.startswith(key.lower())]
    *before, last = value.split(",")
    head = f"{minus}{key}:" + "".join(f"{one}," for one in before)
    return [head + one for one in _values(key.lower(), last.removeprefix('"'), index)]


def _values(key: str, begun: str, index: Path | None) -> Iterable[str]:
    fixed: Sequence[str] = {
        "type": (*kinds().types, *kinds().families),
        "method": kinds().methods,
        "status": _STATUSES,
        "state": STATES,
    }.get(key, ())
    found = [one for one in fixed if one.startswith(begun.lower())]
    if index is not None and key in _COLUMNS:
        found += _names(_COLUMNS[key], begun, index)
    return list(dict.fromkeys(found))


def _names(column: str, begun: str, index: Path) -> list[str]:
    from shipper.index import IndexReader
    from shipper.index.failure import translated

    try:
        reader = IndexReader(index)
    except ConnlogError:
        return []  # a shell has no place for an error
    try:
        names = reader.names(column, begun.lower(), NAMES_MAX)
        reader.view()
        with translated(index):
            names += reader.directory.beginning(*_DIRECTORY.get(column, ("", "")), begun.lower(), NAMES_MAX)
    except ConnlogError:
        return []
    finally:
        reader.close()
    names = sorted(dict.fromkeys(names))[:NAMES_MAX]
    return [_quoted(name) for name in names if name.isprintable()]


def _quoted(name: str) -> str:
    return f'"{name}"' if any(c in name for c in ' :,\t"') else name
