"""The lexicon: the table of texts, each kept once, and what the writer remembers of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any

from shipper.index import sql
from shipper.index.cell import WORD_CHARACTERS_MAX

CACHED_MAX_COUNT = 262_144
"""Texts remembered with their numbers over all columns; the oldest quarter of a column goes when there are more."""
WHOLE_MAX_COUNT = 524_288
"""As long as there are no more texts than that, a rebuild remembers all of them, and looks for none in the database."""
CACHED_CHARACTERS_MAX = 256
"""Longer texts are looked up each time, so that what is remembered has a bound in bytes too."""
DAY_NS = 86_400_000_000_000
"""How exact ``used_ns`` is: what is in daily use is written once a day."""


class Column(dict[str | None, int | None]):
    """The numbers of the texts of one column, as they are remembered. To one that is missing the lexicon gives a number at
    once, so that a column is looked through once: nearly always it is the right one."""

    __slots__ = ("_lexicon", "bit")

    def __init__(self, lexicon: Lexicon, bit: int) -> None:
        super().__init__()
        self._lexicon, self.bit = lexicon, bit

    def __missing__(self, text: str | None) -> int | None:
        number = None if text is None else self._lexicon.number(text, self)
        self[text] = number
        return number


class Lexicon:
    """Gives texts their numbers within the writer's transaction: ``begin``, look texts up in ``columns``, ``settle``, look
    them up again where that says so, ``end``. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection, columns: int, address: int, whole: bool) -> None:
        """``address``: the column of addresses; ``whole``: remember all texts, where none is in the database yet."""
        self._database = database
        self.columns = [Column(self, 1 << place) for place in range(columns)]
        self._address = 1 << address
        self._numbers: dict[str, int] = {}
        self._met: dict[str, int] = {}
        self._long: list[tuple[Column, str]] = []
        self._last: int | None = None
        self._stored = 0
        self._whole = whole and self._database.execute(sql.LAST_WORD).fetchone()[0] == 0

    def forget(self) -> None:
        """Drop what is remembered of the database's texts."""
        self.look_again()
        self._numbers.clear()
        self._met.clear()
        self._long.clear()
        self._last = None
        self._whole = False

    def look_again(self) -> None:
        """Have what is used from now on marked as used again."""
        for column in self.columns:
            column.clear()

    def begin(self) -> None:
        """Before the texts of a batch."""
        if self._last is None:
            self._last = int(self._database.execute(sql.LAST_WORD).fetchone()[0])
        self._stored = self._last

    def number(self, text: str, column: Column) -> int:
        """The number of a text that is not remembered of its column, as far as one can know without the database."""
        if len(text) > CACHED_CHARACTERS_MAX:
            self._long.append((column, text))
            text = text[:WORD_CHARACTERS_MAX]
        self._met[text] = self._met.get(text, 0) | column.bit
        number = self._numbers.get(text)
        if number is None:
            assert self._last is not None
            number = self._numbers[text] = self._last = self._last + 1
        return number

    def settle(self, stored_ns: int) -> int:
        """Note the texts that were met in the database, as used now; gives a bit for each column where some have another
        number than was said."""
        met, self._met = self._met, {}
        if not met:
            return 0
        numbers, stored = self._numbers, self._stored
        marks: list[tuple[object, ...]] = []
        looked = [text for text in met if numbers[text] > stored]
        if self._whole:
            marks = [self._mark(text, bits, stored_ns) for text, bits in met.items() if numbers[text] <= stored]
            looked = [text for text in looked if len(text) > CACHED_CHARACTERS_MAX]
        found = list(found_rows(self._database, sql.FIND_WORDS, looked))
        changed = self._correct(met, {text: number for text, number, _, _ in found}) if found else 0
        marks += [
            self._mark(text, met[text], stored_ns)
            for text, _, uses, used_ns in found
            if met[text] & ~uses or used_ns // DAY_NS < stored_ns // DAY_NS
        ]
        self._database.executemany(sql.MARK_WORD, marks)
        # In the order of their numbers, so that pages are filled.
        fresh = [text for text in met if numbers[text] > stored]
        self._database.executemany(
            sql.ADD_WORD,
            [
                (
                    numbers[text],
                    text,
                    None if (fold := text.lower()) == text else fold,
                    pack_address(text) if met[text] & self._address else None,
                    met[text],
                    stored_ns,
                )
                for text in fresh
            ],
        )
        return changed

    def _correct(self, met: Mapping[str, int], found: dict[str, int]) -> int:
        """Give texts the numbers they were found to have, and those that are new the next ones, so that none is left out;
        gives a bit for each column of theirs."""
        new = (text for text in met if self._numbers[text] > self._stored and text not in found)
        found |= {text: number for number, text in enumerate(new, self._stored + 1)}
        self._last = max(self._stored, *found.values())
        changed = 0
        for text, number in found.items():
            if self._numbers[text] == number:
                continue
            self._numbers[text] = number
            bits = met[text]
            changed |= bits
            if len(text) <= CACHED_CHARACTERS_MAX:
                while bits:
                    self.columns[bits.bit_length() - 1][text] = number
                    bits ^= 1 << bits.bit_length() - 1
        for column, text in self._long:
            column[text] = self._numbers[text[:WORD_CHARACTERS_MAX]]
        return changed

    def _mark(self, text: str, bits: int, stored_ns: int) -> tuple[object, ...]:
        return bits, stored_ns, pack_address(text) if bits & self._address else None, self._numbers[text]

    def end(self) -> list[str]:
        """After the texts of a batch: let go of what is beyond the bounds; gives the texts that are too long to be
        remembered."""
        long = [text for _, text in self._long]
        for column, text in self._long:
            column.pop(text, None)
            self._numbers.pop(text[:WORD_CHARACTERS_MAX], None)
        self._long.clear()
        self._whole = self._whole and len(self._numbers) <= WHOLE_MAX_COUNT
        if not self._whole:
            self._numbers.clear()
        most = WHOLE_MAX_COUNT if self._whole else CACHED_MAX_COUNT
        while sum(map(len, self.columns)) > most:
            drop_oldest(max(self.columns, key=len))
        return long


def found_rows(
    database: sqlite3.Connection, statements: Mapping[int, str], keys: Sequence[Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows of these keys, many at a time; where there are more marks than keys the last one stands several times."""
    most = max(statements)
    for at in range(0, len(keys), most):
        some = [*keys[at : at + most]]
        marks = next(count for count in statements if count >= len(some))
        some += some[-1:] * (marks - len(some))
        yield from database.execute(statements[marks], some).fetchall()


def drop_oldest(known: dict[Any, Any]) -> None:
    """Take the oldest quarter out."""
    for key in list(islice(known, len(known) // 4 + 1)):
        del known[key]


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
