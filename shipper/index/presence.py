"""The presence: which keys may be in the index, held in memory, so that a new one costs no look into the database.

It never denies a key that is there. Nearly all keys of a batch are new, and to look for each of them in the
index, which is larger than any cache, would cost more than to add it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence

import zstandard

from shipper.index import sql
from shipper.index.identifier import uuid_numbers

BITS_MIN, BITS_MAX = 1 << 20, 1 << 29
"""From 128 KiB to 64 MiB of memory; beyond the latter it says yes too often, which costs only time."""
KEY_BITS_MIN = 16
"""Bits for each key, of which three are set: with fewer it is made anew with twice as many. One of two hundred keys that
are not there is then looked for at most, and to look for one in millions takes as long as to add ten."""
_LEVEL = 1

Keys = Callable[[], Iterable[Iterable[int]]]


class Presence:
    """A set of keys, which are numbers of 64 or more bits that look random; ``keys`` gives those in the database, some at a
    time."""

    def __init__(self, database: sqlite3.Connection, name: str, keys: Keys, count: int) -> None:
        """As it was kept when the last writer closed, else by reading ``count`` keys."""
        self._database, self._name, self._keys = database, name, keys
        row = database.execute(sql.GET_PRESENCE, (name,)).fetchone()
        kept = None if row is None else _unpack(row[0])
        if kept is None:
            self._count = 0
            self._fill(count)
        else:
            self._bits, self._count = kept, count
            self._mask = len(kept) * 8 - 1

    def perhaps(self, keys: Iterable[int]) -> list[int]:
        """The places among ``keys`` of those that may be there; the others are not there for certain."""
        bits, mask = self._bits, self._mask
        return [
            place
            for place, key in enumerate(keys)
            if bits[(key & mask) >> 3] >> (key & 7) & 1
            and bits[(key >> 32 & mask) >> 3] >> (key >> 32 & 7) & 1
            and bits[(key >> 17 & mask) >> 3] >> (key >> 17 & 7) & 1
        ]

    def add(self, keys: Iterable[int]) -> None:
        """Take keys in, before or after the database does."""
        bits, mask, count = self._bits, self._mask, self._count
        for key in keys:
            one, two, three = key & mask, key >> 32 & mask, key >> 17 & mask
            bits[one >> 3] |= 1 << (one & 7)
            bits[two >> 3] |= 1 << (two & 7)
            bits[three >> 3] |= 1 << (three & 7)
            count += 1
        self._count = count

    def grow(self) -> None:
        """Make it larger where it has become too full; the database holds all that was added."""
        if self._count * KEY_BITS_MIN > self._mask and self._mask + 1 < BITS_MAX:
            self._fill(self._count)

    def keep(self) -> None:
        """Write it into the database, for the next writer; within a transaction."""
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(self._bits)
        self._database.execute(sql.SET_PRESENCE, (self._name, packed))

    def _fill(self, count: int) -> None:
        size = BITS_MIN
        while size < min(2 * KEY_BITS_MIN * count, BITS_MAX):
            size *= 2
        self._bits, self._mask, self._count = bytearray(size // 8), size - 1, 0
        for some in self._keys():
            self.add(some)


def _unpack(data: bytes) -> bytearray | None:
    """What was kept; None where it is not sound."""
    try:
        bits = bytearray(zstandard.ZstdDecompressor().decompress(data, max_output_size=BITS_MAX // 8))
    except zstandard.ZstdError:
        return None
    return bits if len(bits) >= BITS_MIN // 8 and len(bits) & (len(bits) - 1) == 0 else None


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
    marks = zip(id_numbers(packed), workspaces, agents, strict=True)
    return [number ^ (workspace + agent & _KEY) for number, workspace, agent in marks]


def workspace_mark(word: int | None) -> int:
    """What the word of a workspace changes of an id's key."""
    return (word or 0) * 0x9E3779B97F4A7C15 & _KEY


def agent_mark(word: int | None) -> int:
    """What the word of an agent changes of an id's key."""
    return (word or 0) * 0xC2B2AE3D27D4EB4F & _KEY


_KEY = 0xFFFFFFFFFFFFFFFF
