"""Names in the index: rows are shown and found by the name as of their time, whoever learnt it when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE, sighting
from shipper.errors import QueryError, UsageError
from shipper.index import Answer, IndexReader, IndexWriter
from shipper.index.count import Asked, count_groups
from shipper.index.names import NamesKeeper, logged_workspaces
from shipper.query import parse_query
from shipper.record import Record
from shipper.timestamp import to_ns

ALICE, BOB, ORG, DEV = (f"{n:08x}-0000-4000-9000-000000000000" for n in range(4))
NOW = to_ns("2026-02-01T00:00:00.000000000Z")


def day(number: int) -> int:
    return to_ns(f"2026-01-{number:02d}T00:00:00.000000000Z")


def event(number: int, **fields: object) -> Record:
    made = Record(
        1,
        f"{number:08x}-0000-4000-8000-000000000000",
        f"2026-01-{number:02d}T12:00:00.000000000Z",
        "connected",
        type="workspace_app",
        method="workspace_app",
        organization_id=ORG,
        workspace_owner_id=ALICE,
        workspace_id=DEV,
        workspace_name="dev",
        user_id=BOB,
    )
    return replace(made, **fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    records = [event(n) for n in range(1, 10)]
    writer.add(1, records, [b"line"] * len(records), stored_ns=NOW)
    writer.close()
    return path


@pytest.fixture
def keeper(path: Path) -> Iterator[NamesKeeper]:
    keeper = NamesKeeper(path)
    yield keeper
    keeper.close()


@pytest.fixture
def reader(path: Path, keeper: NamesKeeper) -> Iterator[IndexReader]:
    reader = IndexReader(path)
    yield reader
    reader.close()


def ask(reader: IndexReader, query: str, events: bool = False) -> Answer:
    return reader.search(
        parse_query(query, NOW), events=events, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=NOW
    )


def days(reader: IndexReader, query: str, events: bool = False) -> list[int]:
    return [int(row.id[:8], 16) for row in ask(reader, query, events).rows]


def renamed(keeper: NamesKeeper) -> None:
    """Bob is bob until the 3rd, robert from the 6th on; alice owns; everything else is known."""
    keeper.learn(
        [
            sighting(USER, BOB, day(3), "t", username="bob", email="bob@example.com"),
            sighting(USER, BOB, day(6), "t", username="Robert"),
            sighting(USER, ALICE, day(2), "t", username="alice", email="Alice@example.com"),
            sighting(ORGANIZATION, ORG, day(2), "t", name="coder"),
            sighting(WORKSPACE, DEV, day(2), "t", name="dev", template="docker"),
        ]
    )


def test_names_follow_later_and_are_as_of_the_event(keeper: NamesKeeper, reader: IndexReader) -> None:
    assert ask(reader, "").rows[0].names is UNSET
    renamed(keeper)
    for events in (False, True):
        names = [row.names for row in ask(reader, "", events).rows]
        assert [one["user"] for one in names if not isinstance(one, UnsetType)] == ["bob"] * 5 + ["Robert"] * 4
    first = ask(reader, "").rows[0]
    assert first.names == {
        "user": "bob",
        "user_email": "bob@example.com",
        "workspace_owner": "alice",
        "organization": "coder",
        "template": "docker",
    }


@pytest.mark.parametrize("events", [False, True])
def test_filters_find_by_the_name_as_of_the_event(keeper: NamesKeeper, reader: IndexReader, events: bool) -> None:
    renamed(keeper)
    everything = list(range(1, 10))
    for query, expected in {
        "username:bob": [1, 2, 3, 4, 5],
        "username:ROBERT": [6, 7, 8, 9],
        "username:bob,robert": everything,
        f"username:{BOB}": everything,
        "-username:bob": [6, 7, 8, 9],
        "user_email:BOB@example.com": everything,
        "workspace_owner:alice": everything,
        "workspace_owner:bob": [],
        "workspace_owner_email:alice@example.com": everything,
        "organization:coder": everything,
        f"organization:{ORG}": everything,
        "robert": [6, 7, 8, 9],
        "example.com": everything,
        "/^Rob/": [6, 7, 8, 9],
        "/^bob$/": [1, 2, 3, 4, 5],
        "docker": everything,
        "username:nobody": [],
    }.items():
        assert days(reader, query, events) == expected, query


def test_what_is_found_is_what_is_shown(keeper: NamesKeeper, reader: IndexReader) -> None:
    renamed(keeper)
    for row in ask(reader, "username:robert").rows:
        assert row.names is not UNSET
        assert row.names["user"] == "Robert"


def test_a_changed_name_is_told_with_the_answer(keeper: NamesKeeper, reader: IndexReader) -> None:
    renamed(keeper)
    (note,) = ask(reader, "username:robert").notes
    assert f"was bob then Robert: username:{BOB} finds all" in note
    assert ask(reader, "workspace_owner:alice").notes == ()


def test_an_unknown_organization_is_refused_as_coder_does_once_they_are_known(
    keeper: NamesKeeper, reader: IndexReader
) -> None:
    assert "names are not known yet" in ask(reader, "organization:nope").notes[0]
    renamed(keeper)
    with pytest.raises(QueryError) as caught:
        ask(reader, "organization:nope")
    assert str(caught.value) == (
        'Query param "organization" has invalid value: organization "nope" either does not exist, '
        "or you are unauthorized to view it"
    )
    assert days(reader, f"organization:{BOB}") == []


def test_me_is_whose_token_it_was(keeper: NamesKeeper, reader: IndexReader) -> None:
    renamed(keeper)
    assert "finds nothing here" in ask(reader, "workspace_owner:me").notes[0]
    keeper.set_fact("me", ALICE)
    answer = ask(reader, "workspace_owner:me")
    assert len(answer.rows) == 9
    assert answer.notes == ('"me" is alice, whose token asked Coder',)
    assert days(reader, "username:me") == []
    assert days(reader, "-username:me") == list(range(1, 10))


def test_a_name_that_two_users_had_one_after_the_other_finds_each_in_its_time(
    keeper: NamesKeeper, reader: IndexReader
) -> None:
    keeper.learn(
        [
            sighting(USER, BOB, day(1), "t", username="sam"),
            sighting(USER, BOB, day(4), "t", username="old-sam"),
            sighting(USER, ALICE, day(1), "t", username="ann"),
            sighting(USER, ALICE, day(7), "t", username="sam"),
        ]
    )
    assert days(reader, "username:sam") == [1, 2, 3]
    assert days(reader, "workspace_owner:sam") == [7, 8, 9]


def test_names_that_a_row_was_stored_with_stay(path: Path, keeper: NamesKeeper, reader: IndexReader) -> None:
    writer = IndexWriter(path)
    writer.add(2, [event(11, names={"user": "Stored"})], [b""], stored_ns=NOW)
    writer.close()
    renamed(keeper)
    row = ask(reader, f"username:{BOB}").rows[-1]
    assert row.names is not UNSET
    assert (row.names["user"], row.names["user_email"]) == ("Stored", "bob@example.com")


def count(reader: IndexReader, path: Path, **asked: object) -> dict[tuple[object, ...], int]:
    groups, _ = count_groups(
        reader,
        path,
        parse_query("", NOW),
        Asked(**asked),  # type: ignore[arg-type]  # fields of Asked
        events=False,
        since_ns=None,
        until_ns=None,
        now_ns=NOW,
    )
    return {group.values: group.count for group in groups}


@pytest.mark.parametrize("durations", [False, True])
def test_counts_by_name_are_as_of_the_event(
    path: Path, keeper: NamesKeeper, reader: IndexReader, durations: bool
) -> None:
    assert count(reader, path, by=("user",), durations=durations) == {(BOB,): 9}, "the id where no name is known"
    assert count(reader, path, by=("template",), durations=durations) == {(None,): 9}
    renamed(keeper)
    for by, expected in {
        ("user",): {("bob",): 5, ("Robert",): 4},
        ("username", "organization"): {("bob", "coder"): 5, ("Robert", "coder"): 4},
        ("user_email",): {("bob@example.com",): 9},
        ("workspace_owner",): {("alice",): 9},
        ("template",): {("docker",): 9},
    }.items():
        assert count(reader, path, by=by, durations=durations) == expected


def test_counts_of_a_renamed_owner_and_of_ids_without_a_name(
    path: Path, keeper: NamesKeeper, reader: IndexReader
) -> None:
    keeper.learn([sighting(USER, ALICE, day(n), "t", username=name) for n, name in ((1, "ann"), (5, "eve"))])
    assert count(reader, path, by=("workspace_owner", "user")) == {("ann", BOB): 4, ("eve", BOB): 5}
    with pytest.raises(UsageError, match='did you mean "user"'):
        count(reader, path, by=("usr",))


def test_ids_that_are_met_are_told_once_and_those_known_or_missing_are_not_open(keeper: NamesKeeper) -> None:
    met = set(keeper.new_ids())
    assert met == {(USER, ALICE), (USER, BOB), (ORGANIZATION, ORG), (WORKSPACE, DEV)}
    assert keeper.new_ids() == []
    keeper.learn([sighting(USER, BOB, 1, "t", username="bob")])
    keeper.miss([(USER, ALICE)], until_ns=100)
    assert set(keeper.open_ids(met, 50)) == {(ORGANIZATION, ORG), (WORKSPACE, DEV)}
    assert (USER, ALICE) in keeper.open_ids(met, 100)
    keeper.look_again()
    assert set(keeper.new_ids()) == met


def test_the_log_itself_names_workspaces(reader: IndexReader) -> None:
    assert [row[:3] for row in logged_workspaces(reader.view())] == [(DEV, "dev", ALICE)]


def test_an_index_of_before_the_directory_is_read_and_then_brought_up_to_date(path: Path) -> None:
    import sqlite3

    with sqlite3.connect(path) as database:
        for table in ("facts", "values", "missing"):
            database.execute(f"DROP TABLE directory_{table}")
    database.close()
    reader = IndexReader(path)
    assert len(ask(reader, "").rows) == 9
    keeper = NamesKeeper(path)
    renamed(keeper)
    keeper.close()
    assert days(reader, "username:bob") == [1, 2, 3, 4, 5]
    reader.close()
