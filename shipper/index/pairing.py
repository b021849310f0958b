"""Pairing: what a connection's row says, from those of its events that can still tell.

A connection of many events is not merged from all of them each time: an event that gives none of the
row's values never will, whatever else comes, and is spent.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from shipper.index import sql
from shipper.index.connection import Cell, Part, Span, merge_cells, part, span
from shipper.index.identifier import Packed
from shipper.index.presence import Presence, id_numbers, pair_mark, pair_number
from shipper.index.schema import COMPLETED, KEY_BYTES, KIND_COLUMNS, ONGOING, PLACE_COLUMNS, POINT, UNKNOWN
from shipper.index.segment import NewestFirst
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

PARTS_MERGED_MAX = 32
"""Of a connection with more events only those that give a value are kept for later merges."""

CELLS = 6
"""Where the cells begin in a row of ``ADD_EVENT``."""
ROW_KIND = CELLS + 2
_KIND, _PLACE = 2, 3
_AGENT_NAME = KIND_COLUMNS.index("agent_name")
_WORKSPACE = PLACE_COLUMNS.index("workspace")
Key = tuple[Packed, int | None, int | None]


class Found(NamedTuple):
    """A connection that is in the index: its number, its kind, and its first two events."""

    number: int
    kind: int
    first: int
    second: int | None


class Gathered(NamedTuple):
    """The events of one connection in a batch, by their places in it; ``found``: it was in the index before."""

    number: int
    found: Found | None
    places: list[int]


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

    def gather(
        self, ids: Sequence[Packed | None], kinds: Sequence[Any], places: Sequence[Any], number: int
    ) -> tuple[list[int], list[Gathered | None], int]:
        """The number of the connection that each event of a batch belongs to, those of one connection gathered (None:
        an event that is a connection by itself), and the last number there is then; ``number`` is the last now."""
        workspaces = {place: self._words.expand("places", place)[_WORKSPACE] for place in set(places)}
        agents = {kind: self._words.expand("kinds", kind)[_AGENT_NAME] for kind in set(kinds)}
        keys = [
            None if id_ is None else (id_, workspaces[place], agents[kind])
            for id_, kind, place in zip(ids, kinds, places, strict=True)
        ]
        paired: dict[Any, Gathered] = {}
        found = self._find([key for key in dict.fromkeys(keys) if key is not None])  # type: ignore[misc]  # ids of words
        belongs: list[int] = []
        gathered: list[Gathered | None] = []
        for place, key in enumerate(keys):
            one = None
            if key is None:
                number += 1
                belongs.append(number)
            else:
                one = paired.get(key)
                if one is None:
                    before = found.get(key)  # type: ignore[arg-type]  # ids of words
                    if before is None:
                        number += 1
                    one = paired[key] = Gathered(number if before is None else before.number, before, [])
                one.places.append(place)
                belongs.append(one.number)
            gathered.append(one)
        return belongs, gathered, number

    def _find(self, keys: Sequence[Key]) -> dict[Key, Found]:
        """The connections of keys; those that have none are noted, since they get one now."""
        marks: dict[tuple[int | None, int | None], int] = {}
        numbers = []
        for number, (_, workspace, agent) in zip(id_numbers([key[0] for key in keys]), keys, strict=True):
            mark = marks.get((workspace, agent))
            if mark is None:
                mark = marks[workspace, agent] = pair_mark(workspace, agent)
            numbers.append(number ^ mark)
        found = {}
        for place in self.presence.perhaps(numbers):
            one = self._look(*keys[place])
            if one is not None:
                found[keys[place]] = one
        self.presence.add(number for number, key in zip(numbers, keys, strict=True) if not found or key not in found)
        return found

    def _look(self, connection_id: Packed, workspace: int | None, agent: int | None) -> Found | None:
        expand = self._words.expand
        for among in self._segments.lists:
            for one, kind, place, first, second in self._database.execute(
                sql.FIND_CONNECTIONS, (among, connection_id[:KEY_BYTES], connection_id)
            ):
                if expand("places", place)[_WORKSPACE] == workspace and expand("kinds", kind)[_AGENT_NAME] == agent:
                    return Found(one, kind, first, second)
        return None

    def reach(self, number: int) -> None:
        """Know that connections up to this number are in the database."""
        self._segments.reach(number)
        self.presence.grow()

    def add(self, rows: Sequence[tuple[Any, ...]], alone: Sequence[tuple[Any, ...]], kinds: Counter[int]) -> None:
        """Add new connections: rows of ``ADD_CONNECTION``, and rows of ``ADD_ALONE`` with ``kinds``, how many of each kind
        these are."""
        self._database.executemany(sql.ADD_ALONE, alone)
        self._database.executemany(sql.ADD_CONNECTION, rows)
        kinds.update(row[CELLS + _KIND] for row in rows)
        self._database.executemany(sql.COUNT_KIND, [(count, kind) for kind, count in kinds.items()])

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
        firsts = (events[0], events[1] if len(events) > 1 else None)
        self._change(found.number, found.kind, members, firsts, connection_id, stored_ns)

    def alone(self, connection_id: Packed | None, row: Sequence[Any]) -> tuple[Any, ...]:
        """What ``ADD_ALONE`` wants of a new connection of one event, from the event's own row for ``ADD_EVENT``: what
        ``span`` gives of a single part."""
        event, time_ns, ended = row[0], row[2], row[3]
        if self._words.is_web(row[ROW_KIND]):
            state = POINT
        elif ended:
            state = COMPLETED
        else:
            state = UNKNOWN if connection_id is None or time_ns == NS_MIN else ONGOING
        return state, connection_id, event

    def together(self, number: int, members: Sequence[Member], connection_id: Cell, stored_ns: int) -> tuple[Any, ...]:
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
        connection_id, first, second, kind = self._database.execute(sql.CONNECTION_ROW, (number,)).fetchone()
        more = [row[0] for row in self._database.execute(sql.ALL_MORE_EVENTS, (number,))] if second else []
        events = sorted(event for event in (first, second, *more) if event is not None and not low <= event <= high)
        if more:
            self._database.execute(sql.DROP_MORE, (number,))
        if not events:
            self._database.execute(sql.DROP_CONNECTION, (number,))
            self._database.execute(sql.COUNT_KIND, (-1, kind))
            return
        members = sorted(self._members(events))
        spent = self._spent(members)
        self._database.executemany(sql.ADD_MORE, [(number, int(event in spent), event) for event in events[2:]])
        firsts = (events[0], events[1] if len(events) > 1 else None)
        self._change(number, kind, members, firsts, connection_id, stored_ns)

    def _change(
        self,
        number: int,
        kind: int,
        members: Sequence[Member],
        firsts: tuple[int, int | None],
        connection_id: Cell,
        stored_ns: int,
    ) -> None:
        times, cells = self._merge(members, connection_id, stored_ns)
        self._database.execute(sql.CHANGE_CONNECTION, (*times[1:], *firsts, *cells, number))
        if cells[_KIND] != kind:
            self._database.executemany(sql.COUNT_KIND, ((-1, kind), (1, cells[_KIND])))
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
