"""Pairing: what a connection's row says, from those of its events that can still tell.

A connection of many events is not merged from all of them each time: an event that gives none of the
row's values never will, whatever else comes, and is spent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from shipper.index import sql
from shipper.index.connection import Cell, Part, Span, merge_cells, part, span
from shipper.index.presence import Presence, pair_number
from shipper.index.schema import COMPLETED, KEY_BYTES, KIND_COLUMNS, ONGOING, PLACE_COLUMNS, POINT, UNKNOWN
from shipper.index.segment import NewestFirst
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

PARTS_MERGED_MAX = 32
"""Of a connection with more events only those that give a value are kept for later merges."""

_KIND, _PLACE = 2, 3
_AGENT_NAME = KIND_COLUMNS.index("agent_name")
_WORKSPACE = PLACE_COLUMNS.index("workspace")
Key = tuple[bytes | str, int | None, int | None]


class Found(NamedTuple):
    """A connection that is in the index: its number, and its first two events."""

    number: int
    first: int
    second: int | None


class Member(NamedTuple):
    """An event of a connection with its number; members sort in the order of the merge."""

    part: Part
    event: int


class Pairing:
    """Finds, adds and changes connections within the writer's transaction."""

    def __init__(self, database: sqlite3.Connection, words: Words) -> None:
        self._database = database
        self._words = words
        self._segments = NewestFirst(database, "connections")
        self.presence = Presence(
            database, "connections", self._numbers, int(database.execute(sql.COUNT_PAIRED).fetchone()[0])
        )

    def _numbers(self) -> Iterator[int]:
        expand = self._words.expand
        for connection_id, place, kind in self._database.execute(sql.ALL_PAIRED):
            yield pair_number(connection_id, expand("places", place)[_WORKSPACE], expand("kinds", kind)[_AGENT_NAME])  # type: ignore[arg-type]  # ids of words

    def key(self, connection_id: bytes | str, cells: Sequence[Cell]) -> Key:
        """What the events of one connection have in common."""
        kind, place = cells[_KIND], cells[_PLACE]
        assert isinstance(kind, int)
        assert isinstance(place, int)
        expand = self._words.expand
        return connection_id, expand("places", place)[_WORKSPACE], expand("kinds", kind)[_AGENT_NAME]  # type: ignore[return-value]  # ids of words

    def find(self, key: Key) -> Found | None:
        """The connection of a key; a key that has none is noted, since it gets one now."""
        connection_id, workspace, agent = key
        number = pair_number(connection_id, workspace, agent)
        if self.presence.may_hold(number):
            expand = self._words.expand
            for among in self._segments.lists:
                for one, kind, place, first, second in self._database.execute(
                    sql.FIND_CONNECTIONS, (among, connection_id[:KEY_BYTES], connection_id)
                ):
                    if expand("places", place)[_WORKSPACE] == workspace and expand("kinds", kind)[_AGENT_NAME] == agent:
                        return Found(one, first, second)
        self.presence.add((number,))
        return None

    def reach(self, number: int) -> None:
        """Know that connections up to this number are in the database."""
        self._segments.reach(number)
        self.presence.grow()

    def extend(self, found: Found, came: Sequence[Member], connection_id: Cell, stored_ns: int) -> None:
        """Add events to a connection; ``came`` is in the order of storage."""
        more = [row[0] for row in self._database.execute(sql.MORE_EVENTS, (found.number,))] if found.second else []
        members = [*self._members([found.first, *([found.second] if found.second else []), *more]), *came]
        events = [found.first, *([found.second] if found.second else []), *(member.event for member in came)]
        rest = events[2:]
        members.sort()
        spent = self._spent(members) - set(events[:2])
        self._database.executemany(sql.ADD_MORE, [(found.number, int(event in spent), event) for event in rest])
        self._database.executemany(sql.SPEND_MORE, [(found.number, event) for event in more if event in spent])
        self._change(
            found.number, members, (events[0], events[1] if len(events) > 1 else None), connection_id, stored_ns
        )

    def alone(
        self, number: int, connection_id: Cell, event: int, ended: bool, time_ns: int, cells: Sequence[Cell]
    ) -> tuple[object, ...]:
        """The row of a new connection of one event, for ``ADD_CONNECTION``: what ``span`` gives of a single part."""
        kind = cells[_KIND]
        assert isinstance(kind, int)
        if self._words.is_web(kind):
            state = POINT
        elif ended:
            state = COMPLETED
        else:
            state = UNKNOWN if connection_id is None or time_ns == NS_MIN else ONGOING
        return (time_ns, time_ns if ended else None, None, state, event, None, *cells, connection_id, number)

    def together(
        self, number: int, members: Sequence[Member], connection_id: Cell, stored_ns: int
    ) -> tuple[object, ...]:
        """The row of a new connection of several events, which are in the order of storage; those beyond the
        second are noted here."""
        ordered = sorted(members)
        spent = self._spent(ordered)
        events = [member.event for member in members]
        self._database.executemany(sql.ADD_MORE, [(number, int(event in spent), event) for event in events[2:]])
        times, cells = self._merge(ordered, connection_id, stored_ns)
        return (*times, events[0], events[1], *cells, connection_id, number)

    def without(self, number: int, low: int, high: int, stored_ns: int) -> None:
        """What is left of a connection when its events from ``low`` to ``high`` are gone."""
        connection_id, first, second = self._database.execute(sql.CONNECTION_ROW, (number,)).fetchone()
        more = [row[0] for row in self._database.execute(sql.ALL_MORE_EVENTS, (number,))] if second else []
        events = sorted(event for event in (first, second, *more) if event is not None and not low <= event <= high)
        if more:
            self._database.execute(sql.DROP_MORE, (number,))
        if not events:
            self._database.execute(sql.DROP_CONNECTION, (number,))
            return
        members = sorted(self._members(events))
        spent = self._spent(members)
        self._database.executemany(sql.ADD_MORE, [(number, int(event in spent), event) for event in events[2:]])
        self._change(number, members, (events[0], events[1] if len(events) > 1 else None), connection_id, stored_ns)

    def _change(
        self,
        number: int,
        members: Sequence[Member],
        firsts: tuple[int, int | None],
        connection_id: Cell,
        stored_ns: int,
    ) -> None:
        times, cells = self._merge(members, connection_id, stored_ns)
        self._database.execute(sql.CHANGE_CONNECTION, (*times[1:], *firsts, *cells, number))
        self._database.execute(sql.MOVE_CONNECTION, (times.connect_ns, number, times.connect_ns))

    def _members(self, events: Sequence[int]) -> Iterator[Member]:
        for event in events:
            ended, time_ns, id_, *cells = self._database.execute(sql.PART, (event,)).fetchone()
            yield Member(part(bool(ended), time_ns, id_, tuple(cells)), event)

    def _merge(self, members: Sequence[Member], connection_id: Cell, stored_ns: int) -> tuple[Span, tuple[Cell, ...]]:
        parts = [member.part for member in members]
        cells = list(merge_cells(parts))
        for place, table in ((_KIND, "kinds"), (_PLACE, "places")):
            numbers = dict.fromkeys(one.cells[place] for one in parts)
            if len(numbers) > 1:
                words = zip(
                    *(self._words.expand(table, number) for number in numbers if isinstance(number, int)), strict=True
                )
                merged = [next((word for word in column if word is not None), None) for column in words]
                cells[place] = self._words.fold(table, merged, stored_ns)
        kind = cells[_KIND]
        assert isinstance(kind, int)
        return span(parts, self._words.is_web(kind), connection_id is not None), tuple(cells)

    def _spent(self, members: Sequence[Member]) -> set[int]:
        """The events, of many in the order of the merge, that give no value of the row."""
        if len(members) <= PARTS_MERGED_MAX:
            return set()
        usable = [member for member in members if not member.part.unusable]
        giving = {members[0].event, *(member.event for member in islice((m for m in members if m.part.ended), 1))}
        if usable:
            giving.add(min(usable, key=lambda member: member.part.time_ns).event)
        missing: set[int] | None = None
        for member in members:
            cells = self._whole(member.part.cells)
            if missing is None:
                missing = set(range(len(cells)))
            gives = {column for column in missing if cells[column] is not None}
            if gives:
                giving.add(member.event)
                missing -= gives
        return {member.event for member in members} - giving

    def _whole(self, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        kind, place = cells[_KIND], cells[_PLACE]
        assert isinstance(kind, int)
        assert isinstance(place, int)
        return (
            *cells[:_KIND],
            *self._words.expand("kinds", kind),
            *self._words.expand("places", place),
            *cells[_PLACE + 1 :],
        )
