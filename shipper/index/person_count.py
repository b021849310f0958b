"""Counting by name: rows grouped by an id, and where its name changed also by which name it had as of the row."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

from shipper.directory.history import Span
from shipper.directory.lookup import Directory
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE

_WORDS = "SELECT id, text FROM words WHERE text IN (SELECT value FROM json_each(?))"


class NamedField(Struct, frozen=True):
    """A name that can be counted by: the column of the id behind it, and what of it is shown."""

    column: str
    kind: str
    attribute: str


NAMED_FIELDS = {
    "user": NamedField("user", USER, "username"),
    "username": NamedField("user", USER, "username"),
    "user_email": NamedField("user", USER, "email"),
    "workspace_owner": NamedField("owner", USER, "username"),
    "organization": NamedField("organization", ORGANIZATION, "name"),
    "template": NamedField("workspace", WORKSPACE, "template"),
}
"""By the names that ``--by`` takes."""


class PersonGroups:
    """The keys of one named field in one question, and what they are shown as."""

    def __init__(self, database: sqlite3.Connection, directory: Directory, field: NamedField, number: int) -> None:
        self._directory, self._field = directory, field
        self._function = f"name_of_{number}"
        self._histories: dict[int, Sequence[Span]] = {}
        changed = directory.changed(field.kind, field.attribute)
        for word, text in database.execute(_WORDS, (json.dumps(changed),)) if changed else ():
            self._histories[word] = directory.history(field.kind, text)[field.attribute]
        if self._histories:
            database.create_function(self._function, 2, self._number, deterministic=True)

    def _number(self, word: int, time_ns: int) -> int:
        starts = [span.first_ns for span in self._histories[word]]
        return max(0, bisect_right(starts, time_ns) - 1)

    def key(self, base: str, word: str, time: str) -> str:
        """SQL to group by: ``base`` is a key that tells the id, ``word`` and ``time`` give the row's."""
        if not self._histories:
            return base
        words = ", ".join(map(str, self._histories))
        return f"CASE WHEN {word} IN ({words}) THEN {base} || ':' || {self._function}({word}, {time}) ELSE {base} END"

    def shown(self, id_: str, version: int | None) -> str:
        """The name of an id, as of the version of a key; the id itself where no name is known."""
        spans = self._directory.history(self._field.kind, id_).get(self._field.attribute)
        if not spans:
            return id_
        return spans[min(version or 0, len(spans) - 1)].value
