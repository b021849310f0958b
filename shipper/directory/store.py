"""The store: writes sightings into the tables of the directory, in the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from shipper.directory.history import Span, observe
from shipper.directory.sighting import ATTRIBUTES, USER, Sighting

SEEN_STEP_NS = 3_600_000_000_000
"""How exactly the last sighting of what stays the same is kept: a directory read each quarter of an hour would
otherwise be written whole each time."""
MISSING_MAX_COUNT = 50_000
"""Ids remembered as unknown to Coder; of more those that would be asked again first are forgotten."""

SPANS = (
    "SELECT value, first_ns, last_ns, source FROM directory_values "
    "WHERE kind = ? AND id = ? AND attribute = ? ORDER BY first_ns"
)
_ADD = (
    "INSERT OR REPLACE INTO directory_values (kind, id, attribute, first_ns, last_ns, value, fold, source) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_DROP = "DELETE FROM directory_values WHERE kind = ? AND id = ? AND attribute = ? AND first_ns = ?"
_SET_FACT = "INSERT OR REPLACE INTO directory_facts (name, value) VALUES (?, ?)"
GET_FACT = "SELECT value FROM directory_facts WHERE name = ?"
_MISS = "INSERT OR REPLACE INTO directory_missing (kind, id, until_ns) VALUES (?, ?, ?)"
_FOUND = "DELETE FROM directory_missing WHERE kind = ? AND id = ?"
_TRIM = (
    "DELETE FROM directory_missing WHERE (kind, id) IN "
    "(SELECT kind, id FROM directory_missing ORDER BY until_ns DESC LIMIT -1 OFFSET ?)"
)
_IS_MISSING = "SELECT 1 FROM directory_missing WHERE kind = ? AND id = ? AND until_ns > ?"
_IS_KNOWN = "SELECT 1 FROM directory_values WHERE kind = ? AND id = ? LIMIT 1"
_CODERS_USERS = "SELECT DISTINCT id FROM directory_values WHERE kind = ? AND source IN ('coder_api', 'connection_log')"


def learn(database: sqlite3.Connection, sightings: Iterable[Sighting]) -> int:
    """Take sightings in; gives how many of them told something new."""
    new = 0
    for one in sightings:
        changed = False
        for attribute, value in one.values.items():
            if attribute not in ATTRIBUTES[one.kind]:
                raise ValueError(f"{one.kind} has no {attribute}")
            changed |= _learn_value(database, one, attribute, value)
        if one.values:
            database.execute(_FOUND, (one.kind, one.id))
        new += changed
    if new:
        generation = int(fact(database, "generation") or 0)
        set_fact(database, "generation", str(generation + 1))
    return new


def _learn_value(database: sqlite3.Connection, one: Sighting, attribute: str, value: str) -> bool:
    key = (one.kind, one.id, attribute)
    spans = [Span(*row) for row in database.execute(SPANS, key)]
    after = observe(spans, value, one.at_ns, one.source, since_ns=one.since_ns)
    if [(s.value, s.first_ns) for s in after] == [(s.value, s.first_ns) for s in spans]:
        for old, renewed in zip(spans, after, strict=True):
            if renewed.last_ns - old.last_ns >= SEEN_STEP_NS:
                _write(database, key, renewed)
        return False
    kept = {span.first_ns for span in after}
    for old in spans:
        if old.first_ns not in kept:
            database.execute(_DROP, (*key, old.first_ns))
    for span in after:
        if span not in spans:
            _write(database, key, span)
    return True


def _write(database: sqlite3.Connection, key: tuple[str, str, str], span: Span) -> None:
    row = (*key, span.first_ns, span.last_ns, span.value, span.value.lower(), span.source)
    database.execute(_ADD, row)


def miss(database: sqlite3.Connection, kind: str, id_: str, until_ns: int) -> None:
    """Note that Coder does not know an id, or hides it; it is not asked for again before ``until_ns``."""
    database.execute(_MISS, (kind, id_, until_ns))
    database.execute(_TRIM, (MISSING_MAX_COUNT,))


def is_open(database: sqlite3.Connection, kind: str, id_: str, now_ns: int) -> bool:
    """Whether nothing is known of an id, and Coder should be asked for it."""
    if database.execute(_IS_KNOWN, (kind, id_)).fetchone() is not None:
        return False
    return database.execute(_IS_MISSING, (kind, id_, now_ns)).fetchone() is None


def known_users(database: sqlite3.Connection) -> set[str]:
    """The ids of all users that Coder ever told of."""
    return {row[0] for row in database.execute(_CODERS_USERS, (USER,))}


def fact(database: sqlite3.Connection, name: str) -> str | None:
    """A fact of the directory's, such as ``me``, ``generation`` or how far a source was read."""
    row = database.execute(GET_FACT, (name,)).fetchone()
    return None if row is None else str(row[0])


def set_fact(database: sqlite3.Connection, name: str, value: str) -> None:
    """Keep a fact."""
    database.execute(_SET_FACT, (name, value))
