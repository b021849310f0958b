"""Expiry: lets go of what was stored long ago, or first where there is too much, in steps that never hold the database
for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import ceil

from shipper.index import sql
from shipper.index.lexicon import DAY_NS
from shipper.index.pairing import Pairing

EXPIRE_BLOCKS_MAX = 64
"""Blocks deleted in one transaction."""
GIVEN_BACK_PAGES_MAX = 4096
"""Pages given back to the disk in one transaction."""

Transaction = Callable[[], AbstractContextManager[None]]


def expire(
    database: sqlite3.Connection, pairing: Pairing, transaction: Transaction, before_ns: int, now_ns: int
) -> int:
    """Delete what was stored before a time; gives the number of events deleted."""
    deleted = 0
    while True:
        with transaction():
            blocks = database.execute(sql.OLD_BLOCKS, (before_ns, EXPIRE_BLOCKS_MAX)).fetchall()
            for first, last in blocks:
                deleted += _drop_block(database, pairing, first, last, now_ns)
            if len(blocks) < EXPIRE_BLOCKS_MAX:
                if deleted:
                    _drop_unused(database, before_ns)
                else:
                    database.execute(sql.DROP_GAPS, (before_ns,))
                    database.execute(sql.DROP_NOTICES, (before_ns,))
        if len(blocks) < EXPIRE_BLOCKS_MAX:
            return deleted


def shrink(
    database: sqlite3.Connection, pairing: Pairing, transaction: Transaction, most_bytes: int, now_ns: int
) -> int:
    """Delete what was stored first until no more than ``most_bytes`` are in use; gives the number of events deleted.

    Texts go a day after they were last used, so that an index that grew within a day may lose more events than its size
    alone asks for."""
    deleted = 0
    while True:
        with transaction():
            excess = 1 - most_bytes / used_bytes(database)
            # No more than the excess asks for: of nothing else is known what it would give.
            share = ceil(database.execute(sql.COUNT_BLOCKS).fetchone()[0] * excess)
            if share > 0:
                blocks = database.execute(sql.FIRST_BLOCKS, (min(share, EXPIRE_BLOCKS_MAX),)).fetchall()
                for first, last in blocks:
                    deleted += _drop_block(database, pairing, first, last, now_ns)
                # Each time, so that no more blocks go than texts that are left alone would make room for.
                oldest = database.execute(sql.OLDEST_BLOCK).fetchone()[0]
                _drop_unused(database, now_ns if oldest is None else oldest)
        if share <= 0:
            return deleted


def used_bytes(database: sqlite3.Connection) -> int:
    """What of the database's file is in use: the rest can be given back."""
    pages, free, size = (
        int(database.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _drop_unused(database: sqlite3.Connection, before_ns: int) -> None:
    """Delete what belongs to no event any more, of which the oldest was stored at ``before_ns``."""
    database.execute(sql.DROP_GAPS, (before_ns,))
    database.execute(sql.DROP_NOTICES, (before_ns,))
    for statement in (sql.DROP_KINDS, sql.DROP_PLACES, sql.DROP_WORDS):
        database.execute(statement, (before_ns - DAY_NS,))
    database.execute(sql.DROP_STARTS)


def give_back(database: sqlite3.Connection, transaction: Transaction) -> None:
    """Give the pages that are free now back to the disk, some at a time."""
    while True:
        with transaction():
            free = database.execute("PRAGMA freelist_count").fetchone()[0]
            database.execute(f"PRAGMA incremental_vacuum({GIVEN_BACK_PAGES_MAX})").fetchall()
            left = database.execute("PRAGMA freelist_count").fetchone()[0]
        if left in (0, free):
            return


def _drop_block(database: sqlite3.Connection, pairing: Pairing, first: int, last: int, now_ns: int) -> int:
    """Delete a block and its events; connections keep what their other events say."""
    touched = [row[0] for row in database.execute(sql.CONNECTIONS_OF_BLOCK, (first, last))]
    for number in touched:
        pairing.without(number, first, last, now_ns)
    deleted = database.execute(sql.DROP_EVENTS_OF_BLOCK, (first, last)).rowcount
    database.execute(sql.DROP_BLOCK, (first,))
    return deleted
