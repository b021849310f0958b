"""Counts: how many events or connections there are of each value, by interval, with unique values and durations."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import tzinfo
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from msgspec import Struct

from shipper.directory.lookup import Directory
from shipper.directory.sighting import WORKSPACE
from shipper.errors import UsageError
from shipper.index.cell import sort_columns
from shipper.index.clock import from_wall, to_wall, wall
from shipper.index.condition import CONNECTIONS, EVENTS, Compiler, Condition
from shipper.index.ending import read_ending
from shipper.index.failure import translated
from shipper.index.lexicon import DAY_NS
from shipper.index.person_count import NAMED_FIELDS, PersonGroups
from shipper.index.reader import IndexReader
from shipper.index.schema import COLUMNS, KIND_COLUMNS, PLACE_COLUMNS, STATE_NAMES
from shipper.index.sql import COUNTED_KINDS, GET_FACT, GET_WORD
from shipper.query.filter import Filter
from shipper.timestamp import NS_MAX, NS_MIN

GROUPS_MAX = 1_000_000
"""Groups in one answer; more are refused, since nobody reads them and memory has an end."""
PERCENTILES = (50, 90, 99)

Value = str | int | None
FIELDS: dict[str, str] = {
    **{name: column for name, column in sort_columns().items() if column in COLUMNS},
    "user": "name_user",
    "user_email": "name_email",
    "template": "name_template",
    "code": "code",
    "state": "state",
    "status": "ended",
}
"""What can be counted by, with the column behind it."""


_TIMES = ("time", "minute", "hour", "day", "date", "week", "month", "year")


class Durations(Struct, frozen=True):
    """Of the ended connections of a group, in seconds."""

    ended: int
    p50: float | None
    p90: float | None
    p99: float | None
    max: float | None


class Group(Struct, frozen=True):
    """One line of the answer: ``values`` of the fields asked for, ``start_ns`` of its interval or None,
    ``unique`` values of the field asked for or None."""

    values: tuple[Value, ...]
    start_ns: int | None
    count: int
    unique: int | None = None
    durations: Durations | None = None


class Asked(Struct, frozen=True):
    """What to count: fields to group by, an interval in ns, a field whose values are counted once each; ``zone``: where
    the intervals begin as clocks there have it, None: UTC."""

    by: tuple[str, ...] = ()
    interval_ns: int | None = None
    unique: str | None = None
    durations: bool = False
    zone: tzinfo | None = None

    def next_start(self, start_ns: int) -> int:
        """When the interval after the one that starts at ``start_ns`` starts."""
        assert self.interval_ns is not None
        if self.zone is None:
            return start_ns + self.interval_ns
        return from_wall(to_wall(start_ns, self.zone) + self.interval_ns, self.zone)


def count_groups(
    reader: IndexReader,
    path: Path,
    filter_: Filter,
    asked: Asked,
    *,
    events: bool,
    since_ns: int | None,
    until_ns: int | None,
    now_ns: int,
) -> tuple[list[Group], tuple[str, ...]]:
    """The groups, those of one interval together and the largest first, and notes.

    Raises UsageError for an unknown field and for more than ``GROUPS_MAX`` groups.
    """
    target = EVENTS if events else CONNECTIONS
    # Without any name, neither known nor stored, what is counted are the ids that answers show in their place.
    stored_names = reader.view().execute(GET_FACT, ("named",)).fetchone() is not None
    fields = [_column(name, events, reader.directory, stored_names) for name in asked.by]
    unique = None if asked.unique is None else _column(asked.unique, events, reader.directory, stored_names)
    if asked.durations and events:
        raise UsageError("single events have no duration: leave --events out")
    with translated(path):
        database = reader.view(now_ns)
        state = read_ending(database, now_ns).state
        time = "time_ns" if events else "connect_ns"
        persons = _persons(reader, database, asked)
        condition = Compiler(database, target, now_ns, reader.directory).compile(filter_, since_ns, until_ns)
        start = _start(wall(database, target, time, asked.zone), time, asked.interval_ns)
        # A kind or a place is counted as a whole, and told apart afterwards: that is once for each, not for each row.
        told = unique is not None or asked.durations
        keys = [start]
        for column, person in zip(fields, persons, strict=True):
            base = state if column == "state" else _value(column) if told else _key(column)
            keys.append(base if person is None else person.key(base, _value(column), time))
        # By nothing is by one constant, which SQLite would sort all rows for.
        named = [key for key in keys if key != "NULL"]
        group = f"GROUP BY {', '.join(named)}" if named else ""
        counted = state if unique == "state" else None if unique is None else _value(unique)
        what = "count(*)" if counted is None else f"count(*), count(DISTINCT {counted})"
        statement = f"SELECT {', '.join(keys)}, {what} FROM {condition.source} WHERE {condition.text} {group} LIMIT ?"  # noqa: S608  # own names
        of_kinds = all(key == "kind" for key in keys[1:]) and asked.interval_ns is None and unique is None
        if of_kinds and condition.text == "1" and not events:
            statement = COUNTED_KINDS.format(", id" * len(fields))
        rows = database.execute(statement, (*condition.parameters, GROUPS_MAX + 1)).fetchall()
        if len(rows) > GROUPS_MAX:
            raise UsageError(f"more than {GROUPS_MAX} groups; narrow the question, or take a longer --interval")
        lengths: dict[tuple[Value, ...], Durations] = {}
        if asked.durations:
            lengths = _durations(database, keys, condition)
        names = _Names(database, fields, persons, told=told)
        totals: dict[tuple[Value, ...], list[int]] = {}
        for row in rows:
            known = totals.setdefault((row[0], *names.of(row[1 : len(keys)])), [0, 0])
            known[0] += row[len(keys)]
            known[1] += row[-1]
        lengths = {(key[0], *names.of(key[1:])): value for key, value in lengths.items()}
    groups = [
        Group(key[1:], _begin(key[0], asked.zone), count, None if unique is None else once, lengths.get(key))
        for key, (count, once) in totals.items()
        if count
    ]
    groups.sort(key=lambda group: (group.start_ns is not None, group.start_ns or 0, -group.count, str(group.values)))
    return groups, tuple(condition.notes)


class _Names:
    """Turns what was grouped by into what is shown."""

    def __init__(
        self, database: sqlite3.Connection, columns: Sequence[str], persons: Sequence[PersonGroups | None], told: bool
    ) -> None:
        self._database = database
        self._columns = columns
        self._persons = persons
        self._told = told
        self._words: dict[int, str | None] = {}
        self._tables: dict[str, dict[int, int | None]] = {}

    def of(self, keys: Sequence[Value]) -> tuple[Value, ...]:
        return tuple(map(self._named, self._columns, self._persons, keys))

    def _named(self, column: str, person: PersonGroups | None, key: Value) -> Value:
        if person is None or key is None:
            return self._one(column, key)
        number, _, version = str(key).partition(":")
        id_ = self._one(column, int(number))
        return person.shown(id_, int(version or 0)) if isinstance(id_, str) else id_

    def _one(self, column: str, key: Value) -> Value:
        if not isinstance(key, int) or column == "code":
            return key
        if column == "state":
            return STATE_NAMES[key]
        if column == "ended":
            return "disconnected" if key else "connected"
        word: int | None = key
        table = _table(column)
        if table is not None and not self._told:
            known = self._tables.get(column)
            if known is None:
                known = self._tables[column] = dict(self._database.execute(f"SELECT id, {column} FROM {table}"))  # noqa: S608  # own names
            word = known.get(key)
        if word is None:
            return None
        if word not in self._words:
            row = self._database.execute(GET_WORD, (word,)).fetchone()
            self._words[word] = None if row is None else str(row[0])
        return self._words[word]


def _durations(
    database: sqlite3.Connection, keys: Sequence[str], condition: Condition
) -> dict[tuple[Value, ...], Durations]:
    """The durations of each group, sorted by SQLite, which uses the disk where it has to."""
    numbers = ", ".join(str(n + 1) for n in range(len(keys)))
    source, parameters = condition.source, condition.parameters
    lasted = f"({condition.text}) AND duration_ns IS NOT NULL"
    counts = f"SELECT {', '.join(keys)}, count(*) FROM {source} WHERE {lasted} GROUP BY {numbers}"  # noqa: S608  # own names
    order = f"SELECT duration_ns FROM (SELECT {', '.join(keys)}, duration_ns FROM {source} WHERE {lasted} ORDER BY {numbers}, duration_ns)"  # noqa: S608  # own names
    found: dict[tuple[Value, ...], Durations] = {}
    walk = database.execute(order, parameters)
    for *key, ended in database.execute(counts, parameters).fetchall():
        wanted = [max(0, -(-percent * ended // 100) - 1) for percent in PERCENTILES]
        at: dict[int, float] = {}
        for place, (length,) in enumerate(islice(walk, ended)):
            if place in wanted or place == ended - 1:
                at[place] = length / 1e9
        p50, p90, p99 = (at[place] for place in wanted)
        found[tuple(key)] = Durations(ended, p50, p90, p99, at[ended - 1])
    return found


def _persons(reader: IndexReader, database: sqlite3.Connection, asked: Asked) -> list[PersonGroups | None]:
    """For each field that is a name, what tells its keys."""
    found: list[PersonGroups | None] = []
    for number, name in enumerate(asked.by):
        field = NAMED_FIELDS.get(name.lower())
        known = field is not None and reader.directory.knows(field.kind)
        found.append(PersonGroups(database, reader.directory, field, number) if known and field else None)
    return found


def _column(name: str, events: bool, directory: Directory, stored_names: bool) -> str:
    column = FIELDS.get(name.lower())
    field = NAMED_FIELDS.get(name.lower())
    if field is not None and (directory.knows(field.kind) or not (stored_names or field.kind == WORKSPACE)):
        return field.column
    if column is None or column == ("state" if events else "ended"):
        known = [one for one, behind in FIELDS.items() if behind != ("state" if events else "ended")]
        near = get_close_matches(name.lower(), known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "known are " + ", ".join(known)
        if name.lower() in _TIMES:
            hint = "--interval 1h, 1d, … counts over time"
        raise UsageError(f'can\'t count by "{name}"; {hint}')
    return column


def _table(column: str) -> str | None:
    return "kinds" if column in KIND_COLUMNS else "places" if column in PLACE_COLUMNS else None


def _key(column: str) -> str:
    return {"kinds": "kind", "places": "place", None: column}[_table(column)]


def _value(column: str) -> str:
    table = _table(column)
    return column if table is None else f"(SELECT {column} FROM {table} WHERE {table}.id = {table[:-1]})"  # noqa: S608  # own names


def _start(clock: str, column: str, interval_ns: int | None) -> str:
    """The start of the interval that a time lies in, as the ``clock`` of its zone shows it; null where it is unusable."""
    if interval_ns is None:
        return "NULL"
    inside = f"((({clock}) % {interval_ns}) + {interval_ns}) % {interval_ns}"
    return f"CASE WHEN {column} > {NS_MIN + interval_ns + DAY_NS} AND {column} < {NS_MAX - DAY_NS} THEN ({clock}) - {inside} END"


def _begin(value: Value, zone: tzinfo | None) -> int | None:
    if not isinstance(value, int):
        return None
    return value if zone is None else from_wall(value, zone)
