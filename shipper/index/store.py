"""The store: the index's database file, opened for the one writer or for a reader."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from shipper.directory.schema import migrate as migrate_directory
from shipper.errors import StateError, StateFull, StateNewer
from shipper.index.block import PRIMER
from shipper.index.failure import translated
from shipper.index.schema import MIGRATIONS
from shipper.index.sql import ADD_DICTIONARY
from shipper.vintage import vintage_of

FILE_MODE = 0o640
BUSY_TIMEOUT_SECONDS = 5.0
WRITER_CACHE_KIB = 32_768
READER_CACHE_KIB = 65_536
_NO_ROOM = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
    sqlite3.SQLITE_IOERR_SHMOPEN,
)
"""What SQLite says where -shm can't be made or grow."""

# Of None, bytes and bool the sqlite3 module asks each value anew whether it adapts itself, which takes longer than to
# add the row; who is registered is not asked. None of these changes what is bound.
sqlite3.register_adapter(type(None), dict[None, None]().get)
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(bool, int)


def open_writer(path: Path) -> sqlite3.Connection:
    """The database for writing, made or brought to the newest version; transactions are begun by the caller.

    Raises StateNewer, leaving the file as it is, where a newer connlog wrote it, and other StateErrors.
    """
    refuse_newer(path)
    try:
        # Made by us first: SQLite would take the umask, and gives -wal and -shm the mode of this file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))
    except OSError as error:
        why = f"only its owner may write the index: sudo -u {_owner(path)} connlog …"
        if not isinstance(error, PermissionError):
            why = "the index can't be written there; check the path and the disk"
        raise StateError(f"{path}: {error.strerror}; {why}") from error
    with translated(path):
        # One thread uses it at a time, but not always the one that opened it.
        database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            version = _version(database)
            if version < len(MIGRATIONS):
                path.chmod(FILE_MODE)
            if version == 0:
                # Before the first table: pages that expiry frees can then be given back to the disk.
                database.execute("PRAGMA auto_vacuum = INCREMENTAL").fetchall()
            # FULL: once the cursor has moved, the journal may forget what it gave.
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                f"cache_size = -{WRITER_CACHE_KIB}",
                "journal_size_limit = 67108864",
                # Pages that change again and again are written back once in 32 MiB.
                "wal_autocheckpoint = 8192",
            ):
                database.execute(f"PRAGMA {pragma}").fetchall()
            _migrate(database)
            migrate_directory(database)
        except BaseException:
            database.close()
            raise
    return database


def open_reader(path: Path) -> sqlite3.Connection:
    """The database for reading only, while the writer runs or after it.

    Raises StateError where there is no index yet, or it can't be read.
    """
    require_index(path)
    refuse_newer(path)
    address = path.absolute().as_uri() + "?mode=ro"
    wal = path.with_name(path.name + "-wal")
    # A reader of a WAL database has to make -shm, which it can't in a folder it may not write;
    # without a -wal nobody writes, and the file can be read as it lies.
    if not os.access(path.parent, os.W_OK) and not wal.exists():
        return _open_reader(path, address + "&immutable=1")
    try:
        return _open_reader(path, address)
    except StateFull:
        # Nor can it on a disk that is full. A -wal without anything in it is that of a writer that could not write either.
        if wal.exists() and wal.stat().st_size:
            raise
        return _open_reader(path, address + "&immutable=1")


def require_index(path: Path) -> None:
    """Raises StateError where no file is at ``path`` that this user may read."""
    try:
        # Not blocking: a pipe that lies there would wait for who writes it.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        regular = stat.S_ISREG(os.fstat(file).st_mode)
        os.close(file)
    except FileNotFoundError as error:
        raise StateError(
            f"{path}: there is no index yet; start 'connlog run' to fill it, or name another with --index"
        ) from error
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}; {_who_may(path)}") from error
    if not regular:
        raise StateError(f"{path}: is no file; name the index itself, which is index.db in the state folder")


def _open_reader(path: Path, address: str) -> sqlite3.Connection:
    with translated(path):
        database = sqlite3.connect(
            address, uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            database.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
            _check_ready(database, path)
        except sqlite3.OperationalError as error:
            database.close()
            if getattr(error, "sqlite_errorcode", 0) in _NO_ROOM:
                raise StateFull(
                    f"{path}: no room on the disk to read the index beside its writer; make room"
                ) from error
            raise
        except BaseException:
            database.close()
            raise
    return database


def _owner(path: Path) -> str:
    """Who owns what lies at ``path``, or the nearest folder above it that can be looked at."""
    import pwd

    for place in (path, *path.parents):
        with suppress(OSError, KeyError):
            return pwd.getpwuid(place.stat().st_uid).pw_name
    return "root"


def _who_may(path: Path) -> str:
    """Who may read what lies at ``path``, and how one becomes so."""
    import grp
    import pwd

    # Of a closed folder only the folder itself can be looked at; it has the group of what is in it.
    for place in (path, *path.parents):
        try:
            status = place.stat()
            if status.st_gid and status.st_mode & 0o040:
                group = grp.getgrgid(status.st_gid).gr_name
                return f"members of the group {group} may: sudo usermod --append --groups {group} NAME, and log in anew"
            owner = pwd.getpwuid(status.st_uid).pw_name
        except PermissionError:
            continue
        except (OSError, KeyError):
            break
        return f"only its owner may: sudo -u {owner} connlog …"
    return "ask as a member of the group that owns the index"


def refuse_newer(path: Path) -> None:
    """Raises StateNewer, having changed nothing, where a newer connlog made the index at ``path``."""
    version = vintage_of(path)
    if version > len(MIGRATIONS):
        raise StateNewer(
            f"{path}: the index has version {version}, this connlog knows {len(MIGRATIONS)}; "
            "install the newer connlog again, or move the index away to build it anew"
        )


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _check_ready(database: sqlite3.Connection, path: Path) -> None:
    if _version(database) < len(MIGRATIONS):
        raise StateError(f"{path}: the index is not ready yet; start 'connlog run', which brings it up to date")


def _migrate(database: sqlite3.Connection) -> None:
    database.create_function("pack_ids", -1, pack_ids, deterministic=True)
    database.execute("BEGIN IMMEDIATE")
    try:
        version = _version(database)
        for number in range(version, len(MIGRATIONS)):
            for statement in _statements(MIGRATIONS[number]):
                database.execute(statement)
            if number == 0:
                database.execute(ADD_DICTIONARY, (1, PRIMER))
            database.execute(f"PRAGMA user_version = {number + 1}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def pack_ids(*ids: int | None) -> bytes:
    """The key of words that go together, by their ids."""
    return msgspec.msgpack.encode(ids)


def _statements(script: str) -> list[str]:
    """The statements of a migration. ``executescript`` would commit before the first."""
    statements, pending = [], ""
    for line in script.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
