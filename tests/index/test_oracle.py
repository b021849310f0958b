"""The index against a brute-force reading of the same records: every question has the same answer."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from shipper import timestamp
from shipper.errors import QueryError
from shipper.index import Connection, IndexReader, IndexWriter
from shipper.query import Filter, parse_query
from shipper.query.filter import (
    Addresses,
    Contains,
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
from shipper.record import Gap, Record, Source
from tests.index.question import HOUR, NOW, texts, uuid
from tests.index.question import queries as questions

ZERO = "0001-01-01T00:00:00.000000000Z"
WEB = ("workspace_app", "port_forwarding", "tunnel")


# ---- records -------------------------------------------------------------------------------------

_maybe = st.none() | texts
_times = st.one_of(
    st.integers(-5, 5).map(lambda hours: timestamp.from_ns(NOW + hours * HOUR)),
    st.sampled_from([ZERO, "9999-12-31T23:59:59.999999999Z", "1999-01-01T00:00:00.000000001Z"]),
)
_names = st.just(UNSET) | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("user", "user_email", "workspace_owner", "organization", "template"), _maybe)
)


def records(count: int = 12) -> st.SearchStrategy[list[Record]]:
    """Records of few connections, so that many belong together; no id twice."""
    one = st.builds(
        Record,
        schema=st.just(1),
        id=st.just(""),
        time=_times,
        status=st.sampled_from(["connected", "disconnected"]),
        type=st.sampled_from(["ssh", "vscode", "cursor", "goland", "Workspace_App", "workspace_app", "tunnel", None]),
        method=st.sampled_from(["ssh", "workspace_app", "tunnel", None]),
        app=st.sampled_from([None, "cursor", "code-server", "Code_Server"]),
        organization_id=st.sampled_from([None, uuid(1)]),
        workspace_owner_id=st.sampled_from([None, uuid(2)]),
        workspace_id=st.sampled_from([uuid(3), uuid(4), None]),
        workspace_name=_maybe,
        agent_name=st.sampled_from(["main", "gpu", None]),
        agent_id=st.sampled_from([None, uuid(5), uuid(8)]),
        user_id=st.sampled_from([None, uuid(6), uuid(7)]),
        ip=st.sampled_from([None, "10.0.0.1", "10.9.0.1", "192.168.0.1", "fd7a:115c:a1e0::1", "::1"]),
        user_agent=_maybe,
        slug_or_port=_maybe,
        code=st.sampled_from([None, 0, 200, 404, -1]),
        connection_id=st.sampled_from([None, uuid(0xABCDEF01), uuid(0xABCDEF02)]),
        client_session_id=st.sampled_from([None, "0123456789abcdef0123456789abcdef"]),
        disconnect_reason=_maybe,
        request_id=st.sampled_from([None, uuid(9), "req-1"]),
        source=st.builds(Source, path=st.just("/log"), offset=st.integers(0, 9), meta=st.just({"unit": "coder"})),
        extra=st.dictionaries(
            st.sampled_from(["A", "B"]), texts | st.integers() | st.lists(texts, max_size=2), max_size=2
        ),
        names=_names,
    )
    return st.lists(one, max_size=count).map(lambda made: [replace(r, id=uuid(100 + n)) for n, r in enumerate(made)])


# ---- the brute force -----------------------------------------------------------------------------

_FIELDS = (
    "type", "method", "app", "organization_id", "workspace_owner_id", "workspace_id", "workspace_name", "agent_name",
    "agent_id", "user_id", "ip", "user_agent", "slug_or_port", "code", "connection_id", "client_session_id",
    "disconnect_reason",
)  # fmt: skip
_NAME_KEYS = ("user", "user_email", "workspace_owner", "organization", "template")
Row = dict[str, Any]


def event_row(record: Record) -> Row:
    names = {} if record.names is UNSET else record.names
    extra = "\n".join(value for value in record.extra.values() if isinstance(value, str)) or None
    return {
        **{name: getattr(record, name) for name in _FIELDS},
        **{f"name:{key}": names.get(key) for key in _NAME_KEYS},
        "extra": extra,
    }


def group(all_records: Sequence[Record]) -> list[list[Record]]:
    groups: dict[object, list[Record]] = {}
    for record in all_records:
        paired = (record.connection_id, record.workspace_id, record.agent_name)
        groups.setdefault(paired if record.connection_id else record.id, []).append(record)
    return list(groups.values())


def starts(all_records: Sequence[Record]) -> dict[tuple[str, str | None], dict[str, int]]:
    """For each agent of a workspace when each of its ids first connected."""
    found: dict[tuple[str, str | None], dict[str, int]] = {}
    for record in all_records:
        if record.status == "connected" and record.time != ZERO and record.agent_id and record.workspace_id:
            of_agent = found.setdefault((record.workspace_id, record.agent_name), {})
            time_ns = timestamp.to_ns(record.time)
            of_agent[record.agent_id] = min(of_agent.get(record.agent_id, time_ns), time_ns)
    return found


def connection_row(members: list[Record], bounds: Sequence[int], all_records: Sequence[Record]) -> Row:
    """What one connection is, from its events in the order of arrival; one that began up to one of ``bounds`` does not
    go on for certain."""

    def rank(record: Record) -> tuple[bool, bool, int, str]:
        return (record.status == "disconnected", record.time == ZERO, timestamp.to_ns(record.time), record.id)

    ordered = sorted(members, key=rank)
    rows = [event_row(record) for record in ordered]
    merged: Row = {key: next((row[key] for row in rows if row[key] is not None), None) for key in rows[0]}
    ends = [record for record in ordered if record.status == "disconnected"]
    begins = [record for record in ordered if record.status == "connected" and record.time != ZERO]
    times = [timestamp.to_ns(record.time) for record in members if record.time != ZERO]
    connect = min(times, default=timestamp.NS_MIN)
    duration = None
    if ends and begins and ends[0].time != ZERO:
        duration = min(timestamp.to_ns(ends[0].time) - connect, timestamp.NS_MAX)
    if merged["type"] in WEB or merged["method"] in WEB:
        state = "point"
    elif ends:
        state = "completed"
    elif not times or merged["connection_id"] is None or any(connect <= bound for bound in bounds):
        state = "unknown"
    else:
        others = starts(all_records).get((merged["workspace_id"], merged["agent_name"]), {})
        mine = merged["agent_id"]
        anew = mine is not None and any(agent != mine and first > connect for agent, first in others.items())
        state = "unknown" if anew else "ongoing"
    merged.update(connect=connect, ended=bool(ends), duration=duration, state=state, members=members)
    return merged


def texts_of(row: Row) -> Iterator[str]:
    for key, value in row.items():
        if isinstance(value, str) and key not in ("connection_id", "client_session_id", "state", "request_id"):
            yield value


def meets(filter_: Filter, row: Row, whole: Row, time: int) -> bool:
    """Whether a row (an event's, or a connection's own) with its connection meets the filter."""
    return all(holds(term, row, whole, time) is not term.negated for term in filter_.terms)


def holds(term: Term, row: Row, whole: Row, time: int) -> bool:
    def low(key: str) -> str | None:
        return None if row[key] is None else str(row[key]).lower()

    match term:
        case FreeText(text=text):
            digits = text.replace("-", "")
            events = row["members"]
            started = bool(re.fullmatch("[0-9a-f]{8,}", digits)) and any(
                id_ and id_.replace("-", "").startswith(digits)
                for id_ in [whole["connection_id"], *(record.id for record in events)]
            )
            requests = [record.request_id or "" for record in events]
            request = len(digits) == 32 and any(one.replace("-", "") == digits for one in requests)
            return (
                started
                or request
                or digits == row["client_session_id"]
                or any(text in t.lower() for t in texts_of(row))
            )
        case Pattern(regex=regex):
            # Python takes "İ" for an "i" of either case; the index's engine, like Unicode, does not.
            search = re2.search if "İ" in regex else re.search
            return any(search(regex, text) for text in texts_of(row))
        case Text(key="app", values=values):
            return row["app"] is not None and row["app"].lower().replace("-", "_") in values
        case Text(key=key, values=values):
            by_id = {"workspace": "workspace_id", "agent": "agent_id"}.get(key)
            name = {"workspace": "workspace_name", "agent": "agent_name", "slug": "slug_or_port"}[key]
            return low(name) in values or (by_id is not None and row[by_id] in values)
        case Contains(values=values):
            reason = low("disconnect_reason")
            return reason is not None and any(value in reason for value in values)
        case Ids(key=key, values=values):
            return (whole if key == "connection_id" else row)[key] in values
        case Names(key=key, values=values):
            named, id_ = {
                "organization": ("name:organization", "organization_id"),
                "workspace_owner": ("name:workspace_owner", "workspace_owner_id"),
                "workspace_owner_email": (None, "workspace_owner_id"),
                "username": ("name:user", "user_id"),
                "user_email": ("name:user_email", "user_id"),
            }[key]
            return row[id_] in values or (named is not None and low(named) in values)
        case Types(values=values):
            families = kinds().families
            wanted = {app for value in values for app in (value, *families.get(value, ()))}
            others = {app for name in ("vscode", "jetbrains", "reconnecting_pty") for app in families[name]}
            return low("type") in wanted or ("ssh" in values and row["method"] == "ssh" and low("type") not in others)
        case Methods(values=values):
            return low("method") in values
        case Addresses(networks=networks):
            return row["ip"] is not None and any(
                ipaddress.ip_address(row["ip"]) in ipaddress.ip_network(network) for network in networks
            )
        case Numbers(key=key, comparisons=comparisons):
            value = row["code"] if key == "code" else whole["duration"]
            if key == "duration" and value is None and whole["state"] == "ongoing":
                value = NOW - whole["connect"]
            return value is not None and any(
                {
                    "=": value == c.value,
                    ">": value > c.value,
                    ">=": value >= c.value,
                    "<": value < c.value,
                    "<=": value <= c.value,
                }[c.operator]
                for c in comparisons
            )
        case Moment(key=key, ns=ns):
            return time >= ns if key == "connected_after" else time <= ns
        case Status(values=values):
            return whole["state"] != "point" and ("completed" if whole["ended"] else "ongoing") in values
        case State(values=values):
            return whole["state"] in values
    raise AssertionError(term)


def wholes(all_records: Sequence[Record], bounds: Sequence[int]) -> list[Row]:
    return [connection_row(members, bounds, all_records) for members in group(all_records)]


# ---- the promises --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("oracle")
    return (folder / f"{number}.db" for number in itertools.count())


def fill(
    path: Path, batches: Iterable[Sequence[Record]], gaps: Sequence[Gap] = (), limit_seconds: int | None = None
) -> IndexReader:
    writer = IndexWriter(path)
    writer.limit_ongoing(limit_seconds)
    for seq, batch in enumerate(batches, 1):
        writer.add(
            seq, batch, [b"line of " + r.id.encode() for r in batch], gaps=gaps if seq == 1 else (), stored_ns=NOW
        )
    writer.close()
    return IndexReader(path)


def ask(reader: IndexReader, query: str, events: bool, limit: int = 0) -> list[Any]:
    answer = reader.search(
        parse_query(query, NOW), events=events, limit=limit, sort="time", since_ns=None, until_ns=None, now_ns=NOW
    )
    return list(answer.rows)


@given(
    made=records(),
    queries=st.lists(questions, min_size=4, max_size=8),
    cut=st.integers(1, 12),
    with_gap=st.booleans(),
    limit_hours=st.sampled_from([None, 1, 3]),
)
def test_every_question_has_the_answer_of_brute_force(
    paths: Iterator[Path],
    made: list[Record],
    queries: list[str],
    cut: int,
    with_gap: bool,
    limit_hours: int | None,
) -> None:
    bounds = [NOW] if with_gap else []
    if limit_hours is not None:
        bounds.append(NOW - limit_hours * HOUR)
    gap = Gap(schema=1, gap="rotated_unread", source=Source(), detected=timestamp.from_ns(NOW))
    batches = [made[at : at + cut] for at in range(0, len(made), cut)] or [[]]
    limit_seconds = None if limit_hours is None else limit_hours * 3600
    reader = fill(next(paths), batches, [gap] if with_gap else [], limit_seconds)
    present = {(record.type or "").lower() for record in made} | set(kinds().types)
    for query in queries:
        filter_ = parse_query_or_none(query)
        if filter_ is None:
            continue
        unknown = {v for term in filter_.terms if isinstance(term, Types) for v in term.values} - present
        if unknown:
            with pytest.raises(QueryError, match="is not a valid value"):
                ask(reader, query, True)
            continue
        rows = wholes(made, bounds)
        expected = {row["members"][0].id for row in rows if meets(filter_, row, row, row["connect"])}
        found = {row.id: row for row in ask(reader, query, False)}
        assert found.keys() == expected, query
        states = {row["members"][0].id: row["state"] for row in rows}
        assert {id_: row.state for id_, row in found.items()} == {id_: states[id_] for id_ in found}
        assert all(row.state_reason for row in found.values() if row.state == "unknown")
        of_event = {record.id: row for row in rows for record in row["members"]}
        expected_events = {
            record.id
            for record in made
            if meets(
                filter_, {**event_row(record), "members": [record]}, of_event[record.id], timestamp.to_ns(record.time)
            )
        }
        assert {row.id for row in ask(reader, query, True)} == expected_events, query
    reader.close()


def parse_query_or_none(query: str) -> Filter | None:
    try:
        return parse_query(query, NOW)
    except QueryError as error:
        assert "more than once" in str(error)  # two elements of one key were drawn
        return None


@given(made=records(), order=st.randoms(use_true_random=False), cut=st.integers(1, 5))
def test_any_order_and_any_duplication_of_the_same_events_gives_the_same_connections(
    paths: Iterator[Path], made: list[Record], order: Any, cut: int
) -> None:
    shuffled = made + [record for record in made if order.random() < 0.5]
    order.shuffle(shuffled)
    straight = fill(next(paths), [made])
    mixed = fill(next(paths), [shuffled[at : at + cut] for at in range(0, len(shuffled), cut)])
    for query in ("", "state:ongoing", "status:completed", "code:>0", "duration:>=0s", "workspace:dev"):
        assert sorted(map(without_id, ask(straight, query, False))) == sorted(map(without_id, ask(mixed, query, False)))
    straight.close()
    mixed.close()


def without_id(connection: Connection) -> str:
    """The connection but for its id, which is the one of the event that came first."""
    assert connection.id in connection.event_ids
    return repr(replace(connection, id=""))


@given(made=records())
def test_every_record_and_every_original_comes_back_as_it_was(paths: Iterator[Path], made: list[Record]) -> None:
    reader = fill(next(paths), [made])
    assert {record.id: record for record in ask(reader, "", True)} == {record.id: record for record in made}
    for record in made:
        assert reader.record(record.id) == record
        assert reader.original(record.id) == b"line of " + record.id.encode()
    reader.close()


@given(made=records(), old=st.integers(0, 12))
def test_expiry_leaves_exactly_what_would_be_there_without_the_old_events(
    paths: Iterator[Path], made: list[Record], old: int
) -> None:
    path = next(paths)
    # That an agent was started anew stays known; here nothing of the old is to be seen.
    made = [replace(one, agent_id=None) if place < old else one for place, one in enumerate(made)]
    writer = IndexWriter(path, retention_seconds=3600)
    writer.add(1, made[:old], [b""] * len(made[:old]), stored_ns=NOW - 2 * HOUR)
    writer.add(2, made[old:], [b""] * len(made[old:]), stored_ns=NOW)
    assert writer.expire(NOW) == len(made[:old])
    writer.close()
    kept, fresh = IndexReader(path), fill(next(paths), [made[old:]])
    for events in (True, False):
        assert sorted(map(repr, ask(kept, "", events))) == sorted(map(repr, ask(fresh, "", events)))
    assert sorted(map(repr, ask(kept, "dev", False))) == sorted(map(repr, ask(fresh, "dev", False)))
    kept.close()
    fresh.close()


def test_a_text_is_found_whole_whatever_stands_in_it(paths: Iterator[Path]) -> None:
    texts = ["x\x00y", "x", "x\x00", "x\x00z"]
    ids = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(len(texts))]
    made = [
        Record(1, id_, timestamp.from_ns(NOW), "connected", type="ssh", app=text, slug_or_port=text)
        for id_, text in zip(ids, texts, strict=True)
    ]
    reader = fill(next(paths), [made], [], None)
    for id_, text in zip(ids, texts, strict=True):
        for key in ("slug", "app"):
            assert {row.id for row in ask(reader, f'{key}:"{text}"', False)} == {id_}
