"""Lines written between the copy and the truncation of copytruncate, and read: of the copy, which lacks them, nearly nothing is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("ends", ["runs on", "stopped", "crashed"])
@pytest.mark.parametrize(("first", "between"), [(30, 1), (300, 3), (3000, 2500), (20, 400)])
def test_the_copy_is_known_for_one_of_less_than_was_read(
    bench: Bench, pattern: str, ends: str, first: int, between: int
) -> None:
    bench.pattern = str(bench.folder / pattern)
    bench.restart()
    copy = bench.folder / "coderd.log.1"
    bench.write(first)
    bench.turn()
    bench.write(1)
    shutil.copyfile(bench.log, copy)
    bench.write(between)
    bench.turn()
    if ends == "stopped":
        bench.stop()
    elif ends == "crashed":
        bench.crash()
    bench.log.open("wb").close()
    bench.write(2)
    if ends != "runs on":
        bench.start()
    bench.turn(6)
    bench.rotate_numbered()
    bench.compress("coderd.log.2")
    bench.write(2)
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert set(bench.events) == set(range(bench.written))
    # Lines whose bytes no mark covers are read again, so that none is missed; the journal knows them by their ids.
    assert len(bench.events) - bench.written <= min(2 * between + 2, first)
    assert [gap.bytes for gap in bench.gaps] == [0]


def test_all_of_it_read_at_once(bench: Bench) -> None:
    bench.write(1)
    bench.turn()
    bench.write(500)
    shutil.copyfile(bench.log, bench.folder / "coderd.log.1")
    bench.write(40)
    bench.turn()
    bench.log.open("wb").close()
    bench.write(2)
    bench.turn(6)
    assert set(bench.events) == set(range(bench.written))
    assert len(bench.events) - bench.written <= 82


def test_another_file_that_begins_alike_and_is_shorter_is_read(bench: Bench) -> None:
    preamble = b"0 the same preamble\n" * 100
    bench.log.write_bytes(preamble + b"1 one\n" * 1000)
    bench.turn()
    bench.log.open("wb").close()
    bench.turn(6)
    bench.log.write_bytes(preamble + b"2 two\n" * 500)
    bench.turn(6)
    bench.restart()
    (bench.folder / "other.log").write_bytes(preamble + b"3 three\n" * 200)
    bench.turn(6)
    assert (bench.events.count(1), bench.events.count(2), bench.events.count(3)) == (1000, 500, 200)


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
def test_a_copy_that_was_empty_when_it_was_met(bench: Bench, pattern: str) -> None:
    bench.pattern = str(bench.folder / pattern)
    bench.restart()
    bench.write(300)
    bench.turn()
    copy = bench.folder / "coderd.log.1"
    copy.touch()
    bench.turn(2)
    copy.write_bytes(bench.log.read_bytes())
    bench.turn(2)
    bench.log.open("wb").close()
    bench.write(2)
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert bench.whole()
    assert [gap.bytes for gap in bench.gaps] == [0]


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("copied", [True, False])
def test_a_file_that_was_seen_and_truncated_before_it_was_read(bench: Bench, pattern: str, copied: bool) -> None:
    """Its turn had not come, and its copy was taken for what it is by then."""
    bench.pattern = str(bench.folder / pattern)
    bench.restart()
    bench.write(1)
    bench.turn()
    bench.log.open("wb").close()
    bench.turn()
    bench.gaps.clear()
    bench.stop()
    bench.log.unlink()
    bench.write(50)
    bench.start()
    bench.now += 1
    bench.tailer._finder.scan(bench.now, 1.0)
    if copied:
        shutil.copyfile(bench.log, bench.folder / "coderd.log.1")
        bench.tailer._finder.scan(bench.now, 1.0)
    bench.log.open("wb").close()
    bench.write(2)
    bench.turn(8)
    assert sorted(bench.events) == (list(range(bench.written)) if copied else [0, 51, 52])
    named = [gap.bytes for gap in bench.gaps if gap.gap == "truncated_unread"]
    assert len(named) == 1
    assert named[0] == 0 if copied else 0 < (named[0] or 0) <= 50 * 30


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("ends", ["runs on", "crashed after", "crashed before"])
def test_files_that_came_and_were_copied_away_before_a_truncation_was_noticed(
    bench: Bench, between: int, ends: str
) -> None:
    """The log was truncated more than once between two looks, and has grown again by the second."""
    bench.write(30)
    bench.turn()
    for number in range(3):
        bench.write(20)
        for older in range(number, 0, -1):
            (bench.folder / f"coderd.log.{older}").rename(bench.folder / f"coderd.log.{older + 1}")
        shutil.copyfile(bench.log, bench.folder / "coderd.log.1")
        if number == 0:
            bench.write(between)
            bench.turn()
        if ends == "crashed before" and number == 0:
            bench.crash()
        bench.log.open("wb").close()
    bench.write(200)
    if ends == "crashed before":
        bench.start()
    bench.turn()
    if ends == "crashed after":
        bench.crash()
        bench.start()
    bench.turn(8)
    bench.restart()
    bench.turn(4)
    assert set(bench.events) == set(range(bench.written))
    assert len(bench.events) - bench.written <= 8


@pytest.mark.parametrize("looks", [1, 2])
def test_what_a_gap_says_of_a_file_that_was_seen_and_truncated_is_no_more_than_was_there(
    bench: Bench, looks: int
) -> None:
    """The file that took its place is larger; and the copy that is made later than the first look is found."""
    bench.write(30)
    bench.turn()
    bench.rotate_numbered()
    bench.write(2)
    bench.turn()
    bench.log.open("wb").close()
    for _ in range(looks):
        bench.now += 1
        bench.keep(bench.tailer.turn(bench.now, rescan=True).batch)
    bench.write(3)
    for tail in bench.tailer._roster:
        tail.glance()
    bench.log.open("wb").close()
    bench.write(300)
    bench.turn(8)
    missing = set(range(bench.written)) - set(bench.events)
    assert missing <= {32, 33, 34}
    assert sum(gap.bytes or 0 for gap in bench.gaps) <= sum(len(b"%d something that happened\n" % n) for n in missing)
    assert not missing or bench.gaps
