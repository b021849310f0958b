"""A log that is cut in place, to any size: what is left is read once, and what was seen and is gone is named once."""

from __future__ import annotations

import gzip
import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

FIRST = 1000
LINE = len(b"%d something that happened\n" % FIRST)


def see(bench: Bench) -> None:
    """A look that reads nothing of what it finds."""
    bench.now += 1
    bench.tailer._scan(bench.now)
    bench.keep(bench.tailer._batch())


def begin(bench: Bench, *, read: int, seen: int, pattern: str = "*.log") -> None:
    """``read`` lines are read, and ``seen`` more behind them are seen."""
    bench.pattern = str(bench.folder / pattern)
    bench.written = FIRST
    bench.restart()
    if read:
        bench.write(read)
        bench.turn()
    bench.write(seen)
    see(bench)


def cut(bench: Bench, size: int) -> None:
    os.truncate(bench.log, size)


def end(bench: Bench) -> None:
    """Everything is read, and looked at again in another life."""
    bench.turn(6)
    bench.restart()
    bench.turn(6)


def lines(*spans: tuple[int, int]) -> list[int]:
    return [FIRST + number for first, behind in spans for number in range(first, behind)]


def named(bench: Bench) -> list[int]:
    return [gap.bytes or 0 for gap in bench.gaps]


LIVES = pytest.mark.parametrize("life", ["runs on", "stopped", "crashed"])
PATTERNS = pytest.mark.parametrize("pattern", ["*.log", "*.log*"])


def between_lives(bench: Bench, life: str) -> None:
    if life == "stopped":
        bench.stop()
    elif life == "crashed":
        bench.crash()


def next_life(bench: Bench, life: str) -> None:
    if life != "runs on":
        bench.start()


@LIVES
@PATTERNS
@pytest.mark.parametrize("read", [0, 2])
@pytest.mark.parametrize("left", [0, 1, 4, 9])
def test_what_was_seen_and_is_gone_is_named_once(bench: Bench, life: str, pattern: str, read: int, left: int) -> None:
    begin(bench, read=read, seen=10, pattern=pattern)
    between_lives(bench, life)
    cut(bench, (read + left) * LINE)
    next_life(bench, life)
    end(bench)
    assert bench.events == lines((0, read + left))
    assert named(bench) == [(10 - left) * LINE]
    (gap,) = bench.gaps
    assert (gap.gap, gap.exact) == ("truncated_unread", False)
    assert read == 0 or gap.source.offset == (read + left) * LINE
    bench.write(3)
    end(bench)
    assert bench.events == lines((0, read + left), (read + 10, read + 13))
    assert len(bench.gaps) == 1


@LIVES
def test_a_file_whose_first_bytes_alone_were_looked_at(bench: Bench, life: str) -> None:
    """Only its first bytes and its size are known, and it is cut within or behind them."""
    for number, size in enumerate((3 * LINE, 100 * LINE)):
        bench.log = bench.folder / f"{number}.log"
        begin(bench, read=0, seen=300)
        between_lives(bench, life)
        cut(bench, size)
        next_life(bench, life)
        end(bench)
        assert bench.events == lines((0, size // LINE))
        # In another life of what is left within the first bytes it can't be told whether it was there.
        slack = 1023 if number == 0 and life != "runs on" else 0
        assert 300 * LINE - size - slack <= sum(named(bench)) <= 300 * LINE - size
        bench.events.clear()
        bench.gaps.clear()


@LIVES
def test_each_cut_names_what_it_destroyed_and_no_more(bench: Bench, life: str) -> None:
    begin(bench, read=2, seen=10)
    for left in (8, 6, 6):
        between_lives(bench, life)
        cut(bench, (2 + left) * LINE)
        next_life(bench, life)
        see(bench)
        see(bench)
    end(bench)
    assert bench.events == lines((0, 8))
    assert sum(named(bench)) == 4 * LINE
    assert len(bench.gaps) == 2


@pytest.mark.parametrize("left", [0, 5])
def test_a_cut_that_leaves_the_time_of_the_file_as_it_was(bench: Bench, left: int) -> None:
    """As within one tick of the clock."""
    begin(bench, read=2, seen=10)
    for tail in bench.tailer._roster:
        tail.look()
    status = bench.log.stat()
    cut(bench, (2 + left) * LINE)
    os.utime(bench.log, ns=(status.st_atime_ns, status.st_mtime_ns))
    end(bench)
    assert named(bench) == [(10 - left) * LINE]


@LIVES
def test_within_a_line(bench: Bench, life: str) -> None:
    begin(bench, read=2, seen=10)
    between_lives(bench, life)
    cut(bench, 5 * LINE + 7)
    next_life(bench, life)
    bench.turn(3)
    with bench.log.open("ab") as file:
        file.write(b"\n")
    end(bench)
    assert bench.events == lines((0, 6))
    assert named(bench) == [7 * LINE - 7]


@LIVES
@pytest.mark.parametrize("more", [1, 3, 30])
def test_written_on_before_the_next_look(bench: Bench, life: str, more: int) -> None:
    begin(bench, read=2, seen=10)
    between_lives(bench, life)
    cut(bench, 5 * LINE)
    bench.write(more)
    next_life(bench, life)
    end(bench)
    assert bench.events == lines((0, 5), (12, 12 + more))
    # Of one that is as long as before it is known where the last bytes differ from those that were seen.
    assert sum(named(bench)) == (7 - more) * LINE if more < 7 else 0 < sum(named(bench)) <= 7 * LINE


@LIVES
@PATTERNS
@pytest.mark.parametrize("way", ["plain", "gz"])
@pytest.mark.parametrize("read", [0, 2])
@pytest.mark.parametrize("left", [0, 3, 9])
@pytest.mark.parametrize("more", [0, 2, 20])
def test_what_its_copy_holds_is_read_from_it(
    bench: Bench, life: str, pattern: str, way: str, read: int, left: int, more: int
) -> None:
    begin(bench, read=read, seen=10, pattern=pattern)
    between_lives(bench, life)
    bench.write(3)
    copy = bench.folder / "coderd.log.1"
    shutil.copyfile(bench.log, copy)
    if way == "gz":
        bench.compress(copy.name)
    cut(bench, (read + left) * LINE)
    bench.write(more)
    next_life(bench, life)
    end(bench)
    # Of a file that was not read yet what was left may look like a new one, and is read beside the copy.
    assert bench.events == list(range(FIRST, bench.written)) or read == 0
    assert set(bench.events) == set(range(FIRST, bench.written))
    assert not any(named(bench))
    count = len(bench.events)
    bench.rotate_numbered()
    bench.compress("coderd.log.1")
    bench.write(2)
    end(bench)
    assert bench.events[count:] == list(range(bench.written - 2, bench.written))
    assert not any(named(bench))


@LIVES
@PATTERNS
def test_of_what_its_copy_lacks_the_rest_is_named(bench: Bench, life: str, pattern: str) -> None:
    begin(bench, read=2, seen=6, pattern=pattern)
    shutil.copyfile(bench.log, bench.folder / "coderd.log.1")
    bench.write(4)
    see(bench)
    between_lives(bench, life)
    cut(bench, 5 * LINE)
    bench.write(1)
    next_life(bench, life)
    end(bench)
    assert bench.events == lines((0, 8), (12, 13))
    assert sum(named(bench)) == 4 * LINE


@pytest.mark.parametrize("way", ["renamed", "deleted"])
def test_cut_and_taken_away_before_the_next_look(bench: Bench, way: str) -> None:
    begin(bench, read=2, seen=10)
    cut(bench, 5 * LINE)
    if way == "renamed":
        bench.log.rename(bench.folder / "coderd.log.1")
    else:
        bench.log.unlink()
    bench.write(2)
    end(bench)
    assert bench.events == lines((0, 5), (12, 14))
    assert named(bench) == [7 * LINE]


def test_a_compressed_file_is_missed_whole_where_it_is_gone_half_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen of it stays seen while it is read."""
    monkeypatch.setattr("shipper.inputs.tailer.READ_MAX_BYTES", 2 * LINE)
    begin(bench, read=2, seen=10)
    bench.stop()
    with gzip.open(bench.folder / "coderd.log.1.gz", "wb") as file:
        file.write(bench.log.read_bytes())
    bench.log.unlink()
    bench.start()
    bench.now += 1
    for _ in range(2):
        bench.keep(bench.tailer.turn(bench.now).batch)
    assert 2 < len(bench.events) < 12
    read = len(bench.events)
    bench.crash()
    (bench.folder / "coderd.log.1.gz").unlink()
    bench.start()
    end(bench)
    assert named(bench) == [(12 - read) * LINE]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_of_copies_that_begin_alike_the_one_that_holds_what_was_seen_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """What was read of the log is the same in each of its rotated files, and so is their size."""
    monkeypatch.setattr("shipper.inputs.tailer.READ_MAX_BYTES", 150)
    preamble = b"999 what each file begins with\n" * 70
    bench.written = FIRST
    bench.log.write_bytes(preamble)
    bench.write(1)
    bench.turn()
    bench.log.rename(bench.folder / "coderd.log.2")
    bench.turn(5)
    bench.log.write_bytes(preamble)
    bench.write(1)
    for _ in range(3):
        bench.now += 1
        bench.keep(bench.tailer.turn(bench.now, rescan=True).batch)
    assert bench.events.count(FIRST + 1) == 0
    bench.copytruncate("coderd.log.1")
    if ending:
        bench.compress("coderd.log.1")
    bench.log.write_bytes(preamble)
    bench.write(1)
    end(bench)
    assert [number for number in bench.events if number != 999] == lines((0, 3))
    assert not any(named(bench))
