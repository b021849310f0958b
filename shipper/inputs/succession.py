"""The succession: whether another file has taken over what a position stood for, its inode or its content."""

from __future__ import annotations

from collections.abc import Iterable

from shipper.errors import InputError
from shipper.inputs.content import PlainContent
from shipper.inputs.discovery import Found
from shipper.inputs.identity import ending_holds, holds
from shipper.inputs.tail import Tail
from shipper.journal import Position
from shipper.journal.position import digest


def is_reused(position: Position, tail: Tail | None, found: Found | None) -> bool:
    """Whether the inode of the position is known to have been handed to another file since: to that of ``tail``,
    or to the one that was found with it."""
    generation = tail.generation if tail is not None else 0
    if tail is None and found is not None:
        try:
            content = PlainContent(found.path)
        except InputError:
            return False
        generation = content.generation
        content.close()
    return bool(position.generation and generation) and generation != position.generation


class Successors:
    """The followed files of ``tails`` by their first bytes, for asking about any number of positions at one moment."""

    def __init__(self, tails: Iterable[Tail]) -> None:
        self._tails = [tail for tail in tails if tail.content is not None]
        self._by_head: dict[tuple[int, int], dict[bytes, list[Tail]]] = {}
        """By where a head begins and how long it is, of which there are few."""

    def reach(self, position: Position) -> int:
        """How many bytes a followed file has that holds what the position was read from, and was itself read as far; of
        what was only seen, one that begins so and has as many bytes. 0 where there is none."""
        if position.only_seen:
            return position.size if any(_begins(tail, position) for tail in self._tails) else 0
        reach = 0
        for tail in self._like(position):
            if tail.content is None or tail.fed < position.offset:
                continue
            try:
                if holds(position, tail.content.pread):
                    reach = max(reach, tail.proven_size)
            except InputError:
                continue
        return reach

    def _like(self, position: Position) -> list[Tail]:
        extent = position.head_at, position.head_length
        if extent not in self._by_head:
            heads = self._by_head[extent] = {}
            for tail in self._tails:
                head = tail.read_head[: position.head_length]
                if tail.head_at == position.head_at and len(head) == position.head_length:
                    heads.setdefault(digest(head), []).append(tail)
        return self._by_head[extent].get(position.head, [])


def _begins(tail: Tail, position: Position) -> bool:
    if tail.content is None:
        return False
    head = tail.head[: position.head_length]
    same = tail.head_at == position.head_at and len(head) == position.head_length and digest(head) == position.head
    try:
        return same and tail.proven_size >= position.size and ending_holds(position, tail.content.pread)
    except InputError:
        return False
