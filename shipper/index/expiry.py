"""Expiry: lets go of what was stored long ago, in steps that never hold the database for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager

from shipper.index import sql
from shipper.index.pairing import Pairing
from shipper.index.word import DAY_NS

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
                database.execute(sql.DROP_GAPS, (before_ns,))
                database.execute(sql.DROP_NOTICES, (before_ns,))
                if deleted:
                    database.execute(sql.DROP_KINDS, (before_ns - DAY_NS,))
                    database.execute(sql.DROP_PLACES, (before_ns - DAY_NS,))
                    database.execute(sql.DROP_WORDS, (before_ns - DAY_NS,))
        if len(blocks) < EXPIRE_BLOCKS_MAX:
            return deleted


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
