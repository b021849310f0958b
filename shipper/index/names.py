"""The names' keeper: writes the directory inside the index, beside the index's own writer and other processes.

Each call is a short transaction, so that nobody waits for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from shipper.directory import store
from shipper.directory.lookup import Directory
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE, Sighting
from shipper.index.failure import translated
from shipper.index.schema import COLUMNS
from shipper.index.store import open_writer

SIGHTINGS_TOGETHER = 200
"""Sightings written in one transaction."""
WORDS_TOGETHER = 20_000
"""New words of the index looked through for ids in one go."""
_COLUMNS_OF = {USER: ("owner", "user"), ORGANIZATION: ("organization",), WORKSPACE: ("workspace",)}
_ID_WORDS = "SELECT id, text, uses FROM words WHERE id > ? AND uses & ? ORDER BY id LIMIT ?"


class NamesKeeper:
    """The directory of the index at ``path``, opened for writing; the index is made where it is missing. For one thread.

    Every method raises StateBusy, StateFull or StateError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = open_writer(path)
        self._looked_at = 0
        self.directory = Directory(self._database)

    def close(self) -> None:
        """Close it."""
        with translated(self._path):
            self._database.close()

    def learn(self, sightings: Iterable[Sighting]) -> int:
        """Take sightings in; gives how many told something new."""
        new = 0
        walk = iter(sightings)
        while some := list(islice(walk, SIGHTINGS_TOGETHER)):
            with self._transaction():
                new += store.learn(self._database, some)
        self.refresh()
        return new

    def refresh(self) -> None:
        """Take note of what others wrote."""
        with translated(self._path):
            self.directory.refresh()

    def miss(self, missing: Sequence[tuple[str, str]], until_ns: int) -> None:
        """Note kinds and ids that Coder does not know, or hides, and until when it is not asked for them again."""
        with self._transaction():
            for kind, id_ in missing:
                store.miss(self._database, kind, id_, until_ns)

    def open_ids(self, ids: Iterable[tuple[str, str]], now_ns: int) -> list[tuple[str, str]]:
        """Those kinds and ids of which nothing is known and for which Coder may be asked."""
        with translated(self._path):
            return [one for one in ids if store.is_open(self._database, *one, now_ns)]

    def new_ids(self) -> list[tuple[str, str]]:
        """Kinds and ids that the index has met since the last call, of all of them at first, piece by piece."""
        bits = {kind: sum(1 << COLUMNS.index(name) for name in names) for kind, names in _COLUMNS_OF.items()}
        parameters = (self._looked_at, sum(bits.values()), WORDS_TOGETHER)
        with translated(self._path):
            rows = self._database.execute(_ID_WORDS, parameters).fetchall()
        if rows:
            self._looked_at = rows[-1][0]
        return [(kind, text) for _, text, uses in rows for kind, bit in bits.items() if uses & bit]

    def look_again(self) -> None:
        """Let ``new_ids`` begin anew."""
        self._looked_at = 0

    def known_users(self) -> set[str]:
        """The ids of all users that Coder ever told of."""
        with translated(self._path):
            return store.known_users(self._database)

    def fact(self, name: str) -> str | None:
        """A fact of the directory's."""
        with translated(self._path):
            return store.fact(self._database, name)

    def set_fact(self, name: str, value: str) -> None:
        """Keep a fact."""
        with self._transaction():
            store.set_fact(self._database, name, value)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


def logged_workspaces(database: sqlite3.Connection) -> Iterator[tuple[str, str, str | None, int]]:
    """Workspaces as the log itself names them: id, name, owner's id, and when it was last used under this name."""
    statement = (
        "SELECT w.text, n.text, o.text, max(places.used_ns) FROM places "
        "JOIN words AS w ON w.id = places.workspace JOIN words AS n ON n.id = places.workspace_name "
        "LEFT JOIN words AS o ON o.id = places.owner GROUP BY w.text, n.text, o.text ORDER BY n.text, w.text"
    )
    yield from database.execute(statement)
