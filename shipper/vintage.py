"""The vintage: the schema version of a database, asked without changing a byte of it.

SQLite writes a -wal file that was left behind back into its database as soon as one that may write closes it: a
database that a newer version made would not be as it was.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


def vintage_of(path: Path) -> int:
    """The number that ``PRAGMA user_version`` gives, what is in a -wal file included; 0 where there is no database, or
    nothing that can be read as one."""
    if not path.exists():
        return 0
    # Without a -wal file nobody writes; SQLite would make one, and immutable says that it needs none.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
    except sqlite3.Error:
        return 0
    try:
        return int(database.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        database.close()
