"""The decoder: one of msgspec's for a type, which is made when it is first used.

To make it, the annotations of all the structs in the type are read; a process that reads none of these values back has no
use for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import msgspec

_T = TypeVar("_T")


def json_decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]:
    """What ``msgspec.json.Decoder`` gives for ``kind``."""
    return cast("msgspec.json.Decoder[_T]", _Later(lambda: msgspec.json.Decoder(kind)))


def msgpack_decoder(kind: type[_T]) -> msgspec.msgpack.Decoder[_T]:
    """What ``msgspec.msgpack.Decoder`` gives for ``kind``."""
    return cast("msgspec.msgpack.Decoder[_T]", _Later(lambda: msgspec.msgpack.Decoder(kind)))


class _Later:
    """Has nothing until it is asked for something; then that is its own attribute, so that nothing of this is in the way
    afterwards."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._make(), name)
        setattr(self, name, found)
        return found


__all__ = ["json_decoder", "msgpack_decoder"]
