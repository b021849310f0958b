"""Evidence: finds in the index the events that tell who was behind sessions that agents reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from shipper import timestamp
from shipper.attribution import (
    ALONE_NS,
    ASTRAY_NS,
    DENIED_CODE,
    LOOKBACK_NS,
    SESSION,
    SKEW_NS,
    TERMINAL,
    TUNNEL,
    Attribution,
    Evidence,
    Session,
    attribute,
    usable_session_id,
)
from shipper.directory.sighting import USER
from shipper.index.answer import ROWS_TOGETHER
from shipper.index.connection import Connection
from shipper.index.lookup import find_connections
from shipper.index.naming import Named
from shipper.index.reader import IndexReader
from shipper.query.filter import Comparison, Filter, Ids, Names, Numbers, Term, Text, Types
from shipper.query.kind import WEB
from shipper.record import Record

EVENTS_MAX_COUNT = 10_000
"""Events looked through for one agent and the time asked for; of more, as of so many users, nothing is said for sure."""
SESSIONS_MAX_COUNT = 1000
PAIRS_MAX_COUNT = 10
OTHERS_MAX_COUNT = 10
"""Events of others that are looked for, to tell whether a user was alone."""
TERMINAL_SLUG = "terminal"
NO_CONNECT = "no connect event was seen"
Row = Record | Connection
_Day = tuple[str, str | None, int]
"""A workspace, an agent, and the day: the evidence for all sessions of one is looked up once."""
_KINDS: tuple[tuple[str, tuple[Term, ...]], ...] = (
    (TUNNEL, (Types(("tunnel",)),)),
    (TERMINAL, (Types(("workspace_app",)), Text("slug", (TERMINAL_SLUG,)))),
)
_REFUSED = Numbers("code", (Comparison(">=", DENIED_CODE),), negated=True)


class Witness:
    """Attributes rows of the index at ``path``, with a reader of its own: the rows of an answer stay valid. For one thread."""

    def __init__(self, path: Path) -> None:
        """Raises StateError where there is no index."""
        self._path = path
        self._reader = IndexReader(path)

    def release(self) -> None:
        """Let go of the view of the index; the next question takes a new one."""
        self._reader.release()

    def close(self) -> None:
        """Close it."""
        self._reader.close()

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows in order, those that an agent reported with ``attributed_user`` and ``attribution`` among their names."""
        together: list[Row] = []
        for row in rows:
            together.append(row)
            if len(together) >= ROWS_TOGETHER:
                yield from self._together(together)
                together = []
        yield from self._together(together)

    def of(self, row: Row) -> Attribution | None:
        """Who was behind a row; None where it names its user itself, or is no session of an agent's."""
        return self._attributions([row])[0]

    def _together(self, rows: Sequence[Row]) -> Iterator[Row]:
        for row, found in zip(rows, self._attributions(rows), strict=True):
            yield row if found is None else self.named(row, found)

    def named(self, row: Named, found: Attribution) -> Named:
        """The row with an attribution among its names."""
        names = {} if row.names is UNSET else dict(row.names)
        return replace(row, names=names | self.names(found, _time_ns(row)))

    def names(self, found: Attribution, at_ns: int) -> dict[str, str | None]:
        """An attribution as a row's names have it: users by their name as of then, or their id."""
        called = [self._called(id_, at_ns) for id_ in found.candidates]
        names: dict[str, str | None] = {
            "attributed_user": None if found.user_id is None else self._called(found.user_id, at_ns),
            "attribution": found.grade,
            "attribution_candidates": " ".join(called) or None,
            "attribution_evidence": " ".join(found.evidence) or None,
        }
        return {key: value for key, value in names.items() if value is not None}

    def _called(self, id_: str, at_ns: int) -> str:
        return self._reader.directory.value(USER, id_, "username", at_ns) or id_

    def _attributions(self, rows: Sequence[Row]) -> list[Attribution | None]:
        days: dict[_Day, list[Evidence]] = {}
        sessions: dict[str, list[Row]] = {}
        beside: dict[tuple[_Day, str], list[Evidence]] = {}
        found: list[Attribution | None] = []
        for row in rows:
            if not is_reported(row):
                found.append(None)
                continue
            start_ns = self._start_ns(row)
            evidence: list[Evidence] = []
            id_ = row.client_session_id
            day: _Day | None = None
            if row.workspace_id is not None and start_ns is not None:
                day = (row.workspace_id, row.agent_name, start_ns // LOOKBACK_NS)
            if id_ is not None and usable_session_id(id_):
                if id_ not in sessions:
                    sessions[id_] = self._of_session(id_)
                evidence += [_of_client(one, row) for one in sessions[id_]]
                users = dict.fromkeys(one.user_id for one in evidence if one.user_id is not None)
                for user in users:
                    if day is None:
                        break
                    if (day, user) not in beside:
                        beside[day, user] = self._others(*day, user)
                    evidence += beside[day, user]
            if day is not None:
                if day not in days:
                    days[day] = self._around(*day)
                evidence += days[day]
            session = Session(row.type, start_ns, id_, row.workspace_owner_id)
            found.append(attribute(session, evidence))
        return found

    def _start_ns(self, row: Row) -> int | None:
        """When the session of a row began; None where only its end is known."""
        if isinstance(row, Record):
            if row.status == "connected":
                return _usable(_time_ns(row))
            ours = (row.connection_id, row.workspace_id, row.agent_name)
            for one in find_connections(self._reader, self._path, row.connection_id or "", PAIRS_MAX_COUNT):
                if (one.connection_id, one.workspace_id, one.agent_name) == ours:
                    return self._start_ns(one)
            return None
        return None if row.state_reason == NO_CONNECT else _usable(_time_ns(row))

    def _around(self, workspace: str, agent: str | None, day: int) -> list[Evidence]:
        """The tunnels and web terminals that may carry the sessions of one day."""
        since_ns, until_ns = (day - 1) * LOOKBACK_NS, (day + 1) * LOOKBACK_NS + SKEW_NS
        found: list[Evidence] = []
        for kind, terms in _KINDS:
            some, cut = self._events(kind, workspace, agent, terms, since_ns, until_ns, EVENTS_MAX_COUNT)
            found += [evidence for name, evidence in some if name == agent]
            if cut:
                # What was not looked at may be anybody's.
                found += [Evidence(kind, one.event_id, one.time_ns, None, one.code) for _, one in some]
        return found

    def _others(self, workspace: str, agent: str | None, day: int, user: str) -> list[Evidence]:
        """Some events of others than ``user`` who were let through about the sessions of one day."""
        since_ns, until_ns = day * LOOKBACK_NS - ALONE_NS, (day + 1) * LOOKBACK_NS + ASTRAY_NS
        not_of_user = Names("username", (user,), negated=True)
        found: list[Evidence] = []
        for kind, terms in _KINDS:
            wanted = (*terms, not_of_user, _REFUSED)
            some, _ = self._events(kind, workspace, agent, wanted, since_ns, until_ns, OTHERS_MAX_COUNT)
            found += [evidence for _, evidence in some]
        return found

    def _events(
        self,
        kind: str,
        workspace: str,
        agent: str | None,
        terms: tuple[Term, ...],
        since_ns: int,
        until_ns: int,
        limit: int,
    ) -> tuple[list[tuple[str | None, Evidence]], bool]:
        """The newest events of an agent, in any case of its name, each with that, and whether there are more."""
        common: list[Term] = [Ids("workspace_id", (workspace,))]
        if agent is not None:
            common.append(Text("agent", (agent.lower(),)))
        answer = self._reader.search(
            Filter((*common, *terms)),
            events=True,
            limit=limit,
            sort="-time",
            since_ns=max(timestamp.NS_MIN, since_ns),
            until_ns=min(timestamp.NS_MAX, until_ns),
            now_ns=0,
        )
        some = [
            (row.agent_name, Evidence(kind, row.id, _time_ns(row), row.user_id, row.code))
            for row in answer.rows
            if isinstance(row, Record)
        ]
        return some, bool(answer.cut)

    def _of_session(self, id_: str) -> list[Row]:
        """The rows that name a user, of one client session."""
        same = find_connections(self._reader, self._path, id_, SESSIONS_MAX_COUNT)
        if len(same) >= SESSIONS_MAX_COUNT:
            return []  # what was not looked at may name another
        return [one for one in same if one.client_session_id == id_ and one.user_id is not None]


def _of_client(one: Row, row: Row) -> Evidence:
    """An event of the client session of ``row``."""
    here = (one.workspace_id, one.agent_name) == (row.workspace_id, row.agent_name)
    return Evidence(SESSION, one.id, _time_ns(one), one.user_id, one.code, here)


def is_reported(row: Row) -> bool:
    """Whether a row is a session that an agent reported, without its user."""
    return row.user_id is None and row.connection_id is not None and row.type not in WEB and row.method not in WEB


def _time_ns(row: Row) -> int:
    return timestamp.to_ns(row.time if isinstance(row, Record) else row.connect_time)


def _usable(ns: int) -> int | None:
    return None if ns == timestamp.NS_MIN else ns
