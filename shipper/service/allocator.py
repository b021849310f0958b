"""The allocator: keeps the C library from giving memory back and taking it anew, page by page, for each piece that is read.

Buffers of a daemon are bounded and of one size, so what is freed is wanted again a moment later; and each further arena of
glibc would keep its own. Where the environment sets the allocator up (``MALLOC_…``), or there is another C library, all
stays as it is. Python's own search for cycles is held off while the daemon starts, and after that rare.
"""

from __future__ import annotations

import ctypes
import gc
import os

TRIM_BYTES = 8 << 20
"""Free memory at the end of the heap that is kept."""
MMAP_BYTES = 4 << 20
"""From this size on an allocation is a mapping of its own, which goes back at once."""
ARENAS_MAX_COUNT = 1
CYCLES_AFTER_COUNTS = (50_000, 50, 100)
"""When it is looked for cycles (see ``gc.set_threshold``): records hold none."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""


def settle_allocator() -> None:
    """Set the bounds, before any thread is started."""
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    library = ctypes.CDLL(None)
    # musl and others have no such function, or one that does nothing.
    mallopt = getattr(library, "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, ARENAS_MAX_COUNT)
        mallopt(_TRIM_THRESHOLD, TRIM_BYTES)
        mallopt(_MMAP_THRESHOLD, MMAP_BYTES)


def settle_cycles() -> None:
    """Look for cycles from now on, seldom, and never in what the start has made, which is there for good."""
    gc.freeze()
    gc.set_threshold(*CYCLES_AFTER_COUNTS)
    gc.enable()
