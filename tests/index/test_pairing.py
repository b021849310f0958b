"""Pairing: a connection is the same however its events came, also where most of them are spent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from shipper.index import Connection, IndexReader, IndexWriter, pairing
from shipper.index.upkeep import check
from shipper.query import Filter
from shipper.record import Record

SESSION = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
ZERO = "0001-01-01T00:00:00.000000000Z"

_event = st.builds(
    Record,
    schema=st.just(1),
    id=st.just(""),
    time=st.sampled_from([ZERO, *(f"2026-01-01T00:00:{n:02d}.000000000Z" for n in range(6))]),
    status=st.sampled_from(["connected", "disconnected"]),
    type=st.sampled_from(["ssh", "tunnel", None]),
    app=st.sampled_from(["a", "b", None]),
    organization_id=st.sampled_from(["o1", None]),
    workspace_owner_id=st.sampled_from(["p1", "p2", None]),
    workspace_name=st.sampled_from(["w1", "w2", None]),
    ip=st.sampled_from(["10.0.0.1", None]),
    code=st.sampled_from([0, 1, None]),
    connection_id=st.just(SESSION),
    names=st.sampled_from([UNSET, {"user": "bob"}, {"template": "t", "user": None}]),
)
_events = st.lists(_event, min_size=1, max_size=12).map(
    lambda made: [replace(one, id=f"{n:08x}-0000-4000-8000-000000000000") for n, one in enumerate(made, 1)]
)


def row(path: Path) -> dict[str, object]:
    """The columns of the one connection, its words as text."""
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    found = database.execute(
        "SELECT * FROM connections JOIN kinds ON kinds.id = kind JOIN places ON places.id = place"
    ).fetchall()
    words = dict(database.execute("SELECT id, text FROM words").fetchall())
    database.close()
    assert len(found) == 1
    plain = ("connect_ns", "disconnect_ns", "duration_ns", "state", "code", "connection_id", "connections")
    left_out = ("id", "key", "used_ns", "kind", "place", "first", "second")
    return {
        name: found[0][name] if name in plain else words.get(found[0][name])
        for name in found[0].keys()  # noqa: SIM118  # a Row iterates over its values
        if name not in left_out
    }


@given(_events, st.randoms(use_true_random=False), st.integers(1, 5))
def test_spent_events_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, made: list[Record], random: object, size: int
) -> None:
    folder = tmp_path_factory.mktemp("pairing")
    whole = IndexWriter(folder / "whole.db")
    whole.add(1, made, [b""] * len(made), stored_ns=0)
    whole.close()
    mixed = list(made)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives random.Random
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "PARTS_MERGED_MAX", 1)
        parts = IndexWriter(folder / "parts.db")
        for at in range(0, len(mixed), size):
            batch = mixed[at : at + size]
            parts.add(at + 1, batch, [b""] * len(batch), stored_ns=0)
        parts.close()
    assert row(folder / "parts.db") == row(folder / "whole.db")


@given(_events, st.integers(0, 11))
def test_after_expiry_a_connection_is_what_its_other_events_say(
    tmp_path_factory: pytest.TempPathFactory, made: list[Record], gone: int
) -> None:
    folder = tmp_path_factory.mktemp("pairing")
    gone = min(gone, len(made) - 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "PARTS_MERGED_MAX", 1)
        writer = IndexWriter(folder / "old.db", retention_seconds=10)
        for n, one in enumerate(made):
            writer.add(n + 1, [one], [b""], stored_ns=0 if n < gone else 20_000_000_000)
        assert writer.expire(25_000_000_000) == gone
        writer.close()
    left = IndexWriter(folder / "left.db")
    left.add(1, made[gone:], [b""] * (len(made) - gone), stored_ns=0)
    left.close()
    assert row(folder / "old.db") == row(folder / "left.db")


def test_a_busy_connection_looks_at_few_of_its_events_again(tmp_path: Path) -> None:
    """What a batch reads doesn't grow with the connection."""
    writer = IndexWriter(tmp_path / "index.db")
    read = []
    for number in range(200):
        batch = [
            Record(1, f"{number:08x}-0000-4000-8000-{n:012x}", f"2026-01-01T00:00:00.{number:09d}Z", "connected", connection_id=SESSION)
            for n in range(10)
        ]  # fmt: skip
        statements: list[str] = []
        writer._database.set_trace_callback(statements.append)
        writer.add(number + 1, batch, [b""] * 10, stored_ns=0)
        writer._database.set_trace_callback(None)
        read.append(sum("SELECT ended" in one for one in statements))
    writer.close()
    assert max(read) <= 2 * pairing.PARTS_MERGED_MAX
    reader = IndexReader(tmp_path / "index.db")
    answer = reader.search(Filter(), events=False, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0)
    assert [len(one.event_ids) for one in answer.rows if not isinstance(one, Record)] == [2000]
    reader.close()


_NIL = "00000000-0000-0000-0000-000000000000"


@given(st.lists(st.sampled_from([None, _NIL, SESSION, SESSION.replace("6", "7"), *"abc"]), min_size=1, max_size=9))
def test_every_event_is_in_the_connection_of_its_id_whatever_ids_a_batch_has(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str | None]
) -> None:
    made = [
        Record(1, f"{n:08x}-0000-4000-8000-000000000000", "2026-01-01T00:00:00.000000000Z", "connected", "ssh", connection_id=id_)
        for n, id_ in enumerate(ids)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("ids") / "index.db"
    writer = IndexWriter(path)
    for seq, one in enumerate((made[:4], made[4:]), 1):
        writer.add(seq, one, [b"line"] * len(one), stored_ns=1)
    writer.close()
    assert check(path) == []
    reader = IndexReader(path)
    rows = reader.search(Filter(), events=False, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=1).rows
    found = sorted((one.connection_id or "", tuple(one.event_ids)) for one in rows if isinstance(one, Connection))
    reader.close()
    wanted: dict[object, list[str]] = {}
    for record in made:
        wanted.setdefault(record.connection_id or record.id, []).append(record.id)
    of_id = {record.id: record.connection_id or "" for record in made}
    assert found == sorted((of_id[events[0]], tuple(events)) for events in wanted.values())
