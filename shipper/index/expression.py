"""The expression: pieces of SQL on ``events`` or ``connections``, their parameters, and what an index could find.

Values are always parameters, in the order of their marks; only names of our own columns are put into text.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from shipper.index.schema import COLUMNS, KEY_BYTES, KIND_COLUMNS, PLACE_COLUMNS
from shipper.index.segment import segments
from shipper.index.shortcut import Held, Keyed, Numbered, Probe, listed, of_places
from shipper.index.sql import CONNECTIONS_BY_REQUEST, WORDS_EQUAL

EVENTS, CONNECTIONS = "events", "connections"

_FOLD = "coalesce(fold, text)"
_NOTHING = "0"


class Expression:
    """Makes the pieces for one target of one database. What a piece asks of the indexes goes to ``_probes``, which
    is None once one can't be found by an index."""

    def __init__(self, database: sqlite3.Connection, target: str) -> None:
        self._database = database
        self._target = target
        self._parameters: list[object] = []
        self._probes: list[Probe] | None = []

    @property
    def _time(self) -> str:
        return "time_ns" if self._target == EVENTS else "connect_ns"

    def _put(self, value: object) -> str:
        self._parameters.append(value)
        return "?"

    def _any(self, parts: list[str]) -> str:
        return " OR ".join(parts) or _NOTHING

    def _list(self, values: Sequence[int]) -> str:
        # Numbers alone: a text in a list in JSON would end at its NUL.
        return f"(SELECT value FROM json_each({self._put(listed(values))}))"  # noqa: S608  # own names

    def _equals(self, column: str, values: tuple[str, ...]) -> str:
        found = (self._database.execute(WORDS_EQUAL, (text, text)) for text in dict.fromkeys(values))
        return self._holds(column, [row[0] for rows in found for row in rows])

    def _holds(self, column: str, ids: list[int]) -> str:
        """That a column holds one of these words."""
        if column in PLACE_COLUMNS:
            ids, column = of_places(self._database, column, ids), "place"
        if self._probes is not None:
            self._probes.append(Held(column, ids))
        return _among(column, self._list(ids))

    def _walked(self, text: str) -> str:
        """A condition that no index helps with."""
        self._probes = None
        return text

    def _apps(self, column: str, names: tuple[str, ...]) -> str:
        """That a column of kinds holds one of the names of apps, as Coder compares them: ``-`` is ``_``."""
        # Only the words that kinds use: the comparison can't use the words' index.
        words = f"SELECT id FROM words WHERE id IN (SELECT {column} FROM kinds)"  # noqa: S608  # own names
        asked = ", ".join(map(self._put, names))
        return self._walked(_among(column, f"({words} AND replace({_FOLD}, '-', '_') IN ({asked}))"))

    def _words(self, found: list[tuple[int, int]]) -> list[str]:
        """For each column that uses one of the words (id, uses): that it holds one."""
        parts = []
        for bit, column in enumerate(COLUMNS):
            ids = [word for word, uses in found if uses >> bit & 1]
            if ids:
                parts.append(self._holds(column, ids))
        return parts

    def _of_connection(self, text: str) -> str:
        """A condition on connections, asked of the target."""
        if self._target == CONNECTIONS:
            return text
        return f"connection IN (SELECT id FROM connections WHERE {text})"  # noqa: S608  # own names

    def _of_event(self, text: str) -> str:
        if self._target == EVENTS:
            return text
        return f"id IN (SELECT connection FROM events WHERE {text})"  # noqa: S608  # own names

    def _of_request(self, number: int | None) -> str:
        if self._target == EVENTS:
            return f"request = {self._put(number)}"
        rows = self._database.execute(CONNECTIONS_BY_REQUEST, (number, -1))
        found = [row[0] for row in rows]
        if self._probes is not None:
            self._probes.append(Numbered(found))
        return f"id IN {self._list(found)}"

    def _between(self, table: str, column: str, low: bytes, high: bytes) -> str:
        """That an id lies between two, by the index that is cut into segments."""
        if self._probes is not None:
            self._probes.append(Keyed(table, column, low, high))
        among = self._put(segments(self._database, table))
        ends = f"{self._put(low[:KEY_BYTES])} AND {self._put(high[:KEY_BYTES])}"
        return (
            f"id IN (SELECT id FROM {table} WHERE id >> 16 IN (SELECT value FROM json_each({among})) "  # noqa: S608  # own names
            f"AND substr({column}, 1, 4) BETWEEN {ends} AND {column} BETWEEN {self._put(low)} AND {self._put(high)})"
        )


def _among(column: str, words: str) -> str:
    """That a column of words, or ``place``, holds one of a list in SQL."""
    if column in KIND_COLUMNS:
        return f"kind IN (SELECT id FROM kinds WHERE {column} IN {words})"  # noqa: S608  # own names
    return f"{column} IN {words}"
