"""The journal's database file: opened sound and at this version's schema, or refused with the reason.

SQLite's own errors leave here as errors of connlog, by what the caller can do about them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shipper.errors import StateBusy, StateDamaged, StateError, StateFull, StateNewer
from shipper.journal import sql
from shipper.vintage import vintage_of

BUSY_TIMEOUT_SECONDS = 5.0
FREE_MIN_BYTES = 1 << 20
"""An I/O error with less than this free on the disk is taken for a full disk."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FORMAT_VERSIONS_AT, _FORMAT_VERSIONS = 18, (1, 2)
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translate(error: sqlite3.Error, path: Path) -> StateError:
    """The error of connlog that says what ``error`` means for the file at ``path``."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _free_bytes(path) < FREE_MIN_BYTES):
        return StateFull(f"{path}: no room on the disk; make room, and connlog goes on by itself")
    if code in _DAMAGED:
        return StateDamaged(f"{path}: the journal is damaged ({error})")
    if code in _BUSY:
        return StateBusy(f"{path}: another process holds the journal ({error}); try again")
    return StateError(f"{path}: the journal can't be used: {error}; check the folder's owner, mode and disk")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns the SQLite errors of the block into those of connlog."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite's own message held a damaged name.
        raise StateDamaged(f"{path}: the journal is damaged (a text in it is none)") from error


def connect(path: Path) -> sqlite3.Connection:
    """The database at ``path``, made with mode 0600 where it is missing, checked and migrated.

    Raises StateNewer, having written nothing, where a newer connlog made it; StateDamaged where it
    is not sound; StateBusy, StateFull and StateError.
    """
    refuse_newer(path)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        versions = os.pread(fd, 2, _FORMAT_VERSIONS_AT)
        os.close(fd)
    except OSError as error:
        raise StateError(f"{path}: the journal can't be opened: {error.strerror}; check the folder's owner") from error
    if any(version not in _FORMAT_VERSIONS for version in versions):
        # SQLite would take it for one of its future formats and only read it.
        raise StateDamaged(f"{path}: the journal is damaged (its header is)")
    with translated(path):
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path)
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                # A statement of our own that can't be: the tables are not those that were made.
                raise StateDamaged(f"{path}: the journal is damaged ({error})") from error
            raise
        except BaseException:
            db.close()
            raise
    return db


def connect_guest(path: Path) -> sqlite3.Connection:
    """The database at ``path`` as it is, for another process than the daemon: nothing is made, migrated or checked.

    Raises StateError where it is missing, closed to this user or older; StateNewer, StateDamaged, StateBusy.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError as error:
        raise StateError(
            f"{path}: there is no journal: no daemon has run on this state folder; "
            "name its configuration with -c, or start 'connlog run'"
        ) from error
    except PermissionError as error:
        raise StateError(
            f"{path}: only its owner may read the journal, since it holds log lines; "
            f"run the same command as that user: sudo -u {_owner(path)} connlog …"
        ) from error
    except OSError as error:
        raise StateError(f"{path}: the journal can't be opened: {error.strerror}") from error
    refuse_newer(path)
    with translated(path):
        uri = f"{path.absolute().as_uri()}?mode=rw"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
        try:
            _refuse_older(int(db.execute(sql.VERSION).fetchone()[0]), path)
            for pragma in sql.GUEST:
                db.execute(pragma)
        except BaseException:
            db.close()
            raise
    return db


def _owner(path: Path) -> str:
    """Who owns the journal, or the nearest folder above it that can be looked at."""
    for place in (path, *path.parents):
        try:
            return place.owner()
        except (OSError, KeyError):
            continue
    return "connlog"


def refuse_newer(path: Path) -> None:
    """Raises StateNewer, having changed nothing, where a newer connlog made the journal at ``path``."""
    version = vintage_of(path)
    if version > sql.SCHEMA_VERSION:
        raise StateNewer(
            f"{path}: written by a newer connlog (schema {version}, this one knows {sql.SCHEMA_VERSION}); "
            "left untouched: install that version again, or choose another state.dir"
        )


def _refuse_older(version: int, path: Path) -> None:
    if version < sql.SCHEMA_VERSION:
        raise StateError(
            f"{path}: written by an older connlog (schema {version}, this one has {sql.SCHEMA_VERSION}); "
            "restart the daemon with this version, which brings it up to date"
        )


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    version = int(db.execute(sql.VERSION).fetchone()[0])
    for pragma in sql.OPEN:
        db.execute(pragma)
    if version:
        verdict = db.execute(sql.CHECK).fetchone()[0]
        if verdict != "ok":
            raise StateDamaged(f"{path}: the journal is damaged ({verdict})")
    # Each transaction waits for the disk: a new journal is made by one. A step of an old one's is never done twice.
    numbers = range(version, sql.SCHEMA_VERSION)
    for step in [[number] for number in numbers] if version else [numbers]:
        with transaction(db):
            for number in step:
                for statement in sql.MIGRATIONS[number]:
                    db.execute(statement)
            db.execute(sql.SET_VERSION[step[-1] + 1])


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction: committed as a whole at the end of the block, or rolled back as a whole."""
    db.execute(sql.BEGIN)
    try:
        yield
        db.execute(sql.COMMIT)
    except BaseException:
        # SQLite has rolled back by itself after some errors, a full disk among them.
        with suppress(sqlite3.Error):
            if db.in_transaction:
                db.execute(sql.ROLLBACK)
        raise


def shrink(db: sqlite3.Connection) -> None:
    """Give some of the room back that batches had, once none is left: while others come it would be taken again, and
    pages would have to move for it. ``Outbox.tidy`` does more, now and then."""
    if not db.execute(sql.ANY_BATCH).fetchone()[0]:
        db.execute(sql.SHRINK).fetchall()


def _free_bytes(path: Path) -> int:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return FREE_MIN_BYTES
    return disk.f_bavail * disk.f_frsize
