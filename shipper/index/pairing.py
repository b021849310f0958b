"""Pairing: what a connection's row says, from those of its events that can still tell.

A connection of many events is not merged from all of them each time: an event that gives none of the
row's values never will, whatever else comes, and is spent.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

from shipper.index import sql
from shipper.index.connection import Cell, Part, Span, merge_cells, part, span
from shipper.index.identifier import Packed
from shipper.index.presence import Presence, pair_numbers
from shipper.index.schema import COMPLETED, KEY_BYTES, ONGOING, POINT, UNKNOWN
from shipper.index.segment import NewestFirst
from shipper.index.word import Words
from shipper.timestamp import NS_MIN

PARTS_MERGED_MAX = 32
"""Of a connection with more events only those that give a value are kept for later merges."""

_CELLS = 6
"""Where the cells begin in a row of ``ADD_CONNECTION``."""
_KIND, _PLACE = 2, 3
NUMBERS_TOGETHER = 4096
_UUID = 16
"""Bytes of an id that is a UUID."""
Key = tuple[Packed, int | None, int | None]


class Found(NamedTuple):
    """A connection that is in the index: its number, its kind, and its first two events."""

    number: int
    kind: int
    first: int
    second: int | None


class Gathered(NamedTuple):
    """The events of one connection in a batch, by their places in it, in order; ``found``: it was in the index before."""

    number: int
    found: Found | None
    places: list[int]


class Member(NamedTuple):
    """An event of a connection with its number; members sort in the order of the merge."""

    part: Part
    event: int


class Alone(NamedTuple):
    """Events of a batch, by the number of the first, with the ids of their connections and what tells of their states; but
    for the places of ``others`` each is a new connection of its own."""

    first: int
    ids: Sequence[Packed | None]
    ended: Sequence[int]
    times: Sequence[int]
    kinds: Sequence[int]
    others: Collection[int]


class Pairing:
    """Finds, adds and changes connections within the writer's transaction."""

    def __init__(self, database: sqlite3.Connection, words: Words, room: int = 0) -> None:
        """``room``: how many connections are expected at least."""
        self._database = database
        self._words = words
        self._segments = NewestFirst(database, "connections")
        paired = int(database.execute(sql.COUNT_PAIRED).fetchone()[0])
        self.presence = Presence(database, "connections", self._numbers, paired, room)

    def _numbers(self) -> Iterator[list[int]]:
        rows = self._database.execute(sql.ALL_PAIRED)
        while some := rows.fetchmany(NUMBERS_TOGETHER):
            yield self._keys_of(*zip(*some, strict=True))

    def _keys_of(self, ids: Sequence[Packed], places: Sequence[int], kinds: Sequence[int]) -> list[int]:
        """The keys of presence of connections; equal ones are seldom of two connections."""
        words = self._words
        workspaces = map(words.workspace_marks.__getitem__, places)
        return pair_numbers(ids, workspaces, map(words.agent_marks.__getitem__, kinds))

    def gather(
        self, ids: Sequence[Packed | None], kinds: Sequence[int], places: Sequence[int], number: int
    ) -> tuple[Sequence[int], list[Gathered], int]:
        """The number of the connection that each event of a batch belongs to, those connections that were there before
        or have several of these events, and the last number there is then; ``number`` is the last now."""
        paired = [place for place, id_ in enumerate(ids) if id_ is not None]
        keys = self._keys_of(
            [ids[place] for place in paired],  # type: ignore[misc]  # none of these is None
            [places[place] for place in paired],
            [kinds[place] for place in paired],
        )
        times: Mapping[int, int] = {}
        distinct = list(dict.fromkeys(keys))
        if len(distinct) < len(keys):
            times = Counter(keys)
        maybe = {distinct[place] for place in self.presence.take(distinct)}
        if not maybe and not times:
            return range(number + 1, number + 1 + len(ids)), [], number + len(ids)
        workspaces, agents = self._words.workspaces, self._words.agent_names
        groups: dict[Key, list[int]] = {}
        looked: set[int] = set()
        for place, key in zip(paired, keys, strict=True):
            if key in maybe:
                looked.add(place)
            elif times.get(key, 1) == 1:
                continue
            one: Key = (ids[place], workspaces[places[place]], agents[kinds[place]])  # type: ignore[assignment]  # none is None
            groups.setdefault(one, []).append(place)
        firsts: dict[int, tuple[Found | None, list[int]]] = {}
        others: set[int] = set()
        for key_of, members in groups.items():
            found = self._look(*key_of) if members[0] in looked else None
            if found is not None or len(members) > 1:
                firsts[members[0]] = found, members
                others.update(members[1:])
        belongs = [0] * len(ids)
        gathered: list[Gathered] = []
        for place in range(len(ids)):
            if place in firsts:
                found, members = firsts[place]
                if found is None:
                    number += 1
                gathered.append(Gathered(number if found is None else found.number, found, members))
                for member in members:
                    belongs[member] = gathered[-1].number
            elif place not in others:
                number += 1
                belongs[place] = number
        return belongs, gathered, number

    def _look(self, connection_id: Packed, workspace: int | None, agent: int | None) -> Found | None:
        workspaces, agents = self._words.workspaces, self._words.agent_names
        for among in self._segments.lists:
            for one, kind, place, first, second in self._database.execute(
                sql.FIND_CONNECTIONS, (among, connection_id[:KEY_BYTES], connection_id)
            ):
                if workspaces[place] == workspace and agents[kind] == agent:
                    return Found(one, kind, first, second)
        return None

    def reach(self, number: int) -> None:
        """Know that connections up to this number are in the database."""
        self._segments.reach(number)
        self.presence.grow()

    def add(self, rows: Sequence[tuple[Any, ...]], alone: Alone, kinds: Counter[int]) -> None:
        """Add new connections: rows of ``ADD_CONNECTION``, and those of one event, with how many of each kind the latter
        are."""
        self._add_alone(alone)
        self._database.executemany(sql.ADD_CONNECTION, rows)
        kinds.update(row[_CELLS + _KIND] for row in rows)
        self._database.executemany(sql.COUNT_KIND, [(count, kind) for kind, count in kinds.items() if count])

    def _add_alone(self, alone: Alone) -> None:
        first, ids, others = alone.first, alone.ids, alone.others
        known = set(ids)
        # 16 bytes that are none of the ids, of which even that of zeros may be one.
        nothing = next(one for one in (number.to_bytes(_UUID, "big") for number in count()) if one not in known)
        whole = [nothing if id_ is None else id_ for id_ in ids]
        if set(map(type, whole)) == {bytes} and set(map(len, whole)) == {_UUID}:
            packed = b"".join(whole)  # type: ignore[arg-type]  # all are bytes
            web = json.dumps([kind for kind in set(alone.kinds) if self._words.is_web(kind)])
            given: tuple[object, ...] = (first, first + len(ids) - 1, web, packed, nothing)
            if others:
                given = (*given, json.dumps([first + place for place in others]))
            self._database.execute(sql.ADD_SOME_ALONE if others else sql.ADD_ALL_ALONE, given)
        else:
            rows = enumerate(zip(self._states(alone), ids, strict=True))
            self._database.executemany(
                sql.ADD_ALONE, [(*row, first + place) for place, row in rows if place not in others]
            )

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

    def _states(self, alone: Alone) -> list[int]:
        """The states of connections of one event each: what ``span`` gives of a single part."""
        web = {kind: self._words.is_web(kind) for kind in set(alone.kinds)}
        return [
            POINT if web[kind] else COMPLETED if end else UNKNOWN if id_ is None or time_ns == NS_MIN else ONGOING
            for id_, end, time_ns, kind in zip(alone.ids, alone.ended, alone.times, alone.kinds, strict=True)
        ]

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
