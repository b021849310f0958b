"""The writer: each batch exactly once, in one transaction, and a clear word where it can't."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.errors import StateBusy, StateDamaged, StateError, StateFull, StateNewer
from shipper.index import Added, IndexReader, IndexWriter, store
from shipper.index.upkeep import check
from shipper.query import Filter
from shipper.record import Gap, Log, Malformed, Record, Source

NOW = 1_767_225_600_000_000_000


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time="2026-01-01T00:00:00.000000000Z",
        status="connected",
    )
    return replace(made, **fields)


def count(path: Path) -> int:
    reader = IndexReader(path)
    answer = reader.search(Filter(), events=True, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=NOW)
    reader.close()
    return len(answer.rows)


def test_a_batch_moves_the_cursor_and_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    assert writer.cursor == 0
    assert writer.add(3, [event(1), event(2), event(2)], [b"a", b"b", b"b"], stored_ns=NOW) == Added(2, 1)
    assert writer.add(3, [event(4)], [b"d"], stored_ns=NOW) == Added(0, 0)
    assert writer.add(4, [event(2), event(3)], [b"b", b"c"], stored_ns=NOW) == Added(1, 1)
    assert writer.add(5, [], [], stored_ns=NOW) == Added(0, 0)
    writer.close()
    again = IndexWriter(path)
    assert again.cursor == 5
    again.close()
    assert count(path) == 3


def test_closing_leaves_one_file_with_the_groups_mode(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    old = os.umask(0)
    try:
        writer = IndexWriter(path)
        writer.add(1, [event(1)], [b"a"], stored_ns=NOW)
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}
        writer.close()
        writer.close()
    finally:
        os.umask(old)
    assert modes == {"index.db": "0o640", "index.db-wal": "0o640", "index.db-shm": "0o640"}
    assert [file.name for file in tmp_path.iterdir()] == ["index.db"]


def test_a_batch_that_fails_leaves_nothing_and_can_be_given_again(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    with pytest.raises(ValueError, match="beside"):
        writer.add(1, [event(1), event(2)], [b"a"], stored_ns=NOW)
    assert writer.cursor == 0
    assert writer.add(1, [event(1), event(2)], [b"a", b"b"], stored_ns=NOW) == Added(2, 0)
    writer.close()
    assert count(path) == 2


def test_a_batch_that_failed_at_first_is_known_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    first = IndexWriter(path)
    first.add(1, [event(1, connection_id=event(11).id)], [b"a"], stored_ns=NOW)
    first.close()
    crashed = IndexWriter(path)  # with the keys that the first one kept
    pages = crashed._database.execute("PRAGMA page_count").fetchone()[0]
    crashed._database.execute(f"PRAGMA max_page_count = {pages}")
    added = [event(number, connection_id=event(number + 1000).id) for number in range(2, 400)]
    with pytest.raises(StateFull):
        crashed.add(2, added, [bytes(500)] * len(added), stored_ns=NOW)
    crashed._database.execute("PRAGMA max_page_count = 1000000")
    assert crashed.add(2, added, [b"b"] * len(added), stored_ns=NOW) == Added(len(added), 0)
    copy = tmp_path / "copy" / "index.db"
    copy.parent.mkdir()
    for ending in ("", "-wal"):
        copy.with_name(copy.name + ending).write_bytes(path.with_name(path.name + ending).read_bytes())
    crashed.close()
    again = IndexWriter(copy)
    assert again.add(3, added, [b"b"] * len(added), stored_ns=NOW) == Added(0, len(added))
    ends = [
        replace(one, id=event(number + 5000).id, status="disconnected", time="2026-01-01T00:00:01.000000000Z")
        for number, one in enumerate(added)
    ]
    again.add(4, ends, [b"c"] * len(ends), stored_ns=NOW)
    assert again._database.execute("SELECT count(*) FROM connections").fetchone()[0] == 1 + len(added)
    again.close()
    assert check(copy) == []


def test_events_are_known_when_all_before_them_have_expired(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    day = 86_400_000_000_000
    writer = IndexWriter(path, retention_seconds=86_400)
    many = [event(number) for number in range(1, (1 << 16) + 100)]
    writer.add(1, many, [b"a"] * len(many), stored_ns=NOW)
    writer.add(2, [event(100_000)], [b"b"], stored_ns=NOW + 2 * day)
    writer.expire(NOW + 2 * day + 1)
    writer.close()
    writer = IndexWriter(path, retention_seconds=86_400)
    writer.expire(NOW + 5 * day)
    now = NOW + 5 * day
    began = event(200_000, connection_id=event(7).id, workspace_id="w", agent_name="main")
    ended = replace(began, id=event(200_001).id, status="disconnected")
    assert writer.add(3, [began], [b"c"], stored_ns=now) == Added(1, 0)
    assert writer.add(4, [began], [b"c"], stored_ns=now) == Added(0, 1)
    writer.add(5, [ended], [b"d"], stored_ns=now)
    assert writer._database.execute("SELECT count(*) FROM connections").fetchone()[0] == 1
    writer.close()
    assert check(path) == []


def test_a_newer_index_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    IndexWriter(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    for kind in (IndexWriter, IndexReader):
        with pytest.raises(StateNewer, match="version 99"):
            kind(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_index_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(content)
    for kind in (IndexWriter, IndexReader):
        with pytest.raises(StateDamaged, match=r"index\.db"):
            kind(path)


def test_a_damaged_block_is_named_and_the_other_events_are_still_told(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b"a"], stored_ns=NOW)
    writer.add(2, [event(2)], [b"b"], stored_ns=NOW)
    writer.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE blocks SET data = zeroblob(40) WHERE id = 1")
    database.close()
    reader = IndexReader(path)
    with pytest.raises(StateDamaged, match="block 1"):
        reader.record(event(1).id)
    assert reader.original(event(2).id) == b"b"
    reader.close()


def test_a_locked_index_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_TIMEOUT_SECONDS", 0.0)
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateBusy):
        writer.add(1, [event(1)], [b"a"], stored_ns=NOW)
    other.execute("ROLLBACK")
    other.close()
    assert writer.add(1, [event(1)], [b"a"], stored_ns=NOW) == Added(1, 0)
    writer.close()


_FILL = """
import resource, signal, sys
from pathlib import Path
from shipper.errors import StateError, StateFull
from shipper.index import Added, IndexWriter
from shipper.record import Record
import os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = IndexWriter(Path(sys.argv[1]))
made = [Record(schema=1, id="%08x-0000-4000-8000-000000000000" % n, time="2026-01-01T00:00:00.000000000Z",
               status="connected") for n in range(1000)]
originals = [os.urandom(2000) for _ in made]
writer.add(1, made[:1], originals[:1], stored_ns=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
try:
    writer.add(2, made, originals, stored_ns=1)
except StateError:
    print("refused", writer.cursor)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(writer.add(2, made, originals, stored_ns=1).added, writer.cursor)
writer.close()
"""


def test_a_file_that_can_not_grow_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FILL, str(tmp_path / "index.db")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["refused 1", "999 2"]
    assert count(tmp_path / "index.db") == 1000


def test_a_full_database_is_full_and_takes_the_batch_later(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    pages = writer._database.execute("PRAGMA page_count").fetchone()[0]
    writer._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    made = [event(number) for number in range(500)]
    with pytest.raises(StateFull, match="room"):
        writer.add(1, made, [os.urandom(200) for _ in made], stored_ns=NOW)
    assert writer.cursor == 0
    writer._database.execute("PRAGMA max_page_count = 1000000")
    assert writer.add(1, made, [b""] * 500, stored_ns=NOW) == Added(500, 0)
    writer.close()


_KILLED = """
import os, signal, sys
from pathlib import Path
from shipper.index import IndexWriter
from shipper.record import Record
writer = IndexWriter(Path(sys.argv[1]))
made = [Record(schema=1, id="%08x-0000-4000-8000-000000000000" % n, time="2026-01-01T00:00:00.000000000Z",
               status="connected") for n in range(10)]
writer.add(1, made[:5], [b""] * 5, stored_ns=1)
from shipper.index import writer as module
put = module.add_notices
def die(*args):
    put(*args)
    os.kill(os.getpid(), signal.SIGKILL)
module.add_notices = die
writer.add(2, made, [b""] * 10, stored_ns=1)
"""


@pytest.mark.fault
def test_a_kill_inside_a_batch_leaves_the_batch_before(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    writer = IndexWriter(path)
    assert writer.cursor == 1
    writer.close()
    assert count(path) == 5


def test_gaps_and_malformed_lines_are_told_where_the_range_meets_them(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    gap = Gap(
        schema=1,
        gap="rotated_unread",
        source=Source(path="/log"),
        from_="2026-01-01T00:00:00.000000000Z",
        to="2026-01-01T01:00:00.000000000Z",
        detected="2026-01-02T00:00:00.000000000Z",
    )
    bad = Malformed(
        raw=b"secret", reason="broken JSON: secret", line=1, column=2, source=Source(path="/log"), length=6,
        time="2026-01-01T00:30:00.000000000Z",
    )  # fmt: skip
    writer = IndexWriter(path)
    writer.add(1, [], [], gaps=[gap], malformed=[bad], stored_ns=NOW)
    writer.add(1, [], [], gaps=[gap], malformed=[bad], stored_ns=NOW)
    writer.close()
    assert b"secret" not in path.read_bytes()
    reader = IndexReader(path)
    hour = 3_600_000_000_000
    found = []
    for since, until in ((None, None), (NOW, NOW), (NOW + hour, None), (None, NOW - 1), (NOW + hour + 1, None)):
        answer = reader.search(Filter(), events=False, limit=0, sort="time", since_ns=since, until_ns=until, now_ns=NOW)
        found.append((answer.gaps, answer.quarantined))
    reader.close()
    assert found == [(1, 1), (1, 0), (1, 0), (0, 0), (0, 0)]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="nowhere"):
        IndexWriter(tmp_path / "nowhere" / "index.db")


def test_expiry_shrinks_the_words_too(tmp_path: Path) -> None:
    day = 86_400_000_000_000
    writer = IndexWriter(tmp_path / "index.db", retention_seconds=86_400)
    for number in range(5):
        one = event(number, disconnect_reason=f"reason {number}", workspace_name=f"w{number}")
        writer.add(number + 1, [one], [b""], stored_ns=NOW + number * 3 * day)
        writer.expire(NOW + number * 3 * day)
    words = [row[0] for row in writer._database.execute("SELECT text FROM words ORDER BY text")]
    places = writer._database.execute("SELECT count(*) FROM places").fetchone()[0]
    writer.close()
    assert (words, places) == (["reason 4", "w4"], 1)


def test_what_has_expired_gives_its_room_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path, retention_seconds=3600)
    old = [event(number, workspace_name=f"workspace {number}") for number in range(5000)]
    writer.add(1, old, [os.urandom(400) for _ in old], stored_ns=NOW - 7_200_000_000_000)
    writer.add(2, [event(9999)], [b"kept"], stored_ns=NOW)
    full = path.stat().st_size + path.with_name("index.db-wal").stat().st_size
    assert writer.expire(NOW) == 5000
    assert path.stat().st_size + path.with_name("index.db-wal").stat().st_size < full / 4
    writer.close()
    assert count(path) == 1


def file_bytes(path: Path) -> int:
    """What the index takes on the disk, its -wal and -shm too."""
    return sum(one.stat().st_blocks * 512 for one in path.parent.glob(path.name + "*"))


def test_an_index_that_is_too_large_lets_go_what_was_stored_first(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    most = 1_000_000
    writer = IndexWriter(path, size_max_bytes=most)
    day = 86_400_000_000_000
    for batch in range(12):
        made = [event(batch * 500 + n, workspace_name=f"workspace {batch} {n}") for n in range(500)]
        writer.add(batch + 1, made, [os.urandom(400) for _ in made], stored_ns=NOW + 3 * batch * day)
    assert file_bytes(path) > 3 * most
    reader = IndexReader(path)  # a view that is held while room is given back
    held = reader.search(Filter(), events=True, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=NOW)
    deleted = writer.shrink(NOW + 36 * day)
    assert sum(1 for _ in held.rows) == 6000
    reader.release()
    assert writer.shrink(NOW + 36 * day) == 0
    assert file_bytes(path) < most * 1.1
    answer = reader.search(Filter(), events=True, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=NOW)
    left = [row.workspace_name for row in answer.rows]
    reader.close()
    assert 0 < len(left) == 6000 - deleted
    assert left == [f"workspace {n // 500} {n % 500}" for n in range(deleted, 6000)]
    writer.close()
    assert check(path) == []


def test_an_index_of_any_size_that_fits_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path, size_max_bytes=10_000_000)
    writer.add(1, [event(1)], [b""], stored_ns=NOW)
    assert writer.shrink(NOW + 10**18) == 0
    writer.close()
    assert count(path) == 1


def test_an_index_filled_in_bulk_is_the_same_as_one_filled_by_the_daemon(tmp_path: Path) -> None:
    schemas = []
    for name, durable in (("bulk.db", False), ("daemon.db", True)):
        writer = IndexWriter(tmp_path / name, durable=durable)
        writer.add(1, [event(number) for number in range(50)], [b"line"] * 50, stored_ns=NOW)
        writer.close()
        database = sqlite3.connect(tmp_path / name)
        schemas.append(set(database.execute("SELECT name, sql FROM sqlite_schema")))
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        database.close()
        assert count(tmp_path / name) == 50
    assert schemas[0] == schemas[1]


def quarantined(path: Path) -> int:
    reader = IndexReader(path)
    answer = reader.search(Filter(), events=True, limit=1, sort="time", since_ns=None, until_ns=None, now_ns=NOW)
    reader.close()
    return answer.quarantined


def test_a_line_that_is_read_after_all_is_no_longer_missing(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    place = Source(host="h", path="/log", offset=7)
    when = "2026-01-01T00:00:01.000000000Z"
    writer = IndexWriter(path)
    writer.add(1, [], [], malformed=[Malformed(b"x", "bad", 1, 1, place, 1, time=when)], stored_ns=NOW)
    later = Log(time="2026-01-01T00:00:02.000000000Z")
    # The same place of a file that came after it holds another line.
    writer.add(2, [event(1, source=place, log=later)], [b"other"], stored_ns=NOW)
    writer._database.execute("PRAGMA wal_checkpoint").fetchall()
    assert quarantined(path) == 1
    writer.add(3, [event(2, source=place, log=Log(time=when))], [b"x"], stored_ns=NOW)
    assert quarantined(path) == 0
    writer.close()


@pytest.mark.parametrize("when", [None, "2026-01-01T00:00:01.000000000Z"])
def test_an_entry_that_left_the_quarantine_is_told_of_no_more(tmp_path: Path, when: str | None) -> None:
    """One notice goes for each entry, also where two are of one place; those of other places stay."""
    path = tmp_path / "index.db"
    one = Malformed(b"x", "bad", 1, 1, Source(host="h", path="/log", offset=None), 1, time=when)
    other = Malformed(b"x", "bad", 1, 1, Source(host="h", path="/log", offset=7), 1, time=when)
    writer = IndexWriter(path)
    writer.add(1, [], [], malformed=[one, one, other], stored_ns=NOW)
    writer.add(2, [], [], settled=[replace(one, raw=b"", reason="", column=5)], stored_ns=NOW)
    writer._database.execute("PRAGMA wal_checkpoint").fetchall()
    assert quarantined(path) == 2
    writer.add(3, [], [], settled=[one, one], stored_ns=NOW)
    assert quarantined(path) == 1
    writer.close()
