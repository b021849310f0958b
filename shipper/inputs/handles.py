"""The handles: how many files are held open at once; of more, those not read for the longest time are closed for now.

A handle keeps a file readable after its name is gone, so as many as the process may have are kept. One that
is given back is opened again by its path when it is needed, and refused if another file has that path by then.
"""

from __future__ import annotations

import resource
from collections import OrderedDict
from typing import Protocol

OPEN_MAX_COUNT = 32_768
SHARE = 2
"""One handle in so many is for files that are followed; the rest is for everything else."""


class Parkable(Protocol):
    """What can give its handle back for a while; ``pinned`` if it can't be opened again by a path."""

    pinned: bool

    def park(self) -> None: ...


class Handles:
    """The open contents of a process, the one used last at the end. For one thread."""

    def __init__(self) -> None:
        self._open: OrderedDict[int, Parkable] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, content: Parkable) -> None:
        """One more is open; where that is too many the one longest unused is parked."""
        self._open[id(content)] = content
        limit = self._limit()
        if len(self._open) <= limit:
            return
        for other in [other for other in self._open.values() if not other.pinned and other is not content]:
            other.park()
            if len(self._open) <= limit:
                return

    def used(self, content: Parkable) -> None:
        """It was read from."""
        self._open.move_to_end(id(content))

    def closed(self, content: Parkable) -> None:
        """Its handle was given back."""
        self._open.pop(id(content), None)

    def _limit(self) -> int:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return OPEN_MAX_COUNT if soft == resource.RLIM_INFINITY else min(max(8, soft // SHARE), OPEN_MAX_COUNT)
