"""The shortcut: the few connections that a term can mean, found by an index instead of walking all there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct
from msgspec.json import encode

from shipper.index.schema import KEY_BYTES, PLACE_COLUMNS, WORD_SEGMENT_BITS
from shipper.index.segment import segments

ROWS_MAX = 10_000
"""Connections of one shortcut; what is more frequent is found soon by walking from the newest."""
PROBES_MAX = 40_000
"""Looks into the index of one shortcut: one for each value and segment."""

INDEXED = frozenset({"place", "user", "ip"})


class Held(Struct, frozen=True):
    """Rows whose ``column`` (place, or a column of words) is one of ``ids``."""

    column: str
    ids: Sequence[int]


class Keyed(Struct, frozen=True):
    """Rows whose id in ``column`` of ``table`` lies between ``low`` and ``high``."""

    table: str
    column: str
    low: bytes | str
    high: bytes | str


class Numbered(Struct, frozen=True):
    """Connections that are known by their numbers."""

    numbers: Sequence[int]


Probe = Held | Keyed | Numbered


def listed(values: Sequence[int]) -> str:
    """Values as a JSON array, for ``json_each``."""
    return encode(values).decode()


def find(database: sqlite3.Connection, probes: Sequence[Probe]) -> list[int] | None:
    """The numbers of all connections that meet one of ``probes``; None where an index can't tell, or they are many."""
    found: dict[int, None] = {}
    for probe in probes:
        rows: Sequence[int] | None
        if isinstance(probe, Numbered):
            rows = probe.numbers
        else:
            rows = _held(database, probe) if isinstance(probe, Held) else _keyed(database, probe)
        if rows is None:
            return None
        found.update(dict.fromkeys(rows))
        if len(found) > ROWS_MAX:
            return None
    return list(found)


def of_places(database: sqlite3.Connection, column: str, words: Sequence[int]) -> list[int]:
    """The places whose ``column`` is one of ``words``."""
    assert column in PLACE_COLUMNS
    statement = f"SELECT id FROM places WHERE {column} IN (SELECT value FROM json_each(?))"  # noqa: S608  # own names
    return [row[0] for row in database.execute(statement, (listed(words),))]


def _held(database: sqlite3.Connection, probe: Held) -> list[int] | None:
    if not probe.ids:
        return []
    if probe.column not in INDEXED:
        return None
    among = segments(database, "connections", WORD_SEGMENT_BITS)
    if (among.count(",") + 1) * len(probe.ids) > PROBES_MAX:
        return None
    statement = (
        f"SELECT id FROM connections WHERE id >> {WORD_SEGMENT_BITS} IN (SELECT value FROM json_each(?)) "  # noqa: S608  # own names
        f"AND {probe.column} IN (SELECT value FROM json_each(?)) LIMIT ?"
    )
    return [row[0] for row in database.execute(statement, (among, listed(probe.ids), ROWS_MAX + 1))]


def _keyed(database: sqlite3.Connection, probe: Keyed) -> list[int]:
    number = "id" if probe.table == "connections" else "connection"
    statement = (
        f"SELECT {number} FROM {probe.table} WHERE id >> 16 IN (SELECT value FROM json_each(?)) "  # noqa: S608  # own names
        f"AND substr({probe.column}, 1, 4) BETWEEN ? AND ? AND {probe.column} BETWEEN ? AND ? LIMIT ?"
    )
    ends = (probe.low[:KEY_BYTES], probe.high[:KEY_BYTES], probe.low, probe.high, ROWS_MAX + 1)
    return [row[0] for row in database.execute(statement, (segments(database, probe.table), *ends))]
