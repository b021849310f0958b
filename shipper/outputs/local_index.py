"""The local index as an output: its cursor lives in the index's own transaction, so every event is there once."""

from __future__ import annotations

from pathlib import Path

from shipper.index.writer import IndexWriter
from shipper.journal import Block


class LocalIndex:
    """The searchable index in the state folder, as a target of delivery."""

    def __init__(self, path: Path, retention_seconds: int | None) -> None:
        self._writer = IndexWriter(path, retention_seconds=retention_seconds)

    @property
    def cursor(self) -> int:
        """The last batch that is in the index."""
        return self._writer.cursor

    def deliver(self, block: Block) -> None:
        """Add a batch with its cursor in one transaction. Raises StateError."""
        self._writer.add(
            block.seq,
            block.records,
            block.originals,
            gaps=block.gaps,
            malformed=block.malformed,
            stored_ns=block.stored_ns,
        )

    def tidy(self, now_ns: int) -> None:
        """Drop events that are older than the retention."""
        self._writer.expire(now_ns)

    def close(self) -> None:
        """Close the index."""
        self._writer.close()
