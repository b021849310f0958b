"""The groups: words that go together in many rows, numbered once, and what the writer remembers of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from shipper.index import sql
from shipper.index.lexicon import CACHED_CHARACTERS_MAX, DAY_NS, drop_oldest, found_rows

CACHED_MAX_COUNT = 131_072
"""Groups of one table that are remembered by their texts, and by their numbers; the oldest quarter goes when there are
more."""
WHOLE_MAX_COUNT = 262_144
"""As long as there are no more than that, a rebuild remembers all of them, and looks for none in the database."""

Texts = tuple[str | None, ...]
Cells = tuple[int | None, ...]


class Table(NamedTuple):
    """The statements of a table of groups."""

    find: dict[int, str]
    get: str
    mark: str
    add: str
    last: str


KINDS = Table(sql.FIND_KINDS, sql.GET_KIND, sql.MARK_KIND, sql.ADD_KIND, sql.LAST_KIND)
PLACES = Table(sql.FIND_PLACES, sql.GET_PLACE, sql.MARK_PLACE, sql.ADD_PLACE, sql.LAST_PLACE)


class Groups(dict[Texts, int]):
    """The numbers of groups by their texts, as they are remembered. One that is missing gets a number at once, which
    ``settle`` may change. ``met``: those that were missing, for ``settle``. ``forget`` must follow a rollback or a
    deletion."""

    __slots__ = ("_database", "_folded", "_last", "_table", "_today", "_whole", "_words", "met")

    def __init__(self, database: sqlite3.Connection, table: Table, whole: bool) -> None:
        """``whole``: remember all groups, where none is in the database yet."""
        super().__init__()
        self._database, self._table = database, table
        self.met: dict[Texts, int] = {}
        self._folded: dict[Cells, int] = {}
        self._today: set[int] = set()
        self._words: dict[int, Cells] = {}
        self._last: int | None = None
        self._whole = whole and self._read_last() == 0

    def __missing__(self, texts: Texts) -> int:
        number = self[texts] = self.met[texts] = self._next()
        return number

    def _next(self) -> int:
        if self._last is None:
            self._last = self._read_last()
        self._last += 1
        return self._last

    def _read_last(self) -> int:
        return int(self._database.execute(self._table.last).fetchone()[0])

    def look_again(self) -> None:
        """Have what is used from now on marked as used again."""
        self.clear()
        self._today.clear()

    def forget(self) -> None:
        """Drop what is remembered of the database's groups."""
        self.look_again()
        self.met.clear()
        self._folded.clear()
        self._words.clear()
        self._last = None
        self._whole = False

    def settle(self, rows: Sequence[Cells], stored_ns: int) -> bool:
        """Note the groups that were met in the database, ``rows`` being the numbers of their words; whether some have another
        number than was said."""
        said = list(self.met.values())
        numbers = self._fold(rows, said[0], stored_ns)
        self.update(zip(self.met, numbers, strict=True))
        return numbers != said

    def end(self, long: bool) -> None:
        """After the groups of a batch: let go of what is beyond the bounds; ``long``: some texts are."""
        if long:
            for texts in self.met:
                if any(text is not None and len(text) > CACHED_CHARACTERS_MAX for text in texts):
                    del self[texts]
        self.met = {}
        self._whole = self._whole and len(self._folded) <= WHOLE_MAX_COUNT
        if not self._whole:
            self._folded.clear()
            self._today.clear()
        most = WHOLE_MAX_COUNT if self._whole else CACHED_MAX_COUNT
        for known in (self, self._words):
            while len(known) > most:
                drop_oldest(known)

    def fold(self, row: Cells, stored_ns: int) -> int:
        """The number of a group by the numbers of its words; added where it is new."""
        return self._fold([row], self._next(), stored_ns)[0]

    def _fold(self, rows: Sequence[Cells], first: int, stored_ns: int) -> list[int]:
        """``fold`` of many; those that are new get numbers from ``first`` on."""
        known: dict[Cells, int] = {}
        keys: dict[Cells, bytes] = {row: msgspec.msgpack.encode(row) for row in rows}
        if self._whole:
            known = {row: self._folded[row] for row in keys if row in self._folded}
            again = set(known.values()) - self._today
            self._database.executemany(self._table.mark, [(stored_ns, number) for number in again])
        else:
            by_key = {key: row for row, key in keys.items()}
            marks = []
            for key, number, used_ns in found_rows(self._database, self._table.find, list(by_key)):
                known[by_key[key]] = number
                self._words[number] = by_key[key]
                if used_ns // DAY_NS < stored_ns // DAY_NS:
                    marks.append((stored_ns, number))
            self._database.executemany(self._table.mark, marks)
        new = [row for row in keys if row not in known]
        numbered = dict(zip(range(first, first + len(new)), new, strict=True))
        self._last = first + len(new) - 1
        self._words.update(numbered)
        known.update(zip(new, numbered, strict=True))
        self._database.executemany(
            self._table.add, [(number, keys[row], stored_ns, *row) for number, row in numbered.items()]
        )
        if self._whole:
            self._folded.update(known)
            self._today.update(known.values())
        return [known[row] for row in rows]

    def words(self, number: int) -> Cells:
        """The numbers of the words of a group."""
        found = self._words.get(number)
        if found is None:
            if len(self._words) >= WHOLE_MAX_COUNT:
                drop_oldest(self._words)
            found = self._words[number] = tuple(self._database.execute(self._table.get, (number,)).fetchone())
        return found


class Word(dict[int, int | None]):
    """Of each group by its number one of its words; to be cleared with the groups."""

    __slots__ = ("_column", "_groups")

    def __init__(self, groups: Groups, column: int) -> None:
        super().__init__()
        self._groups, self._column = groups, column

    def __missing__(self, number: int) -> int | None:
        if len(self) >= CACHED_MAX_COUNT:
            drop_oldest(self)
        word = self[number] = self._groups.words(number)[self._column]
        return word


class Mark(dict[int, int]):
    """Of each group by its number what is made of one of its words; to be cleared with the groups."""

    __slots__ = ("_make", "_words")

    def __init__(self, words: Word, make: Callable[[int | None], int]) -> None:
        super().__init__()
        self._words, self._make = words, make

    def __missing__(self, number: int) -> int:
        if len(self) >= CACHED_MAX_COUNT:
            drop_oldest(self)
        mark = self[number] = self._make(self._words[number])
        return mark
