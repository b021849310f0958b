"""The ending: why a connection without an end is unknown, in rows, filters, order and counts alike."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper import timestamp
from shipper.config import IndexOutput
from shipper.index import Connection, IndexReader, IndexWriter
from shipper.index.count import Asked, count_groups
from shipper.outputs.local_index import LocalIndex
from shipper.query import Filter, parse_query
from shipper.record import Gap, Record, Source

NOW = 1_767_225_600_000_000_000
HOUR = 3_600_000_000_000
WORKSPACE = "0000000b-0000-4000-8000-00000000000b"


def event(number: int, hours: int, agent: int | None = 1, status: str = "connected", name: str = "main") -> Record:
    return Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=timestamp.from_ns(NOW + hours * HOUR),
        status=status,
        type="ssh",
        method="ssh",
        workspace_id=WORKSPACE,
        workspace_name="dev",
        agent_name=name,
        agent_id=None if agent is None else f"{agent:08x}-0000-4000-8000-00000000000a",
        connection_id=f"{number:08x}-0000-4000-8000-0000000000cc",
    )


def write(path: Path, made: list[Record], gaps: list[Gap] | None = None, limit_seconds: int | None = None) -> None:
    writer = IndexWriter(path)
    writer.limit_ongoing(limit_seconds)
    for seq, one in enumerate(made, 1):
        writer.add(seq, [one], [b""], gaps=gaps if gaps and seq == 1 else [], stored_ns=NOW)
    writer.close()


def ask(path: Path, query: str = "", sort: str = "time") -> list[Connection]:
    reader = IndexReader(path)
    answer = reader.search(
        parse_query(query, NOW), events=False, limit=0, sort=sort, since_ns=None, until_ns=None, now_ns=NOW
    )
    rows = [row for row in answer.rows if isinstance(row, Connection)]
    reader.close()
    return rows


def states(path: Path) -> list[tuple[str, str | None]]:
    return [(row.state, row.state_reason) for row in ask(path)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_agent_that_came_back_under_another_id_ends_what_it_did_before(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    made = [event(1, -3), event(2, -2, name="other"), event(3, -1, agent=2)]
    write(tmp_path / "i.db", [made[place] for place in order])
    reason = "its agent came back under another id at 2025-12-31T23:00:00Z: it was started anew, and can't tell the end"
    assert states(tmp_path / "i.db") == [("unknown", reason), ("ongoing", None), ("ongoing", None)]


@pytest.mark.parametrize(
    "later",
    [
        event(2, -1),  # the same agent
        event(2, -1, agent=2, status="disconnected"),  # an end may come late
        event(2, -4, agent=2),  # it was before
        event(2, -1, agent=None),
    ],
)
def test_nothing_else_is_taken_for_a_new_start(tmp_path: Path, later: Record) -> None:
    write(tmp_path / "i.db", [event(1, -3), later])
    assert [row.state for row in ask(tmp_path / "i.db") if row.id == event(1, 0).id] == ["ongoing"]


def test_what_is_older_than_the_limit_is_unknown_and_what_ended_stays(tmp_path: Path) -> None:
    ended = event(9, -5)
    end = replace(event(8, -4, status="disconnected"), connection_id=ended.connection_id)
    write(tmp_path / "i.db", [event(1, -3), event(2, -1), ended, end], [], 7200)
    assert states(tmp_path / "i.db") == [
        ("completed", None),
        ("unknown", "no end came within 2h, which ongoing_max allows"),
        ("ongoing", None),
    ]


def test_coders_own_status_keeps_calling_it_ongoing(tmp_path: Path) -> None:
    write(tmp_path / "i.db", [event(1, -3), event(2, -1)], [], 7200)
    found = {
        query: [row.id[:8] for row in ask(tmp_path / "i.db", query)]
        for query in ("status:ongoing", "state:ongoing", "state:unknown", "duration:>10m")
    }
    assert found == {
        "status:ongoing": ["00000001", "00000002"],
        "state:ongoing": ["00000002"],
        "state:unknown": ["00000001"],
        # how long an unknown one lasted nobody knows
        "duration:>10m": ["00000002"],
    }


def test_counts_and_order_are_by_the_same_state(tmp_path: Path) -> None:
    gap = Gap(schema=1, gap="cursor_lost", source=Source(), detected=timestamp.from_ns(NOW - 2 * HOUR))
    path = tmp_path / "i.db"
    write(path, [event(1, -3), event(2, -1), event(3, -1, agent=None)], [gap])
    assert [row.state for row in ask(path, sort="state")] == ["ongoing", "ongoing", "unknown"]
    reader = IndexReader(path)
    bounds: dict[str, int | None] = {"since_ns": None, "until_ns": None}
    for asked in (Asked(("state",)), Asked(("state",), durations=True), Asked(("state", "type"))):
        groups, _ = count_groups(reader, path, Filter(), asked, events=False, now_ns=NOW, **bounds)
        assert [(group.values[0], group.count) for group in groups] == [("ongoing", 2), ("unknown", 1)]
    groups, _ = count_groups(reader, path, Filter(), Asked(unique="state"), events=False, now_ns=NOW, **bounds)
    assert [group.unique for group in groups] == [2]
    reader.close()


def test_the_limit_is_that_of_the_configuration_and_reaches_who_asks_without_one(tmp_path: Path) -> None:
    path = tmp_path / "i.db"
    write(path, [event(1, -3)])
    for seconds, expected in ((3600, "unknown"), (None, "ongoing"), (5 * 3600, "ongoing")):
        LocalIndex(path, IndexOutput(ongoing_max_seconds=seconds)).close()
        assert [row.state for row in ask(path)] == [expected]
