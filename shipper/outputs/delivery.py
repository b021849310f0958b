"""Delivery: hands the journal's batches to one target, in order, and moves its cursor when they are taken for good."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from shipper.journal import Block, Journal
from shipper.outputs.hec.state import Latency

TIDY_SECONDS = 60.0


class Target(Protocol):
    """Where batches go. Its cursor is that of the last batch that is safe there."""

    @property
    def cursor(self) -> int: ...

    def deliver(self, block: Block) -> None:
        """Take a batch for good, or raise and have taken nothing. One that was taken before changes nothing."""

    def tidy(self, now_ns: int) -> None:
        """Do what is due from time to time; called at most once in ``TIDY_SECONDS``."""

    def close(self) -> None:
        """Give everything back."""


class Delivery:
    """One output called ``name``. Not for use by two threads, but for ``close``, after its own has ended."""

    def __init__(self, name: str, journal: Journal, open_target: Callable[[], Target]) -> None:
        self.name = name
        self._journal = journal
        self._open_target = open_target
        self._target: Target | None = None
        self._cursor = 0
        self._tidied = float("-inf")
        self.latency = Latency()
        self.taken_count = 0
        """Events that the target took since the start."""
        # Before it can be opened: nothing may be deleted that this output has not taken.
        journal.register(name)

    def open(self) -> None:
        """Open the target, once. Raises ConnlogError."""
        if self._target is None:
            target = self._open_target()
            self._cursor = self._journal.register(self.name, target.cursor)
            self._target = target

    def step(self, now: float) -> bool:
        """Deliver the next batch, if there is one; returns whether there was. Raises ConnlogError, and then
        the same batch is the next one again. ``now`` is in monotonic seconds."""
        self.open()
        assert self._target is not None
        block = self._journal.read(self._cursor)
        if block is not None:
            begun = time.monotonic()
            self._target.deliver(block)
            self.latency.add(time.monotonic() - begun)
            self.taken_count += len(block.records)
            self._cursor = block.seq
            self._journal.advance(self.name, block.seq)
        # Also while batch follows batch: what is due must not wait for a quiet moment that may not come.
        if now - self._tidied >= TIDY_SECONDS:
            self._tidied = now
            self._target.tidy(time.time_ns())
        return block is not None

    def close(self) -> None:
        """Close the target. Raises ConnlogError where it could not be tidied up; it is closed then too."""
        target, self._target = self._target, None
        if target is not None:
            target.close()
