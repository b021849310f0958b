"""A rotated file that nobody has read yet and its compressed copy beside it are one: its lines come once."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


def pack(path: Path, part: int = 100) -> Path:
    """What ``gzip`` leaves beside a file before it deletes it; of ``part`` percent it was cut off."""
    packed = path.with_name(path.name + ".gz")
    data = gzip.compress(path.read_bytes())
    packed.write_bytes(data[: len(data) * part // 100])
    status = path.stat()
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    return packed


@pytest.mark.parametrize("part", [100, 60])
@pytest.mark.parametrize("lines", [5, 3000])
def test_rotated_and_compressed_while_nobody_looked_the_original_still_there(
    bench: Bench, lines: int, part: int
) -> None:
    bench.write(1)
    bench.turn()
    bench.stop()
    bench.rotate_numbered()
    bench.write(lines)
    bench.rotate_numbered()
    first = bench.folder / "coderd.log.1"
    packed = pack(first, part)
    bench.write(1)
    bench.start()
    bench.turn()
    if part < 100:
        pack(first)
    first.unlink()
    bench.turn(5)
    assert sorted(bench.events) == list(range(bench.written))
    bench.restart()
    bench.turn(5)
    assert packed.exists()
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps


@pytest.mark.parametrize("name", ["coderd.log.1", "coderd-2026-01-02T15-04-05.000.log", "archive"])
def test_a_compressed_file_that_a_pattern_names_is_read_once(bench: Bench, name: str) -> None:
    """Found as it is, of which nothing was ever read while it was plain."""
    bench.write(300, bench.folder / name)
    bench.compress(name)
    bench.write(3)
    bench.pattern = str(bench.folder / "*")
    bench.exclude = ()
    bench.restart()
    bench.turn(4)
    bench.restart()
    bench.turn(4)
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps
    assert not bench.tailer.troubles


def test_one_that_was_read_while_it_was_plain_is_known(bench: Bench) -> None:
    bench.pattern = str(bench.folder / "*")
    bench.exclude = ()
    bench.restart()
    for number in range(4):
        bench.write(300)
        bench.turn()
        bench.write(2)
        bench.rotate_numbered()
        bench.write(1)
        if number % 2:
            bench.turn(5)
        else:
            bench.stop()
            bench.start()
        bench.compress("coderd.log.1")
        bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps


def test_one_that_is_still_being_compressed_waits(bench: Bench) -> None:
    bench.pattern = str(bench.folder / "*.gz")
    bench.exclude = ()
    bench.restart()
    bench.write(3000, bench.folder / "old")
    packed = pack(bench.folder / "old", 60)
    bench.turn(3)
    assert not bench.events
    assert str(packed) in bench.tailer.troubles
    pack(bench.folder / "old")
    bench.turn(3)
    assert bench.whole()
    assert not bench.gaps
    assert not bench.tailer.troubles


def test_at_the_first_start_with_read_from_end_it_is_told_and_left(bench: Bench) -> None:
    bench.write(5, bench.folder / "old")
    bench.compress("old")
    bench.pattern, bench.exclude, bench.read_from, bench.first = str(bench.folder / "*"), (), "end", True
    bench.start()
    bench.turn(3)
    assert not bench.events
    assert "connlog backfill" in bench.tailer.troubles[str(bench.folder / "old.gz")]


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("preamble", [3, 60])
def test_a_compressed_file_that_only_begins_as_a_read_one_does_is_read(
    bench: Bench, preamble: int, ending: str
) -> None:
    """Of logs that share their first bytes one that was compressed unread is shorter, packed, than what they share."""
    bench.pattern = str(bench.folder / "coderd*")
    bench.restart()
    shared = b"0 the same words begin each file of this program\n" * preamble
    bench.log.write_bytes(shared + b"1 one\n")
    bench.turn()
    bench.rotate_numbered()
    (bench.folder / "coderd.log.1").rename(bench.folder / "coderd.log.2")
    other = shared + b"2 two\n" * 20
    packed = gzip.compress(other) if ending == "gz" else zstandard.ZstdCompressor().compress(other)
    (bench.folder / f"coderd.log.1.{ending}").write_bytes(packed)
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert (bench.events.count(1), bench.events.count(2)) == (1, 20)
