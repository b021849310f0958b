"""Cells: what of a record stands in the row of its event, and need not stand in its block as well.

A record taken apart and put together again is the same record: what a row can't give back exactly (a
text too long for a word, a time beyond 64 bits) stays in the block.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from shipper import timestamp
from shipper.index.rest import Rests
from shipper.index.schema import COLUMNS
from shipper.record import Record

WORD_CHARACTERS_MAX = 2048
"""What is searched of one text, and the longest that a row gives back."""

FIELDS = {
    "type": "type",
    "method": "method",
    "app": "app",
    "organization_id": "organization",
    "workspace_owner_id": "owner",
    "workspace_id": "workspace",
    "workspace_name": "workspace_name",
    "agent_name": "agent_name",
    "agent_id": "agent",
    "user_id": "user",
    "ip": "ip",
    "user_agent": "user_agent",
    "slug_or_port": "slug",
    "disconnect_reason": "reason",
}
"""Fields of a record that a column of words holds, with the column."""

_PLACES = tuple((field, COLUMNS.index(column)) for field, column in FIELDS.items())
_STATUSES = ("connected", "disconnected")


class RowCells(NamedTuple):
    """What the row of an event gives: its ids, and its texts in the order of ``COLUMNS``."""

    id: str
    connection_id: str | None
    time_ns: int
    ended: bool
    code: int | None
    texts: tuple[str | None, ...]


def take_rests(records: Sequence[Record], times: Sequence[int], cut: Collection[int]) -> Rests:
    """What the rows of records don't give back; ``times``: theirs, in ns, ``cut``: the places of those with a text that is
    too long for a word."""
    odd = set(cut)
    if records and not (min(times) > timestamp.NS_MIN and max(times) < timestamp.NS_MAX):
        odd.update(place for place, time_ns in enumerate(times) if not timestamp.NS_MIN < time_ns < timestamp.NS_MAX)
    if not {record.status for record in records}.issubset(_STATUSES):
        odd.update(place for place, record in enumerate(records) if record.status not in _STATUSES)
    return Rests(records, {place: _rest(records[place], times[place]) for place in sorted(odd)})


def left_of(rests: Sequence[Record]) -> Rests:
    """The same of records that have been parted from their cells."""
    return Rests(rests, {place: rest for place, rest in enumerate(rests) if _has_cells(rest)})


def _has_cells(rest: Record) -> bool:
    return (rest.id, rest.time, rest.status, rest.connection_id, rest.code) != ("", "", "", None, None) or any(
        getattr(rest, field) is not None for field in FIELDS
    )


def _rest(record: Record, time_ns: int) -> Record:
    left: dict[str, None] = {
        field: None
        for field, _ in _PLACES
        if (text := getattr(record, field)) is not None and len(text) <= WORD_CHARACTERS_MAX
    }
    exact = timestamp.NS_MIN < time_ns < timestamp.NS_MAX
    return replace(
        record,
        id="",
        connection_id=None,
        code=None,
        time="" if exact else record.time,
        status="" if record.status in _STATUSES else record.status,
        **left,
    )


def with_cells(record: Record, cells: RowCells) -> Record:
    """The record with what its row gives back."""
    given: dict[str, str | None] = {
        field: cells.texts[place]
        for field, place in _PLACES
        if cells.texts[place] is not None and getattr(record, field) is None
    }
    return replace(
        record,
        id=cells.id,
        connection_id=cells.connection_id,
        code=cells.code,
        time=record.time or timestamp.from_ns(cells.time_ns),
        status=record.status or _STATUSES[cells.ended],
        **given,
    )


def sort_columns() -> Mapping[str, str]:
    """Names that an answer can be sorted by, with their columns of words."""
    return {
        **FIELDS,
        "workspace": "workspace_name",
        "agent": "agent_name",
        "slug": "slug",
        "reason": "reason",
        "username": "name_user",
        "workspace_owner": "name_owner",
        "organization": "name_organization",
    }
