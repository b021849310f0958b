"""Kinds of connections: the known types, methods and app families, from ``grammars/types.toml``."""

from __future__ import annotations

from functools import cache

from msgspec import Struct, convert

from shipper.resource import read_data

WEB = frozenset({"workspace_app", "port_forwarding", "tunnel"})
"""``web_methods`` of the table, which a test holds them equal to: types and methods that are points in time, never
followed by a disconnect. Every answer needs them, and few need the table."""


class Kinds(Struct, frozen=True):
    """The table of kinds; ``families`` maps a family to its apps, ``display`` an id to its name for people."""

    types: tuple[str, ...]
    methods: tuple[str, ...]
    web_methods: tuple[str, ...]
    families: dict[str, tuple[str, ...]]
    display: dict[str, str]

    def family(self, name: str) -> tuple[str, ...]:
        """The types that ``type:name`` stands for: itself, and its apps where it names a family."""
        return tuple(dict.fromkeys((name, *self.families.get(name, ()))))

    def foreign_apps(self) -> tuple[str, ...]:
        """The apps of the families other than ssh: what ``type:ssh`` leaves out of the method ssh."""
        return tuple(app for name in ("vscode", "jetbrains", "reconnecting_pty") for app in self.families.get(name, ()))


@cache
def kinds() -> Kinds:
    """The table as shipped; raises StateError where the file is missing."""
    import tomllib

    return convert(tomllib.loads(read_data("grammars/types.toml")), Kinds)
