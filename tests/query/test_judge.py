"""A filter asked of single records in memory has the answers of the index about events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import QueryError
from shipper.query import parse_query
from shipper.query.judge import judge
from shipper.record import Record
from tests.index.question import NOW
from tests.index.question import queries as questions
from tests.index.test_oracle import ask, fill, parse_query_or_none, records


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("judge")
    return (folder / f"{number}.db" for number in itertools.count())


@given(made=records(), queries=st.lists(questions, min_size=4, max_size=8))
def test_it_says_what_the_index_says(paths: Iterator[Path], made: list[Record], queries: list[str]) -> None:
    reader = fill(next(paths), [made])
    for query in queries:
        filter_ = parse_query_or_none(query)
        if filter_ is None:
            continue
        try:
            meets = judge(filter_)
        except QueryError:
            assert any(f"{key}:" in query for key in ("status", "state", "duration"))
            continue
        try:
            expected = {row.id for row in ask(reader, query, True)}
        except QueryError:
            continue  # a type that nobody has seen, which may come
        assert {record.id for record in made if meets(record)} == expected, query
    reader.close()


@pytest.mark.parametrize("query", ["status:ongoing", "-state:point", "ssh duration:>1h"])
def test_what_is_asked_about_connections_is_refused(query: str) -> None:
    with pytest.raises(QueryError, match="asks about connections"):
        judge(parse_query(query, NOW))


def test_a_type_that_nobody_has_seen_may_come() -> None:
    meets = judge(parse_query("type:warp-terminal", NOW))
    assert meets(Record(1, "i", "t", "connected", type="Warp_Terminal"))
    assert not meets(Record(1, "i", "t", "connected", type="ssh"))
    assert not meets(Record(1, "i", "t", "connected"))
