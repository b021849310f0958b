"""The reader: order, limits, notes, following, and reading without the right to write."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.errors import QueryError, StateError, UsageError
from shipper.index import Answer, IndexReader, IndexWriter
from shipper.query import parse_query
from shipper.record import Record

NOW = 1_767_225_600_000_000_000


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T00:00:{number:02d}.000000000Z",
        status="connected",
        type="ssh",
        method="ssh",
    )
    return replace(made, **fields)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def writer(path: Path) -> Iterator[IndexWriter]:
    made = IndexWriter(path)
    yield made
    made.close()


def put(writer: IndexWriter, *made: Record) -> None:
    writer.add(writer.cursor + 1, made, [b"x"] * len(made), stored_ns=NOW)


def ask(reader: IndexReader, query: str = "", limit: int = 100, sort: str = "-time", events: bool = True) -> Answer:
    return reader.search(
        parse_query(query, NOW), events=events, limit=limit, sort=sort, since_ns=None, until_ns=None, now_ns=NOW
    )


def numbers(answer: Answer) -> list[int]:
    return [int(row.id[:8], 16) for row in answer.rows]


def test_a_limit_cuts_and_says_so(path: Path, writer: IndexWriter) -> None:
    put(writer, *map(event, range(5)))
    reader = IndexReader(path)
    cuts = {}
    for limit in (0, 2, 5, 9):
        answer = ask(reader, limit=limit)
        cuts[limit] = (numbers(answer), answer.cut)
    reader.close()
    everything = [4, 3, 2, 1, 0]
    assert cuts == {0: (everything, False), 2: ([4, 3], True), 5: (everything, False), 9: (everything, False)}


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("time", [1, 2, 3, 4]),
        ("-time", [4, 3, 2, 1]),
        ("workspace_name", [3, 2, 4, 1]),
        ("-workspace", [2, 3, 4, 1]),
        ("code", [4, 1, 3, 2]),
        ("-code", [1, 4, 3, 2]),
        ("user_agent", [2, 4, 3, 1]),
    ],
)
@pytest.mark.parametrize("events", [True, False])
def test_rows_come_in_the_order_asked_for_and_those_without_a_value_last(
    path: Path, writer: IndexWriter, sort: str, expected: list[int], events: bool
) -> None:
    put(
        writer,
        event(1, code=2),
        event(2, workspace_name="b", user_agent="a"),
        event(3, workspace_name="A"),
        event(4, code=0),
    )
    reader = IndexReader(path)
    assert numbers(ask(reader, sort=sort, events=events)) == expected
    reader.close()


def test_an_unknown_column_is_refused_with_the_nearest(path: Path, writer: IndexWriter) -> None:
    reader = IndexReader(path)
    with pytest.raises(UsageError, match='did you mean "workspace"'):
        ask(reader, sort="workspce")
    with pytest.raises(UsageError, match="id"):
        ask(reader, sort="id; DROP TABLE events")
    reader.close()


@pytest.mark.parametrize("limit", [2**62, 2**63 - 1, 2**63, 10**30])
def test_a_limit_beyond_what_sqlite_counts_is_no_limit(path: Path, writer: IndexWriter, limit: int) -> None:
    put(writer, event(1), event(2))
    reader = IndexReader(path)
    assert (numbers(ask(reader, limit=limit)), ask(reader, limit=limit).cut) == ([2, 1], False)
    rows, place, _ = reader.latest(parse_query("", NOW), count=limit, now_ns=NOW)
    assert len(rows) == 2
    assert len(reader.after(parse_query("", NOW), place - 1, limit=limit, now_ns=NOW)[0]) == 1
    reader.close()


@pytest.mark.parametrize("stored", ["code-server", "code_server", "Code-Server"])
@pytest.mark.parametrize("events", [True, False])
def test_a_type_is_found_however_its_blanks_are_written(
    path: Path, writer: IndexWriter, stored: str, events: bool
) -> None:
    put(writer, event(1, type=stored), event(2, type="ssh"), event(3, type="my-own_app"))
    reader = IndexReader(path)
    found = {
        query: numbers(ask(reader, query, events=events, sort="time"))
        for query in (
            "type:vscode", "type:code_server", "type:code-server", "type:ssh", "-type:code-server", "type:my_own-app"
        )
    }  # fmt: skip
    reader.close()
    assert found == {
        "type:vscode": [1],
        "type:code_server": [1],
        "type:code-server": [1],
        "type:ssh": [2, 3],
        "-type:code-server": [2, 3],
        "type:my_own-app": [3],
    }


def test_an_unknown_type_is_refused_until_the_index_holds_it(path: Path, writer: IndexWriter) -> None:
    put(writer, event(1))
    reader = IndexReader(path)
    with pytest.raises(QueryError, match='"golan" is not a valid value'):
        ask(reader, "type:golan")
    with pytest.raises(QueryError, match='did you mean "vscode"'):
        ask(reader, "type:vscod")
    put(writer, event(2, type="GoLand"))
    assert numbers(ask(reader, "type:goland")) == [2]
    with pytest.raises(QueryError, match='did you mean "goland"'):
        ask(reader, "type:golan")
    reader.close()


def test_names_that_are_not_known_are_noted(path: Path, writer: IndexWriter) -> None:
    put(writer, event(1, user_id="6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
    reader = IndexReader(path)
    (note,) = ask(reader, "username:bob").notes
    assert note.startswith("names are not known yet: username: matches ids only; 'connlog names sync'")
    assert ask(reader, "username:6ba7b810-9dad-11d1-80b4-00c04fd430c8").notes == ()
    assert "finds nothing here" in ask(reader, "username:me").notes[0]
    put(writer, event(2, names={"user": "Bob"}))
    found = ask(reader, "username:bob")
    reader.close()
    assert (found.notes, len(found.rows)) == ((), 1)


def test_an_answer_is_of_one_moment(path: Path, writer: IndexWriter) -> None:
    put(writer, event(1))
    reader = IndexReader(path)
    answer = ask(reader)
    put(writer, event(2))
    assert numbers(answer) == [1]
    assert numbers(ask(reader)) == [2, 1]
    reader.close()


def test_following_gives_each_new_event_once_and_in_order(path: Path, writer: IndexWriter) -> None:
    put(writer, *map(event, range(3)))
    reader = IndexReader(path)
    everything = parse_query("-code:7", NOW)
    rows, place, _ = reader.latest(everything, count=2, now_ns=NOW)
    seen = [row.id for row in rows]
    put(writer, event(3), event(4, code=7), event(5))
    while True:
        rows, further = reader.after(everything, place, limit=1, now_ns=NOW)
        seen += [row.id for row in rows]
        if further == place:
            break
        place = further
    reader.close()
    assert seen == [event(number).id for number in (1, 2, 3, 5)]


def test_following_goes_over_to_an_index_that_was_built_anew(path: Path, writer: IndexWriter) -> None:
    put(writer, *map(event, range(3)))
    reader = IndexReader(path)
    place = reader.latest(parse_query("", NOW), count=0, now_ns=NOW)[1]
    anew = IndexWriter(path.with_name("new.db"))
    put(anew, event(9))
    anew.close()
    path.with_name("new.db").rename(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    rows, place = reader.after(parse_query("", NOW), place, limit=10, now_ns=NOW)
    assert ([row.id for row in rows], place) == ([event(9).id], 1)
    reader.close()


def test_who_waits_for_more_does_not_keep_the_writer_from_emptying_its_wal(path: Path, writer: IndexWriter) -> None:
    put(writer, event(1))
    reader = IndexReader(path)
    reader.latest(parse_query("", NOW), count=1, now_ns=NOW)
    reader.release()
    writer.close()
    assert path.with_name("index.db-wal").stat().st_size == 0
    reader.close()


def test_a_missing_index_says_what_to_do(path: Path) -> None:
    with pytest.raises(StateError, match="start 'connlog run'"):
        IndexReader(path)


GROUP = 54_321
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")


def hand_over(path: Path) -> None:
    """Give the folder and all that is in it to the group, as the service has it."""
    for file in (path.parent, *path.parent.iterdir()):
        os.chown(file, 0, GROUP)
    path.parent.chmod(0o750)


@AS_ROOT
def test_a_member_of_the_group_reads_what_it_may_not_write(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    writer = IndexWriter(path)
    put(writer, event(1))
    hand_over(path)
    assert as_another(path, GROUP) == 1  # beside the daemon
    put(writer, event(2))
    writer.close()
    assert as_another(path, GROUP) == 2  # after it
    assert [file.name for file in path.parent.iterdir()] == ["index.db"]


@AS_ROOT
def test_a_member_of_the_group_reads_what_a_killed_daemon_left(path: Path) -> None:
    child = os.fork()
    if child == 0:
        put(IndexWriter(path), event(1), event(2), event(3))
        os._exit(0)  # with nothing closed
    assert os.waitpid(child, 0)[1] == 0
    assert path.with_name("index.db-wal").stat().st_size > 0
    hand_over(path)
    assert as_another(path, GROUP) == 3


@AS_ROOT
@pytest.mark.parametrize("running", [True, False])
def test_who_is_not_in_the_group_is_told_which_it_is(
    path: Path, capfd: pytest.CaptureFixture[str], running: bool
) -> None:
    writer = IndexWriter(path)
    put(writer, event(1))
    known = grp.getgrall()[-1]
    for file in (path.parent, *path.parent.iterdir()):
        os.chown(file, 0, known.gr_gid)
    path.parent.chmod(0o750)
    if not running:
        writer.close()
    assert as_another(path, known.gr_gid + 54_321) == 100
    said = capfd.readouterr().out
    assert f"Permission denied; members of the group {known.gr_name} may" in said
    writer.close()


def as_another(path: Path, group: int) -> int:
    """The number of events that a process of this group alone finds, 100 where it is refused."""
    parents = [parent for parent in path.parent.parents if not parent.stat().st_mode & 0o001]
    for parent in parents:
        parent.chmod(parent.stat().st_mode | 0o001)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(54_322, 54_322, 54_322)
        try:
            reader = IndexReader(path)
            os._exit(len(ask(reader).rows))
        except StateError as error:
            os.write(1, f"{error}\n".encode())
            os._exit(100)
        finally:
            os._exit(101)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_text_too_long_for_a_word_comes_back_whole(path: Path, writer: IndexWriter) -> None:
    made = event(
        1, disconnect_reason="é" * 5000, workspace_name="w" * 2048, agent_name="a" * 2049, extra={"A": "x" * 9000}
    )
    put(writer, made)
    reader = IndexReader(path)
    assert list(ask(reader).rows) == [made]
    reader.close()
