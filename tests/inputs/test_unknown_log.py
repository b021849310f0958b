"""A log that came, was written and was rotated while nobody looked is read whole, though nothing was known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.conftest import Bench


@pytest.mark.parametrize("rotations", [1, 3])
def test_an_empty_log_that_is_written_and_rotated_while_stopped(bench: Bench, rotations: int) -> None:
    bench.log.touch()
    bench.turn()
    bench.stop()
    for _ in range(rotations):
        bench.write(3)
        bench.rotate_numbered()
    bench.write(2)
    bench.start()
    bench.turn(5)
    assert bench.whole()


def test_a_log_that_came_while_stopped_and_was_rotated_since(bench: Bench) -> None:
    bench.write(2)
    bench.turn(2)
    bench.stop()
    other = bench.folder / "other.log"
    bench.write(3, other)
    other.rename(bench.folder / "other.log.1")
    bench.write(3, other)
    bench.start()
    bench.turn(5)
    assert bench.whole()


def test_what_was_rotated_before_the_first_start_is_left(tmp_path: Path, make_bench: type[Bench]) -> None:
    (tmp_path / "coderd.log.1").write_bytes(b"999 long ago\n")
    bench = make_bench(tmp_path)
    bench.write(2)
    bench.turn(5)
    assert bench.whole()
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    bench.stop()
