"""The presence: which keys may be in the index, held in memory, so that a new one costs no look into the database.

It never denies a key that is there. Nearly all keys of a batch are new, and to look for each of them in the
index, which is larger than any cache, would cost more than to add it.

The marks of a key are four bits of one 64-bit number, so that one number is looked at for each key.
"""

from __future__ import annotations

import sqlite3
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from operator import xor

import zstandard

from shipper.index import sql
from shipper.index.identifier import uuid_numbers

BITS_MIN, BITS_MAX = 1 << 20, 1 << 29
"""From 128 KiB to 64 MiB of memory; beyond the latter it says yes too often, which costs only time."""
KEY_BITS_MIN = 16
"""Bits for each key: with fewer it is made anew with twice as many. One of 150 keys that are not there is then looked for
at most, and to look for one in millions takes as long as to add ten."""
_FORM = 4
"""Of what is kept; what has another form is not read."""
_LEVEL = 1
_WORD_BITS = 64
_PATTERNS = 4096
_PATTERN_SHIFT, _PATTERN_FOLD = 10, 12
"""A key is folded by the one and shifted by the other to where the bits are that choose its marks: those of which none
chooses the number, within the random end of an id that begins with a time, and those just before them, so that keys
that count up have other marks too where they come to a number again."""

_bits = [1 << place for place in range(_WORD_BITS)]
_marks = [
    one | two | three | four
    for (one, two), three, four in zip(
        ((one, two) for one in _bits for two in _bits), cycle(_bits[:61]), cycle(_bits[5:]), strict=False
    )
]

Keys = Callable[[], Iterable[Iterable[int]]]


class Presence:
    """A set of keys, which are numbers of 64 bits that look random; ``keys`` gives those in the database, some at a time."""

    def __init__(self, database: sqlite3.Connection, name: str, keys: Keys, count: int, room: int = 0) -> None:
        """As it was kept when the last writer closed, else by reading ``count`` keys; with room for ``room`` at least."""
        self._database, self._name, self._keys, self._room = database, f"{name}.{_FORM}", keys, room
        row = database.execute(sql.GET_PRESENCE, (self._name,)).fetchone()
        kept = None if row is None else _unpack(row[0])
        if kept is None:
            self._count = 0
            self._fill(count)
        else:
            self._words, self._count = kept, count

    def take(self, keys: Iterable[int]) -> list[int]:
        """Take keys in, before or after the database does; gives the places among them of those that may have been there
        before. The others were not there for certain."""
        words, marks, mask, last = self._words, _marks, len(self._words) - 1, _PATTERNS - 1
        maybe: list[int] = []
        place = -1
        for place, key in enumerate(keys):
            mark = marks[(key ^ key >> _PATTERN_FOLD) >> _PATTERN_SHIFT & last]
            word = words[key & mask]
            if word & mark == mark:
                maybe.append(place)
            else:
                words[key & mask] = word | mark
        self._count += place + 1 - len(maybe)
        return maybe

    def grow(self) -> None:
        """Make it larger where it has become too full; the database holds all that was added."""
        bits = len(self._words) * _WORD_BITS
        if self._count * KEY_BITS_MIN > bits and bits < BITS_MAX:
            self._fill(self._count)

    def keep(self) -> None:
        """Write it into the database, for the next writer; within a transaction."""
        size = len(self._words) * _WORD_BITS
        while size > _size(self._count):
            size //= 2
            self._words = _halved(self._words)
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(_little(self._words).tobytes())
        self._database.execute(sql.SET_PRESENCE, (self._name, packed))

    def _fill(self, count: int) -> None:
        self._words, self._count = array("Q", bytes(_size(max(count, self._room)) // 8)), 0
        for some in self._keys():
            self.take(some)


def _size(count: int) -> int:
    """How many bits so many keys get."""
    size = BITS_MIN
    while size < min(2 * KEY_BITS_MIN * count, BITS_MAX):
        size *= 2
    return size


def _halved(words: array[int]) -> array[int]:
    """The same keys in half of the room."""
    data, half = words.tobytes(), len(words) * 4
    both = int.from_bytes(data[:half], "little") | int.from_bytes(data[half:], "little")
    return array("Q", both.to_bytes(half, "little"))


def _little(words: array[int]) -> array[int]:
    """The numbers in the order of bytes that is kept, or back in this machine's."""
    if sys.byteorder == "big":
        words = words[:]
        words.byteswap()
    return words


def _unpack(data: bytes) -> array[int] | None:
    """What was kept; None where it is not sound."""
    try:
        bits = zstandard.ZstdDecompressor().decompress(data, max_output_size=BITS_MAX // 8)
    except zstandard.ZstdError:
        return None
    return _little(array("Q", bits)) if len(bits) >= BITS_MIN // 8 and len(bits) & (len(bits) - 1) == 0 else None


def id_number(packed: bytes | str) -> int:
    """The key of an id as ``pack_id`` gives it: 64 bits."""
    if isinstance(packed, str) or len(packed) != 16:
        from hashlib import blake2b  # loads all of OpenSSL

        data = packed if isinstance(packed, bytes) else packed.encode(errors="surrogatepass")
        packed = blake2b(data, digest_size=16).digest()
    # A UUID's first and last bytes are random, those between hold its version.
    return int.from_bytes(packed[:4] + packed[12:])


def id_numbers(packed: Sequence[bytes | str]) -> Sequence[int]:
    """``id_number`` of each."""
    if set(map(len, packed)) == {16} and set(map(type, packed)) == {bytes}:
        return uuid_keys(b"".join(packed))  # type: ignore[arg-type]  # all are bytes
    return [id_number(one) for one in packed]


def uuid_keys(data: bytes) -> Sequence[int]:
    """``id_number`` of each of the UUIDs that ``pack_uuids`` packed."""
    return uuid_numbers(data, (0, 1, 2, 3, 12, 13, 14, 15))


def pair_numbers(packed: Sequence[bytes | str], workspaces: Iterable[int], agents: Iterable[int]) -> list[int]:
    """The keys of what the events of one connection have in common: its id, and the marks of its workspace and agent."""
    return list(map(xor, map(xor, id_numbers(packed), workspaces), agents))


def workspace_mark(word: int | None) -> int:
    """What the word of a workspace changes of an id's key."""
    return (word or 0) * 0x9E3779B97F4A7C15 & _KEY


def agent_mark(word: int | None) -> int:
    """What the word of an agent changes of an id's key."""
    return (word or 0) * 0xC2B2AE3D27D4EB4F & _KEY


_KEY = 0xFFFFFFFFFFFFFFFF
