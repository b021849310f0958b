"""An index filled in bulk holds what one filled by the daemon holds, whatever comes twice and whatever fails meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.index import Added, IndexWriter, bulk
from shipper.index.identifier import pack_id
from shipper.index.upkeep import check
from shipper.record import Record
from tests.index.question import NOW, uuid
from tests.index.test_oracle import records
from tests.index.test_writer import event

_TABLES = ("events", "connections", "more_events", "words", "kinds", "places", "starts", "facts")


def held(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of an index, but for its blocks."""
    database = sqlite3.connect(path)
    found = {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in _TABLES}
    found["indexes"] = database.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()
    database.close()
    return found


def filled(path: Path, batches: Sequence[Sequence[Record]], durable: bool) -> list[Added]:
    path.unlink(missing_ok=True)
    writer = IndexWriter(path, durable=durable)
    added = [
        writer.add(seq, batch, [b"line"] * len(batch), stored_ns=NOW + seq) for seq, batch in enumerate(batches, 1)
    ]
    writer.close()
    return added


@given(st.data())
def test_events_that_come_again_are_there_once_in_bulk_too(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("bulk")
    made = [replace(one, id=uuid(100 + number)) for number, one in enumerate(data.draw(records()))]
    batches = data.draw(st.lists(st.lists(st.sampled_from(made), max_size=8), max_size=4)) if made else []
    most = data.draw(st.sampled_from([0, 3, bulk.KEYS_MAX_COUNT]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "KEYS_MAX_COUNT", most)
        assert filled(folder / "bulk.db", batches, False) == filled(folder / "daemon.db", batches, True)
    assert held(folder / "bulk.db") == held(folder / "daemon.db")
    assert check(folder / "bulk.db") == []


def test_a_bulk_load_goes_on_after_a_batch_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path, durable=False)
    assert writer.load([event(1), event(2)], [b"a", b"b"], stored_ns=NOW) == Added(2, 0)
    refused = (sqlite3.SQLITE_INSERT, "events")
    writer._database.set_authorizer(lambda *asked: sqlite3.SQLITE_DENY if asked[:2] == refused else sqlite3.SQLITE_OK)
    with pytest.raises(Exception, match="not authorized"):
        # One of them is there: the index by their ids is made, and is gone again.
        writer.load([event(2), event(3)], [b"b", b"c"], stored_ns=NOW)
    writer._database.set_authorizer(None)
    assert writer.load([event(2), event(3)], [b"b", b"c"], stored_ns=NOW) == Added(1, 1)
    writer.close()
    assert check(path) == []
    filled(tmp_path / "other.db", [[event(1), event(2)], [event(3)]], True)
    assert held(path)["indexes"] == held(tmp_path / "other.db")["indexes"]


def test_a_bulk_load_into_an_index_that_holds_events_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    filled(path, [[event(1), event(2)]], True)
    writer = IndexWriter(path, durable=False)
    assert writer.load([event(2), event(3)], [b"b", b"c"], stored_ns=NOW) == Added(1, 1)
    writer.close()
    assert check(path) == []


def test_what_was_filled_in_bulk_takes_batches_and_lets_old_events_go(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    filled(path, [[event(number) for number in range(50)]], False)
    writer = IndexWriter(path, retention_seconds=60)
    later = NOW + 3_600_000_000_000
    assert writer.add(2, [event(49), event(50)], [b"x", b"y"], stored_ns=later) == Added(1, 1)
    assert writer.expire(later) == 50
    assert writer.add(3, [event(1)], [b"x"], stored_ns=later) == Added(1, 0)
    writer.close()
    assert check(path) == []
    assert [row[0] for row in held(path)["events"]] == [51, 52]


@pytest.mark.parametrize("durable", [True, False])
@given(st.lists(st.sampled_from([None, 0, -1, 404]), min_size=1, max_size=6))
def test_a_code_of_zero_is_kept_and_is_not_null(
    tmp_path_factory: pytest.TempPathFactory, durable: bool, codes: list[int | None]
) -> None:
    path = tmp_path_factory.mktemp("code") / "index.db"
    batch = [
        event(number, code=code, request_id=None if code is None else "00000000-0000-4000-8000-000000000000")
        for number, code in enumerate(codes)
    ]
    filled(path, [batch], durable)
    database = sqlite3.connect(path)
    found = database.execute("SELECT code, request FROM events ORDER BY id").fetchall()
    database.close()
    assert [code for code, _ in found] == codes
    assert [request is None for _, request in found] == [code is None for code in codes]


@pytest.mark.parametrize("durable", [True, False])
def test_a_connection_id_of_zeros_is_one(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "index.db"
    ids = [None, "00000000-0000-0000-0000-000000000000", None, uuid(1), "00000000-0000-0000-0000-000000000001"]
    filled(path, [[event(number, connection_id=one) for number, one in enumerate(ids)]], durable)
    assert [row[1] for row in held(path)["connections"]] == [pack_id(one) for one in ids]
