"""A file that was seen, and not read before the daemon was killed, is read by the next life, or missed by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

LINE = len(b"0 something that happened\n")


def see(bench: Bench) -> None:
    """One look, and the end: nothing was read."""
    bench.now += 1
    turn = bench.tailer.turn(bench.now, rescan=True)
    assert turn.busy
    assert not turn.batch.pieces
    assert turn.batch.positions
    bench.keep(turn.batch)
    bench.crash()


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@pytest.mark.parametrize("way", ["left", "renamed", "compressed", "copied", "copied and written"])
def test_what_is_left_of_it_is_read(bench: Bench, make_bench: type[Bench], pattern: str, way: str) -> None:
    bench.pattern = str(bench.folder / pattern)
    bench.start()
    bench.write(3)
    see(bench)
    if way in ("renamed", "compressed"):
        bench.rotate_numbered()
    if way == "compressed":
        bench.compress("coderd.log.1")
    if way.startswith("copied"):
        bench.copytruncate("coderd.log.1")
    if way not in ("left", "copied"):
        bench.write(3)
    bench.start()
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert bench.whole()
    assert not any(gap.bytes for gap in bench.gaps)
    assert bool(bench.gaps) == way.startswith("copied")


@pytest.mark.parametrize("way", ["deleted", "truncated", "made anew"])
@pytest.mark.parametrize("lives", [1, 3])
def test_what_is_gone_of_it_is_named(bench: Bench, way: str, lives: int) -> None:
    bench.write(3)
    see(bench)
    if way == "truncated":
        bench.log.open("wb").close()
    else:
        bench.log.unlink()
    if way == "made anew":
        bench.write(2)
    for _ in range(lives - 1):  # too short to give it up
        bench.start()
        bench.turn()
        bench.crash()
    bench.start()
    bench.turn(6)
    assert bench.events == ([3, 4] if way == "made anew" else [])
    (gap,) = bench.gaps
    assert (gap.bytes, gap.exact) == (3 * LINE, False)
    bench.restart()
    bench.turn(6)
    assert len(bench.gaps) == 1


def test_of_one_that_begins_alike_and_holds_less_what_it_has_is_not_missed(bench: Bench) -> None:
    """Whether it was cut, or written anew and begins as before, nobody can tell: its first line was read."""
    bench.write(3)
    see(bench)
    first = bench.log.read_bytes().splitlines(keepends=True)[0]
    bench.log.write_bytes(first)
    bench.start()
    bench.turn(6)
    assert bench.events == [0]
    assert [gap.bytes for gap in bench.gaps] == [2 * LINE]


def test_its_size_is_known_beyond_what_was_looked_at(bench: Bench) -> None:
    bench.write(3000)
    size = bench.log.stat().st_size
    see(bench)
    bench.log.unlink()
    bench.start()
    bench.turn(6)
    assert [gap.bytes for gap in bench.gaps] == [size]


def test_what_grew_behind_the_part_that_was_read_is_known_at_the_next_look(bench: Bench) -> None:
    bench.write(3)
    bench.turn()
    bench.write(4)
    bench.now += 1
    bench.tailer._scan(bench.now)  # the look of a turn that is killed while it reads
    bench.keep(bench.tailer._batch())
    bench.crash()
    bench.log.unlink()
    bench.start()
    bench.turn(6)
    assert [gap.bytes for gap in bench.gaps] == [4 * LINE]


@pytest.mark.parametrize("more", [0, 500])
@pytest.mark.parametrize("way", ["made anew", "rotated and deleted"])
def test_a_file_that_begins_alike_hides_no_loss(bench: Bench, way: str, more: int) -> None:
    """All files of a program begin with the same two kilobytes."""
    preamble = b"999 what each file begins with\n" * 70
    bench.log.write_bytes(preamble)
    bench.written = 1000
    bench.write(100)
    see(bench)
    seen = bench.log.stat().st_size
    # The inode stays in use.
    bench.log.rename(bench.folder / "elsewhere")
    if way != "made anew":
        (bench.folder / "coderd.log.1").write_bytes(preamble)
        bench.write(100 + more, bench.folder / "coderd.log.1")
    bench.log.write_bytes(preamble)
    bench.write(100 + more)
    (bench.folder / "elsewhere").unlink()
    bench.start()
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert sorted({*bench.events} - {999}) == list(range(1100, bench.written))
    assert [gap.bytes for gap in bench.gaps] == [seen]
