"""The local index: one SQLite file that the daemon fills and that anyone of its group may ask."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.index.answer import Answer, Missing, Rows
    from shipper.index.connection import Connection
    from shipper.index.reader import IndexReader
    from shipper.index.writer import Added, IndexWriter

_MODULES = {
    "Added": "writer",
    "Answer": "answer",
    "Connection": "connection",
    "IndexReader": "reader",
    "IndexWriter": "writer",
    "Missing": "answer",
    "Rows": "answer",
}
__all__ = ["Added", "Answer", "Connection", "IndexReader", "IndexWriter", "Missing", "Rows"]


def __getattr__(name: str) -> object:
    """Names whose modules are loaded when they are asked for: a question needs no writer, a daemon without an index
    neither."""
    if name in _MODULES:
        return getattr(import_module(f"shipper.index.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
