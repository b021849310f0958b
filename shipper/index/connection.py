"""The connection: the events of one connection merged, the same whatever order they came in.

Events with a connection id belong together by (connection_id, workspace_id, agent_name); every other
event is a connection of its own. Where events disagree the first that knows a value gives it, in the
order: connects before disconnects, usable times before others, earlier before later, then by id. Only
``Connection.id`` follows the order of arrival: Coder's row has the id of the first event it saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType

from shipper import timestamp
from shipper.index.schema import COMPLETED, ONGOING, POINT, STATE_NAMES, UNKNOWN
from shipper.query.kind import WEB
from shipper.record import Record

Cell = int | str | bytes | None


class Connection(Struct, frozen=True):
    """One connection; the order of the fields is the order of the keys.

    ``state`` is ongoing, completed, unknown or point; ``duration_seconds`` is null until both ends are
    known; ``event_ids`` are in the order of the merge.
    """

    id: str
    connect_time: str
    disconnect_time: str | None
    duration_seconds: float | None
    state: str
    state_reason: str | None
    event_ids: list[str]
    type: str | None = None
    method: str | None = None
    app: str | None = None
    organization_id: str | None = None
    workspace_owner_id: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    agent_name: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    slug_or_port: str | None = None
    code: int | None = None
    connection_id: str | None = None
    client_session_id: str | None = None
    disconnect_reason: str | None = None
    names: dict[str, str | None] | UnsetType = UNSET


class Part(NamedTuple):
    """One event in a merge; parts sort in the order of the merge. ``time_ns`` NS_MIN: no usable time."""

    ended: bool
    unusable: bool
    time_ns: int
    id: bytes
    cells: tuple[Cell, ...]


class Span(NamedTuple):
    """What times and state the parts of a connection give; times in ns, ``connect_ns`` NS_MIN: none usable."""

    connect_ns: int
    disconnect_ns: int | None
    duration_ns: int | None
    state: int


def part(ended: bool, time_ns: int, id: bytes, cells: tuple[Cell, ...]) -> Part:
    """One event as a part."""
    return Part(ended, time_ns == timestamp.NS_MIN, time_ns, id, cells)


def merge_cells(parts: Sequence[Part]) -> tuple[Cell, ...]:
    """For each cell the first value known; ``parts`` are sorted."""
    if len(parts) == 1:
        return parts[0].cells
    return tuple(
        next((value for value in column if value is not None), None)
        for column in zip(*(one.cells for one in parts), strict=True)
    )


def span(parts: Sequence[Part], web: bool, paired: bool) -> Span:
    """Times and state of sorted ``parts``; ``paired``: they have a connection id."""
    connect_ns = min((one.time_ns for one in parts if not one.unusable), default=timestamp.NS_MIN)
    disconnect_ns = next((one.time_ns for one in parts if one.ended), None)
    duration_ns = None
    if disconnect_ns is not None and disconnect_ns != timestamp.NS_MIN and not (parts[0].ended or parts[0].unusable):
        duration_ns = min(disconnect_ns - connect_ns, timestamp.NS_MAX)
    if web:
        state = POINT
    elif disconnect_ns is not None:
        state = COMPLETED
    elif paired and connect_ns != timestamp.NS_MIN:
        state = ONGOING
    else:
        state = UNKNOWN
    return Span(connect_ns, disconnect_ns, duration_ns, state)


def build_connection(records: Sequence[Record]) -> Connection:
    """The connection of ``records``, which are in the order of arrival, as they alone tell it."""
    by_id = {record.id: record for record in records}
    parts = sorted(
        part(record.status == "disconnected", timestamp.to_ns(record.time), record.id.encode(), _cells(record))
        for record in records
    )
    ordered = [by_id[one.id.decode()] for one in parts]
    values = dict(zip(_FIELDS, merge_cells(parts), strict=True))
    web = values["type"] in WEB or values["method"] in WEB
    times = span(parts, web, values["connection_id"] is not None)
    state, reason = times.state, None
    if state == COMPLETED and parts[0].ended:
        reason = "no connect event was seen"
    elif state == UNKNOWN:
        reason = (
            "it has no connection id" if values["connection_id"] is None else "its connect event has no usable time"
        )
    usable = [record.time for record in ordered if timestamp.to_ns(record.time) != timestamp.NS_MIN]
    names: dict[str, str | None] = {}
    for record in ordered:
        if record.names is not UNSET:
            for key, value in record.names.items():
                if names.get(key) is None:
                    names[key] = value
    return Connection(
        id=records[0].id,
        connect_time=min(usable, default=ordered[0].time),
        disconnect_time=next((record.time for record in ordered if record.status == "disconnected"), None),
        duration_seconds=None if times.duration_ns is None else times.duration_ns / 1e9,
        state=STATE_NAMES[state],
        state_reason=reason,
        event_ids=[record.id for record in ordered],
        names=names or UNSET,
        **values,  # type: ignore[arg-type]  # _FIELDS are fields of both structs, of the same types
    )


_FIELDS = tuple(
    name for name in Connection.__struct_fields__ if name in Record.__struct_fields__ and name not in ("id", "names")
)


def _cells(record: Record) -> tuple[Cell, ...]:
    return tuple(getattr(record, name) for name in _FIELDS)
