"""The local index as an output: its cursor lives in the index's own transaction, so every event is there once."""

from __future__ import annotations

import logging
from pathlib import Path

from shipper.config import IndexOutput
from shipper.index.writer import IndexWriter
from shipper.journal import Block

log = logging.getLogger(__name__)


class LocalIndex:
    """The searchable index in the state folder, as a target of delivery."""

    def __init__(self, path: Path, settings: IndexOutput) -> None:
        self._path = path
        self._size_max_bytes = settings.size_max_bytes
        self._writer = IndexWriter(
            path, retention_seconds=settings.retention_seconds, size_max_bytes=settings.size_max_bytes
        )
        try:
            self._writer.limit_ongoing(settings.ongoing_max_seconds)
        except BaseException:
            self._writer.close()
            raise

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
            settled=block.settled,
            stored_ns=block.stored_ns,
        )

    def tidy(self, now_ns: int) -> None:
        """Drop events that are older than the retention, and those that are too many."""
        self._writer.expire(now_ns)
        dropped = self._writer.shrink(now_ns)
        if dropped:
            log.warning(
                "%s: %d events went before their time, since the index may have %d bytes (size_max); "
                "they are in no answer any more",
                self._path,
                dropped,
                self._size_max_bytes,
            )

    def close(self) -> None:
        """Close the index."""
        self._writer.close()
