"""The input: what every kind of source gives to the thread that reads it, one bounded turn at a time.

Each input has a thread of its own, so a slow or failing one stops no other. What a turn gives must be in the
journal before the thread ends or the input is built anew from the positions that are there.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from shipper.journal import Batch


class FileState(Struct, frozen=True):
    """One followed file for the status: ``lag_bytes`` are those not read yet, ``behind_since`` the canonical time since
    which there have been any, None where there are none."""

    path: str
    stream: str
    offset: int
    size: int
    lag_bytes: int
    state: str
    behind_since: str | None = None


class FeedState(Struct, frozen=True):
    """One followed source that is no file (a journal's unit, a pipe, an API) for the status.

    ``name`` is that of its counters. ``state`` is reading, waiting (nothing new), retrying (``troubles`` says why) or
    ended; ``at`` the canonical time of the last entry that was read, ``restarts_count`` how often what it reads from
    had to be opened again since the start. ``lag_bytes`` were handed over by the system and are not read yet: what the
    source holds behind them can't be known; ``behind_since`` is as that of a file.
    """

    name: str
    state: str
    at: str | None = None
    restarts_count: int = 0
    lag_bytes: int = 0
    behind_since: str | None = None


class View(Struct, frozen=True):
    """What an input shows of itself. ``troubles``: what can't be read now, by path or name, each with a message."""

    files: list[FileState] = []
    feeds: list[FeedState] = []
    troubles: dict[str, str] = {}


class Turn(Struct, frozen=True):
    """What one turn gave. ``busy``: there is more to read at once; ``hot``: something grew a moment ago;
    ``ended``: nothing will ever come any more."""

    batch: Batch
    busy: bool
    hot: bool
    ended: bool = False


class Input(Protocol):
    """One source or group of sources. Only ``wake`` may be called by another thread than that of ``turn``.

    ``poll_seconds`` is the longest rest between two turns.
    """

    @property
    def poll_seconds(self) -> float: ...

    def turn(self, now: float, *, woken: bool) -> Turn:
        """Read what there is, within bounds and without waiting; ``now`` is in monotonic seconds, ``woken`` says
        that the rest before was cut short."""

    def rest(self, seconds: float) -> bool:
        """Wait so long at most; True at once when there is something to do, or ``wake`` was called."""

    def wake(self) -> None:
        """End the rest, or the next one."""

    def view(self) -> View:
        """What the status shows, as of the last turn."""

    def finish(self) -> Batch:
        """Give what is complete and held back, and the positions; then let go of everything that is open."""
