"""Failures: SQLite's errors as errors of connlog's tree, by SQLite's own code."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shipper.errors import StateBusy, StateDamaged, StateError, StateFull

_PRIMARY_CODE = 0xFF


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raise StateFull, StateBusy, StateDamaged or StateError for an error of the database at ``path``."""
    try:
        yield
    except UnicodeDecodeError as error:  # a text, or SQLite's own message that quotes one, is no UTF-8
        raise damaged(path, "a text is no UTF-8") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY_CODE
        if code == sqlite3.SQLITE_FULL:
            raise StateFull(f"{path}: no room on the disk; make room, it goes on by itself") from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StateBusy(f"{path}: another process holds the index; try again") from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(path, str(error)) from error
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            raise StateError(f"{path}: {error}; the disk may be full or failing: 'df' and 'dmesg' tell") from error
        raise StateError(f"{path}: {error}") from error


def damaged(path: Path, what: str) -> StateDamaged:
    """The error for an index whose content is not sound."""
    return StateDamaged(
        f"{path}: the index is damaged ({what}); stop connlog, and 'connlog index rebuild' makes a new one of what this one "
        "still gives, of the journal and of logs"
    )
