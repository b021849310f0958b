"""The beginnings: finds the followed files that begin as a new one does without looking at each of them.

Logs of one program share their first bytes, by few or by many, so each file is filed under its first 1, 2, 4 …
``HEAD_MAX_BYTES`` bytes and asked for by as many as both have.
"""

from __future__ import annotations

from collections.abc import Iterator

from shipper.inputs.tail import Tail
from shipper.journal.position import HEAD_MAX_BYTES

LEVELS = tuple(1 << n for n in range(HEAD_MAX_BYTES.bit_length()))
"""Lengths in bytes under which a beginning is filed."""
Place = tuple[int, bool, int]
"""A length, whether it is the longest of its file, and the hash of so many bytes."""


class Beginnings:
    """Tails by their first bytes. What it gives only may begin alike: ``Tail.begins`` decides."""

    def __init__(self) -> None:
        self._at: dict[Place, dict[str, Tail]] = {}
        self._places: dict[str, tuple[tuple[int, int], list[Place]]] = {}
        """By key where the first bytes began and how many there were, and under what they are filed."""
        self._displaced: dict[str, Tail] = {}
        """Files whose first bytes are a hole: rare, and looked at one by one."""

    def file(self, tail: Tail) -> None:
        """File the tail under its first bytes, again if more of them are known by now."""
        head = tail.head
        extent = tail.head_at, len(head)
        before = self._places.get(tail.key)
        if before is not None and before[0] == extent:
            return
        self.drop(tail)
        if not head:
            return
        if tail.head_at:
            self._displaced[tail.key] = tail
        levels = [level for level in LEVELS if level <= len(head)] if not tail.head_at else []
        places = [(level, False, hash(head[:level])) for level in levels]
        places += [(level, True, place) for level, _, place in places[-1:]]
        for place in places:
            self._at.setdefault(place, {})[tail.key] = tail
        self._places[tail.key] = extent, places

    def drop(self, tail: Tail) -> None:
        """Forget the tail."""
        self._displaced.pop(tail.key, None)
        for place in self._places.pop(tail.key, ((0, 0), []))[1]:
            group = self._at[place]
            del group[tail.key]
            if not group:
                del self._at[place]

    def like(self, first: bytes) -> Iterator[Tail]:
        """Tails that may begin as ``first`` does, as far as both are known; each once."""
        yield from list(self._displaced.values())
        levels = [level for level in LEVELS if level <= len(first)]
        for level in levels:
            # Shorter ones by all that is known of them, the others by all that is known of the new one.
            yield from list(self._at.get((level, level != levels[-1], hash(first[:level])), {}).values())
