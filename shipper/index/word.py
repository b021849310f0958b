"""Words: the dictionary of texts, each kept once, as the writer fills it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from shipper.index import sql
from shipper.index.cell import WORD_CHARACTERS_MAX
from shipper.index.connection import Cell
from shipper.index.schema import COLUMNS, KIND_COLUMNS, PLACE_COLUMNS
from shipper.query.kind import WEB
from shipper.record import JsonValue, Record

WORDS_CACHED_MAX = 262_144
"""Texts remembered with their ids over all columns; the oldest quarter goes when there are more."""
CACHED_CHARACTERS_MAX = 256
"""Longer texts are looked up each time, so that the cache has a bound in bytes too."""
GROUPS_CACHED_MAX = 131_072
DAY_NS = 86_400_000_000_000
"""How exact ``used_ns`` is: what is in daily use is written once a day."""

_IP = COLUMNS.index("ip")
_PLACE = len(KIND_COLUMNS)
_ROW = _PLACE + len(PLACE_COLUMNS)
_kind_of = attrgetter("type", "method", "app", "agent_name", "organization_id")
_place_of = attrgetter("workspace_owner_id", "workspace_id", "workspace_name")
_ROW_FIELDS = ("agent_id", "user_id", "ip", "user_agent", "slug_or_port", "disconnect_reason")
_row_of = attrgetter(*_ROW_FIELDS)
_NAMES = ("workspace_owner", "organization", "template", "user", "user_email")
Texts = tuple[str | None, ...]


class Columns(NamedTuple):
    """The ids of the texts of records: a list for their kinds, one for their places, and one for each of
    ``ROW_COLUMNS``. ``cut``: the places of records with a text that is longer than a word; ``named``: there are names."""

    ids: list[list[int | None]]
    cut: frozenset[int]
    named: bool


class Words:
    """Gives texts their ids within the writer's transaction. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._known: list[dict[str, int]] = [{} for _ in COLUMNS]
        self._count = 0
        self._kinds: dict[Texts, int] = {}
        self._places: dict[Texts, int] = {}
        self._expanded: dict[str, dict[int, tuple[Cell, ...]]] = {"kinds": {}, "places": {}}
        self._kinds_web: dict[int, bool] = {}
        self._day = -1
        self._cut: set[str] = set()

    def forget(self) -> None:
        """Drop what is remembered of the database's words."""
        for known in self._known:
            known.clear()
        self._count = 0
        self._kinds.clear()
        self._places.clear()
        for expanded in self._expanded.values():
            expanded.clear()
        self._kinds_web.clear()

    def begin(self, stored_ns: int) -> None:
        """Before the texts of a batch that is stored at ``stored_ns``: on a new day all is marked as used again."""
        if stored_ns // DAY_NS != self._day:
            self.forget()
            self._day = stored_ns // DAY_NS

    def columns(self, records: Sequence[Record], stored_ns: int) -> Columns:
        """The ids of the texts of records, a column at a time, which takes a third of what a record at a time does."""
        named = any(any(record.names.values()) for record in records if record.names is not UNSET)
        keys: list[list[Texts]]
        if named:
            names = [{} if record.names is UNSET else record.names for record in records]
            called: list[list[str | None]] = [[one.get(name) for one in names] for name in _NAMES]
            owner, organization, template, user, email = called
            keys = [
                [(*kind, name) for kind, name in zip(map(_kind_of, records), organization, strict=True)],
                [(*place, *pair) for place, *pair in zip(map(_place_of, records), owner, template, strict=True)],
            ]
        else:
            nothing: list[str | None] = [None] * len(records)
            user = email = nothing
            keys = [list(map(_kind_of, records)), list(map(_place_of, records))]
        texts = [*map(list, zip(*map(_row_of, records), strict=True))] if records else [[]] * len(_ROW_FIELDS)
        extra = [_extra_text(record.extra) if record.extra else None for record in records]
        self._cut = set()
        found: list[list[int | None]] = [
            self._group_column(self._kinds, keys[0], 0, stored_ns),
            self._group_column(self._places, keys[1], _PLACE, stored_ns),
        ]
        for column, of_column in enumerate((*texts, user, email, extra), _ROW):
            found.append(self._column(of_column, column, stored_ns))
        cut: frozenset[int] = frozenset()
        if self._cut:
            cut = frozenset(
                place
                for place, row in enumerate(zip(*keys, *texts, extra, strict=True))
                if any(text in self._cut for text in (*row[0], *row[1], *row[2:]))
            )
        self._bound()
        return Columns(found, cut, named)

    def expand(self, table: str, number: int) -> tuple[Cell, ...]:
        """The ids of the words of one of ``kinds`` or ``places``."""
        expanded = self._expanded[table]
        found = expanded.get(number)
        if found is None:
            statement = sql.GET_KIND if table == "kinds" else sql.GET_PLACE
            found = tuple(self._database.execute(statement, (number,)).fetchone())
            self._expand_to(table, number, found)
        return found

    def expand_all(self, table: str, numbers: Iterable[int], column: int) -> dict[int, Cell]:
        """Of each of these ``kinds`` or ``places`` the id of one of its words."""
        expanded = self._expanded[table]
        return {number: (expanded.get(number) or self.expand(table, number))[column] for number in set(numbers)}

    def _expand_to(self, table: str, number: int, words: tuple[Cell, ...]) -> None:
        expanded = self._expanded[table]
        if len(expanded) >= GROUPS_CACHED_MAX:
            expanded.clear()
        expanded[number] = words

    def fold(self, table: str, ids: Sequence[Cell], stored_ns: int) -> int:
        """The number in ``kinds`` or ``places`` of words by their ids; added where it is new."""
        return self._fold_all(table, [tuple(ids)], stored_ns)[0]

    def is_web(self, kind: int) -> bool:
        """Whether connections of a kind are points in time."""
        web = self._kinds_web.get(kind)
        if web is None:
            rows = (self._database.execute(sql.GET_WORD, (word,)).fetchone() for word in self.expand("kinds", kind)[:2])
            if len(self._kinds_web) >= GROUPS_CACHED_MAX:
                self._kinds_web.clear()
            web = self._kinds_web[kind] = any(row is not None and row[0] in WEB for row in rows)
        return web

    def _column(self, texts: Sequence[str | None], column: int, stored_ns: int) -> list[int | None]:
        """The ids of the texts of one column."""
        empty = texts.count(None)
        if empty == len(texts):
            return list(texts)  # type: ignore[arg-type]  # all are None
        known = self._known[column]
        ids = list(map(known.get, texts))  # type: ignore[arg-type]  # None has no id
        if ids.count(None) == empty:
            return ids
        missing = dict.fromkeys(text for text in texts if text is not None and text not in known)
        learned = self._learn(list(missing), column, stored_ns)
        return [None if text is None else learned.get(text) or known[text] for text in texts]

    def _learn(self, texts: Sequence[str], column: int, stored_ns: int) -> dict[str, int]:
        """The ids of texts that are not remembered, each once, noted in the database as used in a column now."""
        whole = {text: text[:WORD_CHARACTERS_MAX] for text in texts}
        self._cut.update(text for text in texts if len(text) > WORD_CHARACTERS_MAX)
        bit = 1 << column
        known: dict[str, int] = {}
        used: list[tuple[object, ...]] = []
        for text, word, uses, used_ns in _found(self._database, sql.FIND_WORDS, list(dict.fromkeys(whole.values()))):
            known[text] = word
            if not uses & bit or used_ns // DAY_NS < self._day:
                used.append((bit, stored_ns, pack_address(text) if column == _IP else None, word))
        self._database.executemany(sql.MARK_WORD, used)
        fresh = [text for text in dict.fromkeys(whole.values()) if text not in known]
        if fresh:
            last = self._database.execute(sql.LAST_WORD).fetchone()[0]
            known.update(zip(fresh, range(last + 1, last + 1 + len(fresh)), strict=True))
            self._database.executemany(
                sql.ADD_WORD,
                [
                    (
                        known[text],
                        text,
                        None if (fold := text.lower()) == text else fold,
                        pack_address(text) if column == _IP else None,
                        bit,
                        stored_ns,
                    )
                    for text in fresh
                ],
            )
        learned = {text: known[cut] for text, cut in whole.items()}
        short = {text: word for text, word in learned.items() if len(text) <= CACHED_CHARACTERS_MAX}
        self._known[column].update(short)
        self._count += len(short)
        return learned

    def _group_column(
        self, groups: dict[Texts, int], keys: Sequence[Texts], first: int, stored_ns: int
    ) -> list[int | None]:
        """The numbers of words that go together, for keys of their texts; ``first`` is the column of the first."""
        numbers: list[int | None] = list(map(groups.get, keys))
        if None not in numbers:
            return numbers
        missing = list(dict.fromkeys(key for key in keys if key not in groups))
        columns = [
            self._column(texts, column, stored_ns) for column, texts in enumerate(zip(*missing, strict=True), first)
        ]
        width = len(PLACE_COLUMNS) if first else len(KIND_COLUMNS)
        columns += [[None] * len(missing)] * (width - len(columns))
        ids = list(zip(*columns, strict=True))
        found = dict(zip(missing, self._fold_all("places" if first else "kinds", ids, stored_ns), strict=True))
        groups.update(
            (key, number)
            for key, number in found.items()
            if all(text is None or len(text) <= CACHED_CHARACTERS_MAX for text in key)
        )
        return [found.get(key) or groups[key] for key in keys]

    def _fold_all(self, table: str, rows: Sequence[tuple[Cell, ...]], stored_ns: int) -> list[int]:
        """``fold`` of many."""
        find, mark, add, last = _TABLES[table]
        packed = [msgspec.msgpack.encode(row) for row in rows]
        distinct = list(dict.fromkeys(packed))
        found = list(_found(self._database, find, distinct))
        known: dict[bytes, int] = {key: number for key, number, _ in found}
        unmarked = [(stored_ns, number) for _, number, used_ns in found if used_ns // DAY_NS < stored_ns // DAY_NS]
        self._database.executemany(mark, unmarked)
        number = int(self._database.execute(last).fetchone()[0])
        fresh = []
        for key, row in zip(packed, rows, strict=True):
            if key not in known:
                number += 1
                known[key] = number
                fresh.append((number, key, stored_ns, *row))
                self._expand_to(table, number, row)
        self._database.executemany(add, fresh)
        return [known[key] for key in packed]

    def _bound(self) -> None:
        while self._count > WORDS_CACHED_MAX:
            self._count -= _drop_oldest(max(self._known, key=len))
        for groups in (self._kinds, self._places):
            if len(groups) > GROUPS_CACHED_MAX:
                _drop_oldest(groups)


_TABLES = {
    "kinds": (sql.FIND_KINDS, sql.MARK_KIND, sql.ADD_KIND, sql.LAST_KIND),
    "places": (sql.FIND_PLACES, sql.MARK_PLACE, sql.ADD_PLACE, sql.LAST_PLACE),
}


def _found(
    database: sqlite3.Connection, statements: Mapping[int, str], keys: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows of these keys, many at a time; where there are more marks than keys the last one stands several times."""
    most = max(statements)
    for at in range(0, len(keys), most):
        some = [*keys[at : at + most]]
        marks = next(count for count in statements if count >= len(some))
        some += some[-1:] * (marks - len(some))
        yield from database.execute(statements[marks], some).fetchall()


def _extra_text(extra: Mapping[str, JsonValue]) -> str | None:
    """What is searched of the fields that have no key of their own."""
    return "\n".join(value for value in extra.values() if isinstance(value, str)) or None


def _drop_oldest(known: dict[Texts, int] | dict[str, int]) -> int:
    """Take the oldest quarter out; gives how many these were."""
    oldest = list(islice(known, len(known) // 4 + 1))
    for key in oldest:
        del known[key]  # type: ignore[arg-type]  # a key of this very dict
    return len(oldest)


def pack_address(text: str) -> bytes | None:
    """4 or 16 bytes of an address, None for a text that is none."""
    try:
        # A tenth of what ipaddress takes, and nothing that ipaddress would not read the same way.
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        pass
    import ipaddress

    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return None
