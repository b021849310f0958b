"""An index that an older connlog wrote is brought up to date in place, with all that it held."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from msgspec.structs import replace

from shipper import timestamp
from shipper.cli.main import main
from shipper.index import Connection, IndexReader, IndexWriter, store
from shipper.index.schema import MIGRATIONS
from shipper.index.upkeep import check
from shipper.query import Filter, parse_query
from shipper.record import Record
from tests.index.first_version import write_first_version
from tests.index.question import NOW
from tests.index.test_oracle import records

QUESTIONS = (
    "",
    "workspace:dev",
    "agent:main,gpu",
    "agent:00000005-0000-4000-8000-000000000005",
    "ip:10.0.0.0/8",
    "state:completed",
    "dev",
    "00000065",
    "connection_id:abcdef01-0000-4000-8000-0000abcdef01",
)


def rows(path: Path) -> list[list[str]]:
    """The answers to the questions, of connections and of events."""
    reader = IndexReader(path)
    found = [
        sorted(
            repr(row)
            for row in reader.search(
                parse_query(question, NOW),
                events=events,
                limit=0,
                sort="time",
                since_ns=None,
                until_ns=None,
                now_ns=NOW,
            ).rows
        )
        for question in QUESTIONS
        for events in (True, False)
    ]
    reader.close()
    return found


@given(made=records(20))
def test_an_index_of_the_first_version_answers_as_one_that_is_new(
    tmp_path_factory: pytest.TempPathFactory, made: list[Record]
) -> None:
    folder = tmp_path_factory.mktemp("migration")
    old, new = folder / "old.db", folder / "new.db"
    originals = [b"line of " + record.id.encode() for record in made]
    write_first_version(old, made, originals, NOW)
    writer = IndexWriter(new)
    writer.add(1, made, originals, stored_ns=NOW)
    writer.close()
    IndexWriter(old).close()
    assert check(old) == []
    assert rows(old) == rows(new)
    reader = IndexReader(old)
    assert [reader.original(record.id) for record in made] == originals
    reader.close()


def test_events_that_come_after_it_pair_with_those_before(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    first = Record(
        schema=1,
        id="00000001-0000-4000-8000-000000000000",
        time=timestamp.from_ns(NOW),
        status="connected",
        connection_id="0000000a-0000-4000-8000-00000000000a",
        workspace_id="0000000b-0000-4000-8000-00000000000b",
        agent_name="main",
        agent_id="0000000c-0000-4000-8000-00000000000c",
    )
    last = replace(first, id="00000002-0000-4000-8000-000000000000", status="disconnected")
    write_first_version(path, [first], [b"one"], NOW)
    writer = IndexWriter(path)
    assert writer.cursor == 1
    assert writer.add(2, [first, last], [b"one", b"two"], stored_ns=NOW).duplicates == 1
    writer.close()
    reader = IndexReader(path)
    (row,) = reader.search(Filter(), events=False, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=NOW).rows
    reader.close()
    assert isinstance(row, Connection)
    assert row.event_ids == [first.id, last.id]
    assert row.agent_id == first.agent_id


def test_a_migration_that_is_cut_off_leaves_the_old_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.db"
    write_first_version(path, [], [], NOW)
    with monkeypatch.context() as patch:
        patch.setattr(store, "MIGRATIONS", (*MIGRATIONS[:-1], MIGRATIONS[-1] + "SELECT 1 FROM nowhere;\n"))
        with pytest.raises(Exception, match="nowhere"):
            IndexWriter(path)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone()[0] == 1
    database.close()
    IndexWriter(path).close()
    assert check(path) == []


def test_a_rebuild_takes_over_an_index_of_the_first_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.db"
    made = [
        Record(1, f"{n:08x}-0000-4000-8000-000000000000", timestamp.from_ns(NOW), "connected", "ssh") for n in range(5)
    ]
    write_first_version(path, made, [b"line"] * 5, NOW)
    assert main(["index", "rebuild", "--index", str(path)]) == 0
    assert "5 events" in capsys.readouterr().out
    assert main(["search", "--index", str(path), "--limit", "0", "--output", "ndjson"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
