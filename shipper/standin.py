"""The stand-in: takes the place of a module that a library imports at its start and most processes never use.

``load_lean`` loads libraries with stand-ins up. One loads its module when it is first asked for something, so that whoever
got it never notices; afterwards who imports the module gets the module itself.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Any, NotRequired, Required, get_type_hints

_SPARED: dict[str, dict[str, object]] = {
    "calendar": {},  # by http.client, through email
    "ctypes.util": {},  # by watchdog
    "email.header": {},  # by http.client
    "inspect": {},  # by orjson, through dataclasses
    "ipaddress": {},  # by pathlib, through urllib.parse
    "msgspec.inspect": {},
    # All that uuid (msgspec's) and zstandard ask of it. Both are made for no other Python.
    "platform": {"python_implementation": lambda: "CPython", "system": lambda: os.uname().sysname},
    "selectors": {},  # by socket
    "ssl": {},  # by http.client
    "textwrap": {},  # by logging, through traceback, and by msgspec
    "tokenize": {},  # by logging, through traceback
    # Where it is, msgspec takes these from there; since Python 3.11 they are typing's own.
    "typing_extensions": {"NotRequired": NotRequired, "Required": Required, "get_type_hints": get_type_hints},
}
"""Modules, each with what is wanted of it at once; together they take a sixth of a start."""


class StandIn(ModuleType):
    """Has what the module ``__name__`` has, which is loaded for the first of it; what is ``given`` it has itself."""

    def __init__(self, name: str, given: dict[str, object]) -> None:
        super().__init__(name)
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        # What the import itself asks of a module is answered without it.
        if name.startswith("__"):
            raise AttributeError(name)
        _leave(self)
        return getattr(import_module(self.__name__), name)


def load_lean(*libraries: str) -> None:
    """Import the modules of these names, with stand-ins for what is not there yet of all that they have no use for."""
    stands = [StandIn(name, given) for name, given in _SPARED.items() if name not in sys.modules]
    for one in stands:
        sys.modules[one.__name__] = one
    try:
        for library in libraries:
            import_module(library)
    finally:
        for one in stands:
            _leave(one)


def _leave(one: StandIn) -> None:
    if sys.modules.get(one.__name__) is one:
        sys.modules.pop(one.__name__, None)


__all__ = ["load_lean"]
