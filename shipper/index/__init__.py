"""The local index: one SQLite file that the daemon fills and that anyone of its group may ask."""

from __future__ import annotations

from shipper.index.connection import Connection
from shipper.index.reader import Answer, IndexReader, Rows
from shipper.index.writer import Added, IndexWriter

__all__ = ["Added", "Answer", "Connection", "IndexReader", "IndexWriter", "Rows"]
