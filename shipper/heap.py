"""The heap: SQLite is told to keep no count of the memory it takes, for which it locks and unlocks at each allocation, and
not to lock a connection at each value that it is given.

Of a large load each is a thirtieth of the processor's time; nobody asks for the count, and no two threads use a connection
at once. It can be told only before it is used: who is to gain loads this module before any that loads ``sqlite3``. Where that is too late, or the system passes
such arguments in another way, all stays as it is.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

_MULTITHREAD, _MEMSTATUS = 2, 9
"""SQLITE_CONFIG_MULTITHREAD and SQLITE_CONFIG_MEMSTATUS of sqlite3.h."""


def _settle() -> bool:
    """Tell SQLite; whether it has taken it."""
    if sys.platform != "linux" or "_sqlite3" in sys.modules:
        return False
    found = find_spec("_sqlite3")
    if found is None or found.origin is None or not found.has_location:
        return False
    import ctypes

    try:
        # By the module that will use it, and so the very library that this will use; loaded, but not set going by that.
        config = ctypes.CDLL(found.origin).sqlite3_config
    except (OSError, AttributeError):
        return False
    return int(config(_MEMSTATUS, 0)) == 0 and int(config(_MULTITHREAD)) == 0


UNCOUNTED = _settle()
"""Whether SQLite keeps no count, and locks no connection."""
