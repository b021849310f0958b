"""The schema of the directory, as numbered migrations of its own inside the index's database.

``directory_facts`` holds how many were applied. An index without these tables is one that knows no names yet.
"""

from __future__ import annotations

import sqlite3

from shipper.errors import StateNewer

_FIRST = (
    "CREATE TABLE directory_facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # One value of one attribute of one user, organization or workspace. It was seen from first_ns to last_ns;
    # between two values nobody looked. fold: lower case.
    (
        "CREATE TABLE directory_values (kind TEXT NOT NULL, id TEXT NOT NULL, attribute TEXT NOT NULL, "
        "first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, value TEXT NOT NULL, fold TEXT NOT NULL, "
        "source TEXT NOT NULL, PRIMARY KEY (kind, id, attribute, first_ns)) WITHOUT ROWID"
    ),
    "CREATE INDEX directory_by_value ON directory_values (kind, attribute, fold)",
    # Ids that Coder does not know, or hides, and until when it is not asked again.
    (
        "CREATE TABLE directory_missing (kind TEXT NOT NULL, id TEXT NOT NULL, until_ns INTEGER NOT NULL, "
        "PRIMARY KEY (kind, id)) WITHOUT ROWID"
    ),
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
"""Migration n (from 0) brings version n to n + 1: never edited once released, only added to."""

HAS_TABLES = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'directory_values'"
_VERSION = "SELECT value FROM directory_facts WHERE name = 'version'"
_SET_VERSION = "INSERT OR REPLACE INTO directory_facts (name, value) VALUES ('version', ?)"
_TABLES = ("directory_facts", "directory_values", "directory_missing")


def migrate(database: sqlite3.Connection) -> None:
    """Bring the directory's tables to the newest version, within a transaction of its own. Raises StateNewer."""
    if _version(database) == len(MIGRATIONS):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_known_version(database), len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                database.execute(statement)
        database.execute(_SET_VERSION, (str(len(MIGRATIONS)),))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _version(database: sqlite3.Connection) -> int:
    if database.execute(HAS_TABLES).fetchone() is None:
        return 0
    row = database.execute(_VERSION).fetchone()
    return 0 if row is None else int(row[0])


def _known_version(database: sqlite3.Connection) -> int:
    version = _version(database)
    if version > len(MIGRATIONS):
        raise StateNewer(
            f"the directory of names has version {version}, this connlog knows {len(MIGRATIONS)}; "
            "install the newer connlog again"
        )
    return version


def take_over(database: sqlite3.Connection, schema: str) -> None:
    """Copy the directory of an attached database, called ``schema`` there, into an empty one, in the caller's
    transaction."""
    there = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = 'directory_values'"  # noqa: S608  # own names
    if database.execute(there).fetchone() is None:
        return
    for table in _TABLES:
        database.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM {schema}.{table}")  # noqa: S608  # own names
