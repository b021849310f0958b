"""The truncation: what a file that is followed shows of having lost bytes that were read or seen."""

from __future__ import annotations


class Truncated(Exception):
    """The bytes that were read are no longer there, or those that were seen: the first ``kept`` bytes may be as they were."""

    def __init__(self, kept: int = 0) -> None:
        super().__init__(kept)
        self.kept = kept


class Cut(Truncated):
    """What was read is there, and the file goes on; not all is there that was seen behind that."""
