"""The names under which coderd has written each key, read once from ``grammars/aliases.toml``."""

from __future__ import annotations

import tomllib

from shipper.resource import read_data

_table = tomllib.loads(read_data("grammars/aliases.toml"))

KEYS: dict[str, tuple[str, ...]] = {key: tuple(names) for key, names in _table["keys"].items()}
"""A record's key to its names on the line, the most wanted first."""

OWN_KEYS: frozenset[str] = frozenset(_table["own"]["keys"])
"""A line without any of these is no event."""

STATUSES: dict[str, str] = _table["status"]
"""A status word of the line, lower case, to a record's status."""

LEVELS: dict[str, str] = _table["level"]
"""A sink's level word to the whole word."""
