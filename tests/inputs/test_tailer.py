"""The tailer reads every line once and in order, whatever is done to its files, and names what it can't have read."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.inputs.content import HANDLES, PlainContent
from shipper.inputs.tailer import READ_MAX_BYTES

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

NOBODY = 65534


def test_reads_what_is_there_and_what_is_appended(bench: Bench) -> None:
    bench.write(3)
    bench.turn()
    bench.write(4)
    bench.turn()
    assert bench.whole()


def test_takes_a_line_when_its_end_comes(bench: Bench) -> None:
    bench.write(1)
    with bench.log.open("ab") as file:
        file.write(b"1 half a")
    bench.turn()
    assert bench.events == [0]
    bench.restart()
    bench.turn()
    with bench.log.open("ab") as file:
        file.write(b" line\n")
    bench.turn()
    assert bench.events == [0, 1]


def test_goes_on_where_it_was_after_a_restart(bench: Bench) -> None:
    bench.write(5)
    bench.turn()
    bench.restart()
    bench.write(5)
    bench.turn()
    assert bench.whole()


def test_reads_what_is_written_to_a_renamed_file_until_its_writer_reopens(bench: Bench) -> None:
    bench.write(2)
    bench.turn()
    bench.log.rename(bench.folder / "coderd.log.1")
    bench.write(2, bench.folder / "coderd.log.1")
    bench.turn()
    bench.write(2, bench.folder / "coderd.log.1")
    bench.turn()
    bench.write(2)
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


@pytest.mark.parametrize("name", ["coderd.log.1", "coderd.log-20260901", "coderd-2026-01-02T15-04-05.000.log"])
@pytest.mark.parametrize("stopped", [True, False])
def test_follows_a_rotation_by_any_naming(bench: Bench, name: str, stopped: bool) -> None:
    bench.write(3)
    bench.turn()
    if stopped:
        bench.stop()
    bench.write(3)
    bench.log.rename(bench.folder / name)
    bench.write(3)
    if stopped:
        bench.start()
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("stopped", [True, False])
def test_drains_several_rotations_in_order(bench: Bench, times: int, stopped: bool) -> None:
    bench.write(3)
    bench.rotate_numbered()
    bench.write(3)
    bench.turn(5)
    bench.events = list(range(bench.written))  # what was rotated before the first start is not followed
    if stopped:
        bench.stop()
    for _ in range(times):
        bench.write(3)
        bench.rotate_numbered()
    bench.write(3)
    if stopped:
        bench.start()
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


def test_finds_a_rotated_file_again_that_was_rotated_further_while_stopped(bench: Bench) -> None:
    bench.write(3)
    bench.turn()
    bench.stop()
    for _ in range(2):
        bench.write(3)
        bench.rotate_numbered()
    bench.write(3)
    bench.start()
    bench.turn()
    bench.stop()
    bench.write(3, bench.folder / "coderd.log.1")
    for _ in range(3):
        bench.rotate_numbered()
        bench.write(3)
    bench.start()
    bench.turn(15)
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps


def test_does_not_read_files_that_were_rotated_before_its_first_start(bench: Bench) -> None:
    bench.write(3)
    bench.rotate_numbered()
    bench.write(3)
    bench.turn()
    bench.rotate_numbered()
    bench.turn(5)
    assert bench.events == [3, 4, 5]


def test_reads_the_rest_of_a_compressed_rotated_file_once(bench: Bench) -> None:
    bench.write(300)
    bench.turn()
    bench.stop()
    bench.write(300)
    bench.rotate_numbered()
    bench.compress("coderd.log.1")
    bench.write(3)
    bench.start()
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert bench.whole()


def test_a_file_that_is_compressed_later_is_not_read_twice(tmp_path: Path, bench: Bench) -> None:
    bench.pattern = str(tmp_path / "*.log*")
    bench.restart()
    bench.write(300)
    bench.turn()
    bench.rotate_numbered()
    bench.write(3)
    bench.turn(2)
    bench.compress("coderd.log.1")
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("stopped", [True, False])
def test_reads_the_copy_after_copytruncate(tmp_path: Path, bench: Bench, pattern: str, stopped: bool) -> None:
    bench.pattern = str(tmp_path / pattern)
    bench.restart()
    bench.write(30)
    bench.turn()
    if stopped:
        bench.stop()
    bench.write(30)
    bench.copytruncate("coderd.log.1")
    bench.write(3)
    if stopped:
        bench.start()
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert [(gap.gap, gap.bytes, gap.exact) for gap in bench.gaps] == [("truncated_unread", 0, False)]


def test_a_copy_half_made_is_not_read(tmp_path: Path, bench: Bench) -> None:
    bench.pattern = str(tmp_path / "*.log*")
    bench.restart()
    bench.write(100)
    bench.turn()
    whole = bench.log.read_bytes()
    for part in (10, 1000, 2000, len(whole)):
        (tmp_path / "coderd.log.1").write_bytes(whole[:part])
        bench.turn()
    assert bench.whole()


def test_names_the_bytes_that_a_truncation_destroyed(bench: Bench) -> None:
    line = b"0 " + b"x" * (READ_MAX_BYTES // 2) + b"\n"
    bench.log.write_bytes(line * 4)
    bench.now += 1
    for _ in range(2):  # it is seen, and then read
        bench.keep(bench.tailer.turn(bench.now).batch)
    bench.log.write_bytes(b"1 anew\n")
    bench.turn()
    gap = bench.gaps[0]
    assert gap.gap == "truncated_unread"
    assert gap.bytes == 4 * len(line) - READ_MAX_BYTES
    assert gap.exact is False
    assert gap.source.path == str(bench.log)


def test_notices_a_file_that_was_truncated_and_has_grown_past_its_position(bench: Bench) -> None:
    bench.write(3)
    bench.turn()
    bench.log.open("wb").close()
    bench.write(50)
    bench.turn()
    assert bench.whole()
    assert [gap.gap for gap in bench.gaps] == ["truncated_unread"]


def test_skips_the_hole_that_a_writer_without_append_leaves(bench: Bench) -> None:
    with bench.log.open("wb") as writer:
        writer.write(b"0 a line\n" * 100)
        writer.flush()
        bench.turn()
        bench.events.clear()
        os.truncate(bench.log, 0)
        writer.write(b"0 after\n1 after\n")
        writer.flush()
        bench.turn()
        bench.restart()
        bench.turn()
    bench.written = 2
    assert bench.whole()


def test_a_new_file_with_the_inode_of_a_deleted_one_is_new(bench: Bench) -> None:
    for _ in range(4):
        bench.write(5)
        bench.turn()
        bench.stop()
        bench.log.unlink()
        bench.write(5)
        bench.start()
        bench.turn()
    assert bench.whole()


def test_files_with_equal_beginnings_are_two(bench: Bench) -> None:
    preamble = b"0 the same preamble\n" * 100
    other = bench.folder / "other.log"
    bench.log.write_bytes(preamble + b"1 one\n")
    bench.turn()
    other.write_bytes(preamble + b"2 two\n" * 400)
    bench.turn()
    bench.restart()
    bench.turn()
    assert (bench.events.count(1), bench.events.count(2)) == (1, 400)


def test_reads_the_rest_of_a_deleted_file_that_is_still_open(bench: Bench) -> None:
    with bench.log.open("ab") as writer:
        writer.write(b"0 first\n")
        writer.flush()
        bench.turn()
        bench.log.unlink()
        writer.write(b"1 second\n")
    bench.turn(5)
    assert bench.events == [0, 1]
    assert not bench.gaps


def test_a_file_that_vanished_while_stopped_is_a_gap(bench: Bench) -> None:
    bench.write(5)
    bench.turn()
    bench.stop()
    bench.log.unlink()
    bench.start()
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert [(gap.gap, gap.bytes) for gap in bench.gaps] == [("rotated_unread", 0)]


def test_a_compressed_file_that_stays_broken_is_a_gap(bench: Bench) -> None:
    bench.write(4000)
    bench.turn()
    bench.stop()
    bench.write(8000)
    size = bench.log.stat().st_size
    bench.rotate_numbered()
    bench.compress("coderd.log.1")
    packed = bench.folder / "coderd.log.1.gz"
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size * 9 // 10])
    bench.write(1)
    bench.start()
    bench.turn(20)
    bench.restart()
    bench.turn(20)
    assert bench.written - 1 in bench.events
    assert len(set(bench.events)) == len(bench.events)
    (gap,) = [gap for gap in bench.gaps if gap.gap == "rotated_unread"]
    assert gap.source.offset is not None
    assert gap.source.offset < size


def test_a_folder_that_comes_back_is_no_loss(bench: Bench) -> None:
    aside = bench.folder.with_name(bench.folder.name + "-aside")
    bench.write(5)
    bench.turn()
    bench.stop()
    bench.folder.rename(aside)
    bench.start()
    bench.turn(10)
    assert str(bench.folder) in bench.tailer.troubles
    aside.rename(bench.folder)
    bench.write(2)
    bench.turn(2)
    assert bench.whole()
    assert not bench.gaps
    assert not bench.tailer.troubles


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: for as long as this lasts the test is somebody else."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_a_file_without_permission_is_read_when_it_can_be(make_bench: type[Bench]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        bench = make_bench(Path(folder))
        bench.write(5)
        bench.write(5, bench.folder / "other.log")
        bench.log.chmod(0)
        with without_privileges():
            bench.turn()
        assert "check its owner and mode" in bench.tailer.troubles[str(bench.log)]
        assert bench.events == [5, 6, 7, 8, 9]
        bench.log.chmod(0o644)
        with without_privileges():
            bench.turn()
        assert bench.events == [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
        assert not bench.tailer.troubles
        bench.tailer.finish()


def test_what_is_no_file_is_left_alone(bench: Bench) -> None:
    os.mkfifo(bench.folder / "pipe.log")
    (bench.folder / "folder.log").mkdir()
    (bench.folder / "broken.log").symlink_to("nowhere")
    bench.write(5)
    bench.turn()
    assert bench.whole()


def test_a_file_reached_by_two_names_is_read_once(bench: Bench) -> None:
    bench.write(5)
    (bench.folder / "again.log").symlink_to(bench.log)
    os.link(bench.log, bench.folder / "hard.log")
    bench.turn(3)
    assert bench.whole()


def test_begins_at_the_end_only_in_files_older_than_the_first_start(tmp_path: Path, bench: Bench) -> None:
    bench.read_from, bench.first = "end", True
    bench.write(5)
    bench.start()
    bench.turn()
    bench.write(5)
    bench.turn()
    bench.restart()
    shutil.copy(bench.log, tmp_path / "unrelated.txt")
    bench.write(2)
    bench.write(3, tmp_path / "later.log")
    bench.turn()
    assert sorted(bench.events) == list(range(5, 15))


def test_a_large_file_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.log.write_bytes(b"0 " + b"x" * 1000 + b"\n" + (b"1 " + b"x" * 1000 + b"\n") * 20000)
    (bench.folder / "small.log").write_bytes(b"2 small\n")
    bench.now += 1
    bench.keep(bench.tailer.turn(bench.now).batch)  # they are seen, and then read
    turn = bench.tailer.turn(bench.now)
    bench.keep(turn.batch)
    assert turn.busy
    assert 2 in bench.events
    assert sum(piece.bytes for piece in turn.batch.pieces) <= 2 * READ_MAX_BYTES


def test_positions_of_files_that_are_gone_expire(bench: Bench) -> None:
    bench.write(5)
    bench.turn()
    bench.rotate_numbered()
    bench.turn(5)
    (kept,) = bench.positions.values()
    assert kept.done
    bench.positions = {
        kept.key: type(kept)(**{name: getattr(kept, name) for name in kept.__struct_fields__} | {"seen_ns": 0})
    }
    bench.start()
    bench.turn()
    assert not bench.positions


@contextmanager
def few_handles(count: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_three_thousand_files_are_followed_with_256_handles(bench: Bench) -> None:
    with few_handles(256):
        for number in range(3000):
            bench.write(1, bench.folder / f"pod{number}x.log")
        bench.turn()
        assert sorted(bench.events) == list(range(3000))
        assert len(HANDLES) <= 128
        for number in range(0, 3000, 3):
            bench.write(1, bench.folder / f"pod{number}x.log")
        for number in range(50):
            (bench.folder / f"pod{number}x.log").rename(bench.folder / f"pod{number}x.log.1")
            bench.write(1, bench.folder / f"pod{number}x.log")
        bench.turn(5)
        bench.restart()
        bench.turn(2)
        assert sorted(bench.events) == list(range(bench.written))
        assert not bench.gaps
        assert not bench.tailer.troubles


def test_a_file_that_was_replaced_while_its_handle_was_given_back_is_told(bench: Bench) -> None:
    bench.write(5)
    bench.turn()
    (tail,) = bench.tailer._roster
    assert isinstance(tail.content, PlainContent)
    tail.content.park()
    bench.log.unlink()
    bench.write(5)
    bench.turn(5)
    assert bench.whole()
    assert [gap.gap for gap in bench.gaps] == ["rotated_unread"]
