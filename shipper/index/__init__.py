"""The local index: one SQLite file that the daemon fills and that anyone of its group may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipper.index.answer import Answer, Missing, Rows
from shipper.index.connection import Connection
from shipper.index.reader import IndexReader

if TYPE_CHECKING:
    from shipper.index.writer import Added, IndexWriter

__all__ = ["Added", "Answer", "Connection", "IndexReader", "IndexWriter", "Missing", "Rows"]


def __getattr__(name: str) -> object:
    """The writer's names, whose modules a question need not load."""
    if name in ("Added", "IndexWriter"):
        from shipper.index import writer

        return getattr(writer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
