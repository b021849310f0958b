"""The starts: when each id of a workspace's agent first connected, within the writer's transaction.

A workspace's agent gets another id with each start of the workspace.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import compress

from shipper.index import sql
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

CACHED_MAX_COUNT = 131_072
"""Starts that are remembered; then all are forgotten."""


class Starts:
    """Keeps, within the writer's transaction, when each agent id of a workspace's agent first connected. ``forget`` must
    follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection, words: Words) -> None:
        self._database = database
        self._words = words
        self._first: dict[tuple[int | None, ...], int] = {}

    def forget(self) -> None:
        """Drop what is remembered of the database's starts."""
        self._first.clear()

    def take(
        self,
        times: Sequence[int],
        ended: Sequence[int],
        kinds: Sequence[int],
        places: Sequence[int],
        agents: Sequence[int | None],
    ) -> None:
        """Take columns of new events; an end is no sign of a new start, it may come late."""
        workspaces, names, known = self._words.workspaces, self._words.agent_names, self._first
        came: dict[tuple[int | None, ...], int] = {}
        rows = zip(agents, times, ended, kinds, places, strict=True)
        for agent, time_ns, end, kind, place in compress(rows, agents):  # no id is 0
            if end or time_ns == NS_MIN:
                continue
            key = (workspaces[place], names[kind] or 0, agent)
            first = known.get(key)
            if (first is None or time_ns < first) and key[0] is not None:
                came[key] = known[key] = time_ns
        self._database.executemany(sql.ADD_START, [(*key, time_ns) for key, time_ns in came.items()])
        if len(known) > CACHED_MAX_COUNT:
            known.clear()
