"""Names of client apps: Coder's own way to compare them, and the families known from ``grammars/types.toml``."""

from __future__ import annotations

import tomllib

from shipper.resource import read_data

_table = tomllib.loads(read_data("grammars/types.toml"))

FAMILIES: dict[str, frozenset[str]] = {family: frozenset(apps) for family, apps in _table["families"].items()}
"""A family to its apps, the family's own name among them."""

METHODS: frozenset[str] = frozenset(_table["methods"])
"""Every known connection method."""

APPS_OVER_SSH: frozenset[str] = (FAMILIES["vscode"] | FAMILIES["jetbrains"] | FAMILIES["ssh"]) - {"ssh"}
"""Types that are an app which connects by ssh."""


def normal_name(name: str) -> str:
    """An app's name as Coder compares it: no control characters, trimmed, 64 characters, lower case, ``-`` as ``_``."""
    text = "".join(c for c in name if c >= " " and not "\x7f" <= c <= "\x9f").strip()[:64].strip()
    return text.lower().replace("-", "_") or "unknown"
