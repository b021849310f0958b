"""Rebuilding: an index filled in bulk says the same as one that the daemon filled, whatever either of them remembers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from shipper.errors import StateError
from shipper.index import IndexWriter, group, lexicon, presence, start
from shipper.index.lexicon import DAY_NS
from shipper.index.schema import KIND_COLUMNS, PLACE_COLUMNS, ROW_COLUMNS
from shipper.index.upkeep import check
from shipper.record import Record

LONG = "long " * 60
CUT = "x" * 2048
_text = st.sampled_from([None, "a", "b", "Ab", "10.0.0.1", "é", LONG, CUT, CUT + "1", CUT + "2"])
_id = st.integers(0, 30).map(lambda number: f"{number:08x}-0000-4000-8000-{number:012x}")

_event = st.builds(
    Record,
    schema=st.just(1),
    id=_id,
    time=st.sampled_from(["0001-01-01T00:00:00.000000000Z", *(f"2026-01-01T00:00:0{n}.000000000Z" for n in range(4))]),
    status=st.sampled_from(["connected", "disconnected"]),
    type=st.sampled_from(["ssh", "tunnel", None]),
    app=_text,
    organization_id=_text,
    workspace_owner_id=_text,
    workspace_id=st.sampled_from(["w1", "w2", "w3", None]),
    workspace_name=_text,
    agent_name=st.sampled_from(["main", "dev", None]),
    agent_id=st.sampled_from(["a1", "a2", "a3", None]),
    user_id=_text,
    ip=st.sampled_from(["10.0.0.1", "::1", "nowhere", None]),
    code=st.sampled_from([0, None]),
    connection_id=st.one_of(st.none(), _id),
    extra=st.sampled_from([{}, {"Foo": "a"}, {"Foo": "b", "Bar": CUT + "3"}]),
    names=st.sampled_from([UNSET, {"user": "a"}, {"template": "t", "organization": "b", "workspace_owner": LONG}]),
)
_batch = st.tuples(
    st.lists(_event, max_size=12),
    st.integers(0, 3).map(lambda day: 1_767_225_600_000_000_000 + day * DAY_NS),
    st.booleans(),
)


def content(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables, words as text, and what was used to the day."""
    database = sqlite3.connect(path)
    words = {None: None, 0: None} | dict(database.execute("SELECT id, text FROM words").fetchall())

    def spelled(names: tuple[str, ...], row: sqlite3.Row) -> tuple[Any, ...]:
        return tuple(words[row[name]] for name in names)

    database.row_factory = sqlite3.Row
    kinds = {row["id"]: spelled(KIND_COLUMNS, row) for row in database.execute("SELECT * FROM kinds")}
    places = {row["id"]: spelled(PLACE_COLUMNS, row) for row in database.execute("SELECT * FROM places")}
    assert len(set(kinds.values())) == len(kinds)
    assert len(set(places.values())) == len(places)
    said: dict[str, list[tuple[Any, ...]]] = {}
    for table in ("events", "connections"):
        said[table] = [
            (*row[: row.keys().index("kind")], kinds[row["kind"]], places[row["place"]], *spelled(ROW_COLUMNS, row))
            for row in database.execute(f"SELECT * FROM {table} ORDER BY id")
        ]
    database.row_factory = None
    for table in ("more_events", "blocks", "facts"):
        said[table] = sorted(database.execute(f"SELECT * FROM {table}"))
    said["words"] = sorted(
        database.execute("SELECT text, fold, packed, uses, used_ns / ? FROM words", (DAY_NS,)), key=str
    )
    for table, spelling in (("kinds", kinds), ("places", places)):
        used = database.execute(f"SELECT id, used_ns / ? FROM {table}", (DAY_NS,))
        said[table] = sorted(((spelling[id_], day) for id_, day in used), key=str)
    counted = database.execute("SELECT id, connections FROM kinds WHERE connections > 0")
    said["counts"] = sorted(((kinds[id_], count) for id_, count in counted), key=str)
    starts = database.execute("SELECT workspace, agent_name, agent, first_ns FROM starts")
    said["starts"] = sorted(((words[w], words[name], words[agent], first) for w, name, agent, first in starts), key=str)
    database.close()
    return said


def fill(path: Path, batches: list[tuple[list[Record], int, bool]], *, durable: bool) -> None:
    """Take batches, of which some fail at their end and come again."""
    filled = IndexWriter(path, durable=durable)
    for seq, (records, stored_ns, fails) in enumerate(batches, 1):
        originals = [b"line %d" % number for number in range(len(records))]
        if fails:
            with pytest.MonkeyPatch.context() as patch:

                def fail(*_: object) -> None:
                    raise StateError("it fails")

                patch.setattr("shipper.index.writer.add_notices", fail)
                other = [replace(one, workspace_name="of a batch that failed", slug_or_port="gone") for one in records]
                with pytest.raises(StateError, match="it fails"):
                    filled.add(seq, [*records, *other], originals * 2, stored_ns=stored_ns)
        filled.add(seq, records, originals, stored_ns=stored_ns)
    filled.close()


@given(st.lists(_batch, max_size=6), st.sampled_from([0, 1, 3, 9, 1000]), st.sampled_from([0, 2, 5, 1000]))
def test_an_index_filled_in_bulk_says_what_one_filled_by_the_daemon_says(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[list[Record], int, bool]],
    cached: int,
    whole: int,
) -> None:
    folder = tmp_path_factory.mktemp("rebuilding")
    fill(folder / "daemon.db", batches, durable=True)
    with pytest.MonkeyPatch.context() as patch:
        for module in (lexicon, group):
            patch.setattr(module, "CACHED_MAX_COUNT", cached)
            patch.setattr(module, "WHOLE_MAX_COUNT", whole)
        patch.setattr(start, "CACHED_MAX_COUNT", cached)
        patch.setattr(presence, "BITS_MIN", 1 << 9)
        fill(folder / "bulk.db", batches, durable=False)
        fill(folder / "forgetful.db", batches, durable=True)
    wanted = content(folder / "daemon.db")
    assert not {"of a batch that failed", "gone"} & {row[0] for row in wanted["words"]}
    for name in ("bulk.db", "forgetful.db"):
        assert content(folder / name) == wanted
        assert check(folder / name) == []
