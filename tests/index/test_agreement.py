"""Answers that belong together agree: of a limit, a range, an order and counts with the whole answer."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import timestamp
from shipper.errors import QueryError
from shipper.index import Connection
from shipper.index.count import Asked, count_groups
from shipper.record import Record
from tests.index.question import HOUR, NOW, queries
from tests.index.test_oracle import ask, fill, parse_query_or_none, records


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("agreement")
    return (folder / f"{number}.db" for number in itertools.count())


@given(
    made=records(20),
    query=queries,
    bounds=st.tuples(*[st.none() | st.integers(-6, 6).map(lambda hours: NOW + hours * HOUR)] * 2),
    limit=st.integers(1, 6),
    sort=st.sampled_from(
        ["time", "-time", "workspace", "-code", "type", "-duration", "state", "disconnect_time", "-ip"]
    ),
    events=st.booleans(),
)
def test_a_limit_a_range_an_order_and_counts_agree_with_the_whole_answer(
    paths: Iterator[Path],
    made: list[Record],
    query: str,
    bounds: tuple[int | None, int | None],
    limit: int,
    sort: str,
    events: bool,
) -> None:
    path = next(paths)
    reader = fill(path, [made])
    filter_ = parse_query_or_none(query)
    if filter_ is None or (events and sort.removeprefix("-") in ("duration", "state", "disconnect_time")):
        reader.close()
        return
    asked = {"events": events, "since_ns": bounds[0], "until_ns": bounds[1], "now_ns": NOW}
    try:
        answer = reader.search(filter_, limit=0, sort=sort, **asked)  # type: ignore[arg-type]  # as search has them
    except QueryError:
        reader.close()
        return  # a type that is not there
    rows: list[Any] = list(answer.rows)
    inside = [
        row.id
        for row in ask(reader, query, events)
        if (bounds[0] is None or time_of(row) >= bounds[0]) and (bounds[1] is None or time_of(row) <= bounds[1])
    ]
    assert sorted(row.id for row in rows) == sorted(inside)
    part = reader.search(filter_, limit=limit, sort=sort, **asked)  # type: ignore[arg-type]  # the same
    assert [row.id for row in part.rows] == [row.id for row in rows[:limit]]
    assert part.cut == (len(rows) > limit)
    if sort in ("time", "-time"):
        times = [time_of(row) for row in rows]
        assert times == sorted(times, reverse=sort == "-time")
    for field, name in (("workspace", "workspace_name"), ("type", "type"), ("user_id", "user_id"), ("code", "code")):
        groups, _ = count_groups(reader, path, filter_, Asked((field,)), **asked)  # type: ignore[arg-type]  # the same
        assert {group.values[0]: group.count for group in groups} == Counter(getattr(row, name) for row in rows)
    if not events:
        groups, _ = count_groups(reader, path, filter_, Asked(("state",), durations=True), **asked)  # type: ignore[arg-type]
        assert {group.values[0]: group.count for group in groups} == Counter(row.state for row in rows)
        for group in groups:
            lengths = sorted(
                row.duration_seconds
                for row in rows
                if row.state == group.values[0] and row.duration_seconds is not None
            )
            assert (group.durations.ended if group.durations else 0) == len(lengths)
            if group.durations is not None:
                assert group.durations.max == lengths[-1]
                assert group.durations.p50 == lengths[(len(lengths) + 1) // 2 - 1]
    reader.close()


def time_of(row: Any) -> int:
    return timestamp.to_ns(row.connect_time if isinstance(row, Connection) else row.time)
