"""The mark: the newest number of a batch, kept beside the journal, so that a journal that went back is known for it.

A lost -wal file or a copy from a backup leaves a journal that is sound and lacks its newest batches. The mark
is written behind the commit and is not flushed: it may lag after a power failure, it never runs ahead.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)
WIDTH_BYTES = 20


class Mark:
    """The file ``journal.mark`` beside the journal at ``path``. Its own failures are told and change nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name("journal.mark")
        self._fd: int | None = None
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("%s: can't be opened: %s; a lost -wal file would not be noticed", self._path, error.strerror)

    def read(self) -> int:
        """The number, or 0 where there is none."""
        if self._fd is None:
            return 0
        try:
            text = os.pread(self._fd, WIDTH_BYTES, 0).decode("ascii", "replace")
        except OSError:
            return 0
        return int(text) if len(text) == WIDTH_BYTES and text.isascii() and text.isdigit() else 0

    def write(self, seq: int) -> None:
        """Keep ``seq``."""
        if self._fd is None:
            return
        try:
            os.pwrite(self._fd, b"%020d" % seq, 0)
        except OSError as error:
            log.warning("%s: can't be written: %s", self._path, error.strerror)

    def close(self) -> None:
        """Give the file back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
