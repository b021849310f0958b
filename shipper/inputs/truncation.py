"""The truncation: what a file that is followed shows of having lost bytes that were read or seen."""

from __future__ import annotations


class Truncated(Exception):
    """The bytes that were read are no longer there."""


class Cut(Truncated):
    """What was read is there, and not all that was seen behind it: only the first ``kept`` bytes may be as they were."""

    def __init__(self, kept: int) -> None:
        super().__init__(kept)
        self.kept = kept
