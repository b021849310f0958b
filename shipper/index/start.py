"""The starts: when each id of a workspace's agent first connected, within the writer's transaction.

A workspace's agent gets another id with each start of the workspace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shipper.index import sql
from shipper.index.schema import KIND_COLUMNS, PLACE_COLUMNS
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

_TIME, _ENDED, _KIND, _PLACE, _AGENT = 2, 3, 8, 9, 10
"""Places in a row of ``ADD_EVENT``."""
_NAME = KIND_COLUMNS.index("agent_name")
_WORKSPACE = PLACE_COLUMNS.index("workspace")


class Starts:
    """Keeps, within the writer's transaction, when each agent id of a workspace's agent first connected."""

    def __init__(self, database: sqlite3.Connection, words: Words) -> None:
        self._database = database
        self._words = words

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows of ``ADD_EVENT``; an end is no sign of a new start, it may come late."""
        self._database.executemany(sql.ADD_START, self._found(rows))

    def _found(self, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[object, ...]]:
        first: dict[tuple[object, ...], int] = {}
        for row in rows:
            agent, time_ns = row[_AGENT], row[_TIME]
            if agent is not None and not row[_ENDED] and time_ns != NS_MIN:
                workspace = self._words.expand("places", row[_PLACE])[_WORKSPACE]
                if workspace is not None:
                    key = (workspace, self._words.expand("kinds", row[_KIND])[_NAME] or 0, agent)
                    first[key] = min(first.get(key, time_ns), time_ns)
        return ((*key, time_ns) for key, time_ns in first.items())
