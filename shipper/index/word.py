"""Words: the dictionary of texts, each kept once, as the writer fills it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from msgspec import UNSET

from shipper.index import sql
from shipper.index.cell import WORD_CHARACTERS_MAX
from shipper.index.group import KINDS, PLACES, Cells, Groups, Mark, Texts, Word
from shipper.index.lexicon import DAY_NS, Column, Lexicon
from shipper.index.presence import agent_mark, workspace_mark
from shipper.index.schema import COLUMNS, KIND_COLUMNS, PLACE_COLUMNS
from shipper.query.kind import WEB
from shipper.record import JsonValue, Record

KINDS_CACHED_MAX_COUNT = 131_072
"""Kinds of which is remembered whether they are points in time; then all are forgotten."""

_PLACE = len(KIND_COLUMNS)
_ROW = _PLACE + len(PLACE_COLUMNS)
_kind_of = attrgetter("type", "method", "app", "agent_name", "organization_id")
_place_of = attrgetter("workspace_owner_id", "workspace_id", "workspace_name")
_row_of = tuple(map(attrgetter, ("agent_id", "user_id", "ip", "user_agent", "slug_or_port", "disconnect_reason")))
_extra_of = attrgetter("extra")
_names_of = attrgetter("names")
_NAMES = ("organization", "workspace_owner", "template", "user", "user_email")


class Columns(NamedTuple):
    """The ids of the texts of records: a list for their kinds, one for their places, and one for each of
    ``ROW_COLUMNS``. ``cut``: the places of records with a text that is longer than a word; ``named``: there are names."""

    ids: list[list[int | None]]
    cut: frozenset[int]
    named: bool


class Words:
    """Gives texts their ids within the writer's transaction. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection, *, whole: bool = False) -> None:
        """``whole``: in a database that has no words yet, remember all of them while they are not too many."""
        self._database = database
        self._lexicon = Lexicon(database, len(COLUMNS), COLUMNS.index("ip"), whole)
        self._groups = {"kinds": Groups(database, KINDS, whole), "places": Groups(database, PLACES, whole)}
        self.agent_names = Word(self._groups["kinds"], KIND_COLUMNS.index("agent_name"))
        """Of each kind the word of its agent's name."""
        self.workspaces = Word(self._groups["places"], PLACE_COLUMNS.index("workspace"))
        """Of each place the word of its workspace's id."""
        self.agent_marks = Mark(self.agent_names, agent_mark)
        self.workspace_marks = Mark(self.workspaces, workspace_mark)
        """What the words of both change of a connection's key of presence."""
        self._kinds_web: dict[int, bool] = {}
        self._day = -1

    def forget(self) -> None:
        """Drop what is remembered of the database's words."""
        self._lexicon.forget()
        for groups in self._groups.values():
            groups.forget()
        self.agent_names.clear()
        self.workspaces.clear()
        self.agent_marks.clear()
        self.workspace_marks.clear()
        self._kinds_web.clear()

    def begin(self, stored_ns: int) -> None:
        """Before the texts of a batch that is stored at ``stored_ns``: on a new day all is marked as used again."""
        if stored_ns // DAY_NS != self._day:
            self._lexicon.look_again()
            for groups in self._groups.values():
                groups.look_again()
            self._day = stored_ns // DAY_NS

    def columns(self, records: Sequence[Record], stored_ns: int) -> Columns:
        """The ids of the texts of records, a column at a time, which takes a third of what a record at a time does."""
        texts = _Texts(records)
        lexicon = self._lexicon
        kinds, places = self._groups.values()
        lexicon.begin()
        grouped = [list(map(kinds.__getitem__, texts.kinds())), list(map(places.__getitem__, texts.places()))]
        # Nothing of this is in the database yet, where nearly all that is missing here is missing too.
        columns = lexicon.columns
        kind_rows = _rows(columns[:_PLACE], kinds.met)
        place_rows = _rows(columns[_PLACE:_ROW], places.met)
        rows = [
            list(map(column.__getitem__, found)) for column, found in zip(columns[_ROW:], texts.rows(), strict=True)
        ]
        changed = lexicon.settle(stored_ns)
        if changed:
            kind_rows = _rows(columns[:_PLACE], kinds.met)
            place_rows = _rows(columns[_PLACE:_ROW], places.met)
            for place, (column, found) in enumerate(zip(columns[_ROW:], texts.rows(), strict=True)):
                if column.bit & changed:
                    rows[place] = list(map(column.__getitem__, found))
        if kind_rows and kinds.settle(kind_rows, stored_ns):
            grouped[0] = list(map(kinds.__getitem__, texts.kinds()))
        if place_rows and places.settle(place_rows, stored_ns):
            grouped[1] = list(map(places.__getitem__, texts.places()))
        long = lexicon.end()
        for groups in (kinds, places):
            groups.end(bool(long))
        return Columns([*grouped, *rows], texts.places_of(long) if long else frozenset(), texts.named)  # type: ignore[list-item]  # each kind and each place has an id

    def expand(self, table: str, number: int) -> Cells:
        """The ids of the words of one of ``kinds`` or ``places``."""
        return self._groups[table].words(number)

    def fold(self, table: str, ids: Iterable[int | None], stored_ns: int) -> int:
        """The number in ``kinds`` or ``places`` of words by their ids; added where it is new."""
        return self._groups[table].fold(tuple(ids), stored_ns)

    def is_web(self, kind: int) -> bool:
        """Whether connections of a kind are points in time."""
        web = self._kinds_web.get(kind)
        if web is None:
            rows = (self._database.execute(sql.GET_WORD, (word,)).fetchone() for word in self.expand("kinds", kind)[:2])
            if len(self._kinds_web) >= KINDS_CACHED_MAX_COUNT:
                self._kinds_web.clear()
            web = self._kinds_web[kind] = any(row is not None and row[0] in WEB for row in rows)
        return web


class _Texts:
    """The texts of records. What is read straight from them is not kept: to go through them again costs less."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._extras = [_extra_text(extra) if extra else None for extra in map(_extra_of, records)]
        self.named = any(any(names.values()) for names in map(_names_of, records) if names is not UNSET)
        nothing: list[str | None] = [None] * len(records)
        self._names = [nothing] * len(_NAMES)
        if self.named:
            names = [{} if names is UNSET else names for names in map(_names_of, records)]
            self._names = [[one.get(name) for one in names] for name in _NAMES]

    def kinds(self) -> Iterable[Texts]:
        kinds = map(_kind_of, self._records)
        return [(*kind, name) for kind, name in zip(kinds, self._names[0], strict=True)] if self.named else kinds

    def places(self) -> Iterable[Texts]:
        places = map(_place_of, self._records)
        return [(*one, *two) for one, *two in zip(places, *self._names[1:3], strict=True)] if self.named else places

    def rows(self) -> list[Iterable[str | None]]:
        return [*(map(field, self._records) for field in _row_of), *self._names[3:], self._extras]

    def places_of(self, long: Iterable[str]) -> frozenset[int]:
        """The places of the records with one of these texts that is longer than a word."""
        cut = {text for text in long if len(text) > WORD_CHARACTERS_MAX}
        rows = zip(self.kinds(), self.places(), zip(*self.rows(), strict=True), strict=True)
        return frozenset(
            place for place, row in enumerate(rows) if cut and any(text in cut for part in row for text in part)
        )


def _rows(columns: Sequence[Column], keys: Iterable[Texts]) -> list[Cells]:
    """The words of groups by their texts; of a group without names there are fewer texts than columns."""
    found = [
        list(map(column.__getitem__, texts)) for column, texts in zip(columns, zip(*keys, strict=True), strict=False)
    ]
    nothing = [None] * len(found[0]) if found else []
    return list(zip(*found, *[nothing] * (len(columns) - len(found)), strict=True)) if found else []


def _extra_text(extra: Mapping[str, JsonValue]) -> str | None:
    """What is searched of the fields that have no key of their own."""
    return "\n".join(value for value in extra.values() if isinstance(value, str)) or None
