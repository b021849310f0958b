"""The condition: a filter as an SQL expression on ``events`` or ``connections``, with its parameters.

Text is looked for among the words, each kept once, and rows are compared by the words' ids: a substring or
a regular expression is tried on thousands of texts, not on millions of rows.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Callable, Sequence

from msgspec import Struct

from shipper import timestamp
from shipper.directory.lookup import Directory, Match
from shipper.index.ending import read_ending
from shipper.index.expression import CONNECTIONS, EVENTS, Expression
from shipper.index.identifier import pack_id, request_number
from shipper.index.linewise import matching_texts
from shipper.index.literal import longest_literal
from shipper.index.person import bounded, meaning
from shipper.index.schema import COLUMNS, ONGOING, POINT, STATE_NAMES
from shipper.index.shortcut import Keyed, Probe, find
from shipper.index.sql import (
    GET_FACT,
    WORDS_ALL,
    WORDS_CONTAINING,
    WORDS_HOLDING,
    WORDS_OF_COLUMN,
)
from shipper.query.filter import (
    Addresses,
    Contains,
    Filter,
    FreeText,
    Ids,
    Methods,
    Moment,
    Names,
    Numbers,
    Pattern,
    State,
    Status,
    Term,
    Text,
    Types,
)
from shipper.query.kind import kinds
from shipper.query.parse import unknown_value
from shipper.query.value import read_uuid

KNOWN_VALUES_MAX = 1000
_TEXT_COLUMNS = {
    "app": ("app",),
    "workspace": ("workspace_name", "workspace"),
    "agent": ("agent_name", "agent"),
    "slug": ("slug",),
}
_NAME_COLUMNS = {
    "organization": ("name_organization", "organization"),
    "workspace_owner": ("name_owner", "owner"),
    "workspace_owner_email": (None, "owner"),
    "username": ("name_user", "user"),
    "user_email": ("name_email", "user"),
}
_match_id_start = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]){0,24}").fullmatch


__all__ = ["CONNECTIONS", "EVENTS", "Compiler", "Condition"]


class Condition(Struct):
    """An expression with its parameters; ``source`` is the table as it stands after FROM; ``notes`` are sentences
    that belong to the answer."""

    source: str
    text: str
    parameters: list[object]
    notes: list[str]


class Compiler(Expression):
    """Makes conditions for one target, ``events`` or ``connections``, of one database at one moment."""

    def __init__(self, database: sqlite3.Connection, target: str, now_ns: int, directory: Directory) -> None:
        super().__init__(database, target)
        self._directory = directory
        self._now_ns = now_ns
        self._notes: list[str] = []
        self._state = read_ending(database, now_ns).state

    def compile(self, filter_: Filter, since_ns: int | None, until_ns: int | None) -> Condition:
        """The condition of a filter and a range of time, both ends belonging to it.

        Raises QueryError for a type or method that is neither known nor present.
        """
        self._parameters, self._notes = [], []
        shortcuts: list[list[Probe]] = []
        parts = []
        for term in filter_.terms:
            self._probes = []
            parts.append(self._term(term))
            if self._probes is not None and not term.negated:  # type: ignore[redundant-expr]  # a term's method sets it
                shortcuts.append(self._probes)
        for bound, operator in ((since_ns, ">="), (until_ns, "<=")):
            if bound is not None:
                parts.append(f"{self._time} {operator} {self._put(_clamp(bound))}")
        source = self._target
        if self._target == CONNECTIONS:
            found = [few for probes in shortcuts if (few := find(self._database, probes)) is not None]
            if found:
                source = "connections NOT INDEXED"  # but by number, of which there are few
                parts.append(f"id IN {self._list(min(found, key=len))}")
        return Condition(source, " AND ".join(parts) or "1", self._parameters, list(dict.fromkeys(self._notes)))

    def _term(self, term: Term) -> str:
        text = _COMPILERS[type(term)](self, term)
        return f"({text}) IS NOT TRUE" if term.negated else f"({text})"

    def free_text(self, term: FreeText) -> str:
        parts = self._words(self._database.execute(WORDS_CONTAINING, (term.text,)).fetchall())
        if _match_id_start(term.text):
            digits = term.text.replace("-", "")
            low, high = bytes.fromhex(f"{digits:0<32}"), bytes.fromhex(f"{digits:f<32}")
            parts.append(self._of_event(self._between(EVENTS, "event", low, high)))
            parts.append(self._of_connection(self._between(CONNECTIONS, "connection_id", low, high)))
        packed = pack_id(term.text) or ""
        parts.append(f"session = {self._put(packed)}")
        if self._probes is not None:
            self._probes.append(Keyed(CONNECTIONS, "session", packed, packed))
        if isinstance(packed, bytes):
            parts.append(self._of_request(request_number(term.text)))
        matches, more = self._directory.containing(term.text)
        if more:
            self._notes.append(f"more names hold {term.text} than are looked for; give more of it")
        return self._any([*parts, *self._people(matches)])

    def pattern(self, term: Pattern) -> str:
        literal = longest_literal(term.regex)
        found = self._database.execute(*((WORDS_ALL,) if literal is None else (WORDS_HOLDING, (literal.decode(),))))
        rows = found.fetchall()
        parts = self._words([rows[place][:2] for place in matching_texts(term.regex, [row[2] for row in rows])])
        shown = list(self._directory.shown())
        named = [shown[place] for place in matching_texts(term.regex, [row[3] for row in shown])]
        return self._any([*parts, *self._people(self._directory.of_values(named))])

    def text(self, term: Text) -> str:
        name, *id_column = _TEXT_COLUMNS[term.key]
        parts = [self._apps(name, term.values) if term.key == "app" else self._equals(name, term.values)]
        ids = tuple(uuid for value in term.values if (uuid := read_uuid(value)))
        parts += [self._equals(column, ids) for column in id_column if ids]
        return self._any(parts)

    def contains(self, term: Contains) -> str:
        bit = 1 << COLUMNS.index("reason")
        found = [
            word
            for value in term.values
            for word, uses in self._database.execute(WORDS_CONTAINING, (value,))
            if uses & bit
        ]
        return self._holds("reason", found)

    def ids(self, term: Ids) -> str:
        if term.key == "workspace_id":
            return self._equals("workspace", term.values)
        ids = [uuid.UUID(value).bytes for value in term.values]
        return self._of_connection(self._any([self._between(CONNECTIONS, "connection_id", one, one) for one in ids]))

    def names(self, term: Names) -> str:
        name_column, id_column = _NAME_COLUMNS[term.key]
        named = self._database.execute(GET_FACT, ("named",)).fetchone() is not None
        meant = meaning(term, self._directory, stored_names=named)
        self._notes += meant.notes
        columns = [column for column in (name_column, id_column) if column is not None]
        parts = [self._equals(column, meant.values) for column in columns]
        return self._any([*parts, *self._people(meant.matches, (id_column,))])

    def _people(self, matches: Sequence[Match], columns: Sequence[str | None] | None = None) -> list[str]:
        """That a row has one of the ids in the time in which it was called so."""
        wanted = None if columns is None else [column for column in columns if column]
        parts = []
        for one in bounded(matches, wanted):
            text = self._equals(one.column, one.ids)
            for bound, operator in ((one.period.from_ns, ">="), (one.period.until_ns, "<")):
                if bound is not None:
                    text += f" AND {self._time} {operator} {self._put(_clamp(bound))}"
            parts.append(f"({text})")
        return parts

    def _present(self, column: str) -> tuple[str, ...]:
        rows = self._database.execute(WORDS_OF_COLUMN, (1 << COLUMNS.index(column), KNOWN_VALUES_MAX))
        return tuple(row[0] for row in rows)

    def types(self, term: Types) -> str:
        table = kinds()
        known = tuple(dict.fromkeys((*table.types, *table.families)))
        asked = tuple(map(_same_name, term.values))
        self._check("type", asked, known, _same_name)
        parts = [self._apps("type", tuple(one for value in asked for one in table.family(value)))]
        if "ssh" in asked:
            foreign = self._apps("type", table.foreign_apps())
            ssh = self._equals("method", ("ssh",))
            # The order of the two is the order of their parameters.
            parts.append(f"(({foreign}) IS NOT TRUE AND {ssh})")
        return self._any(parts)

    def methods(self, term: Methods) -> str:
        self._check("method", term.values, kinds().methods)
        return self._equals("method", term.values)

    def _check(
        self, key: str, values: tuple[str, ...], known: tuple[str, ...], same: Callable[[str], str] = str
    ) -> None:
        if all(value in known for value in values):
            return
        present = tuple(map(same, self._present(key)))
        for value in values:
            if value not in known and value not in present:
                raise unknown_value(key, value, (*known, *present))

    def addresses(self, term: Addresses) -> str:
        import ipaddress

        parts = []
        for text in term.networks:
            network = ipaddress.ip_network(text)
            low, high = network.network_address.packed, network.broadcast_address.packed
            parts.append(f"length(packed) = {len(low)} AND packed BETWEEN {self._put(low)} AND {self._put(high)}")
        parameters = [self._parameters.pop() for _ in range(2 * len(parts))][::-1]
        statement = f"SELECT id FROM words WHERE packed IS NOT NULL AND ({self._any(parts)})"  # noqa: S608  # own names
        return self._holds("ip", [row[0] for row in self._database.execute(statement, parameters)])

    def numbers(self, term: Numbers) -> str:
        parts = []
        self._walked("")
        for one in term.comparisons:
            value = _clamp(one.value)
            if term.key == "code":
                parts.append(f"code {_OPERATORS[one.operator]} {self._put(value)}")
            else:
                # One that goes on has lasted until now.
                lasted = f"coalesce(duration_ns, CASE WHEN {self._state} = {ONGOING} THEN {self._put(self._now_ns)} - connect_ns END)"
                parts.append(self._of_connection(f"{lasted} {_OPERATORS[one.operator]} {self._put(value)}"))
        return self._any(parts)

    def moment(self, term: Moment) -> str:
        return self._walked(
            f"{self._time} {'>=' if term.key == 'connected_after' else '<='} {self._put(_clamp(term.ns))}"
        )

    def status(self, term: Status) -> str:
        parts = [f"disconnect_ns IS {'NULL' if value == 'ongoing' else 'NOT NULL'}" for value in term.values]
        return self._walked(self._of_connection(f"state <> {POINT} AND ({self._any(parts)})"))

    def state(self, term: State) -> str:
        self._walked("")
        states = [STATE_NAMES.index(value) for value in term.values]
        return self._of_connection(f"{self._state} IN {self._list(states)}")


def _same_name(name: str) -> str:
    return name.replace("-", "_")


def _clamp(value: int) -> int:
    return max(timestamp.NS_MIN, min(timestamp.NS_MAX, value))


_OPERATORS = {"=": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
_COMPILERS: dict[type[Term], Callable[..., str]] = {
    FreeText: Compiler.free_text,
    Pattern: Compiler.pattern,
    Text: Compiler.text,
    Contains: Compiler.contains,
    Ids: Compiler.ids,
    Names: Compiler.names,
    Types: Compiler.types,
    Methods: Compiler.methods,
    Addresses: Compiler.addresses,
    Numbers: Compiler.numbers,
    Moment: Compiler.moment,
    Status: Compiler.status,
    State: Compiler.state,
}
