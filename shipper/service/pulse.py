"""The pulse: a thread's sign of life, from which others tell whether it still makes progress."""

from __future__ import annotations

import time

STALL_SECONDS = 120.0
"""A single step of a thread (a read, a transaction, a delivery) that takes longer is taken for a hang."""


class Pulse:
    """The sign of life of the thread ``name``, which beats it before each step and before each wait."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._due = float("inf")

    def beat(self, rest_seconds: float = 0.0) -> None:
        """The thread is alive, and will be heard again after a wait of at most ``rest_seconds`` and one step."""
        self._due = time.monotonic() + rest_seconds + STALL_SECONDS

    def end(self) -> None:
        """The thread has ended as it should."""
        self._due = float("inf")

    def stalled(self, now: float) -> bool:
        """Whether it should have been heard of before ``now``, in monotonic seconds."""
        return now > self._due
