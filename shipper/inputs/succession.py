"""The succession: whether another file has taken over what a position stood for, its inode or its content."""

from __future__ import annotations

from collections.abc import Iterable

from shipper.errors import InputError
from shipper.inputs.content import PlainContent
from shipper.inputs.discovery import Found
from shipper.inputs.identity import holds
from shipper.inputs.tail import Tail
from shipper.journal import Position


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


def is_superseded(position: Position, tails: Iterable[Tail]) -> bool:
    """Whether a followed file holds what the position was read from, and was itself read as far."""
    for tail in tails:
        if tail.content is None or tail.fed < position.offset or not tail.has_head_of(position):
            continue
        try:
            if holds(position, tail.content.pread):
                return True
        except InputError:
            continue
    return False
