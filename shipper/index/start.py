"""The starts: when each id of a workspace's agent first connected, within the writer's transaction.

A workspace's agent gets another id with each start of the workspace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from shipper.index import sql
from shipper.index.schema import KIND_COLUMNS, PLACE_COLUMNS
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

_NAME = KIND_COLUMNS.index("agent_name")
_WORKSPACE = PLACE_COLUMNS.index("workspace")


class Starts:
    """Keeps, within the writer's transaction, when each agent id of a workspace's agent first connected."""

    def __init__(self, database: sqlite3.Connection, words: Words) -> None:
        self._database = database
        self._words = words

    def take(
        self,
        times: Sequence[int],
        ended: Sequence[int],
        kinds: Sequence[Any],
        places: Sequence[Any],
        agents: Sequence[Any],
    ) -> None:
        """Take columns of new events; an end is no sign of a new start, it may come late."""
        found = [
            one
            for one in zip(agents, times, ended, kinds, places, strict=True)
            if one[0] is not None and not one[2] and one[1] != NS_MIN
        ]
        workspaces = self._words.expand_all("places", (one[4] for one in found), _WORKSPACE)
        names = self._words.expand_all("kinds", (one[3] for one in found), _NAME)
        first: dict[tuple[object, ...], int] = {}
        for agent, time_ns, _, kind, place in found:
            workspace = workspaces[place]
            if workspace is not None:
                key = (workspace, names[kind] or 0, agent)
                first[key] = min(first.get(key, time_ns), time_ns)
        self._database.executemany(sql.ADD_START, [(*key, time_ns) for key, time_ns in first.items()])
