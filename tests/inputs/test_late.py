"""What is written to a rotated file after it was read to its end is read too, whenever and under whatever name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_writer_that_keeps_its_handle_loses_nothing(bench: Bench, stopped: bool, compressed: bool) -> None:
    bench.write(3)
    bench.turn()
    bench.rotate_numbered()
    bench.turn(9)
    assert [position.done for position in bench.positions.values()] == [True]
    if stopped:
        bench.stop()
    bench.write(2, bench.folder / "coderd.log.1")
    if compressed:
        bench.compress("coderd.log.1")
    bench.rotate_numbered() if bench.log.exists() else None
    if stopped:
        bench.start()
    bench.turn(9)
    assert bench.whole()
    bench.write(4)
    bench.turn(9)
    bench.restart()
    bench.turn(9)
    assert bench.whole()
    assert not bench.gaps


def test_again_and_again(bench: Bench) -> None:
    bench.write(3)
    bench.turn()
    for _ in range(3):
        if bench.log.exists():
            bench.rotate_numbered()
        bench.turn(9)
        bench.write(2, bench.folder / "coderd.log.1")
        bench.turn(2)
    assert bench.whole()


def test_another_file_with_the_inode_of_one_that_is_done_is_left_alone(bench: Bench) -> None:
    bench.write(1)
    bench.turn()
    bench.rotate_numbered()
    bench.turn(9)
    rotated = bench.folder / "coderd.log.1"
    rotated.write_bytes(b"7 something else altogether\n" * 9)
    bench.turn(3)
    assert bench.events == [0]
    assert not bench.gaps


def test_a_rotated_file_that_was_first_seen_as_such_is_found_again_under_its_own_name(bench: Bench) -> None:
    bench.write(1)
    bench.turn()
    bench.rotate_numbered()
    bench.write(1)
    bench.rotate_numbered()
    bench.turn()
    bench.restart()
    bench.write(1, bench.folder / "coderd.log.1")
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


def test_a_compressed_rotated_file_is_no_new_one_while_the_first_is_still_open(bench: Bench) -> None:
    bench.write(1)
    bench.turn()
    bench.rotate_numbered()
    bench.write(1)
    bench.rotate_numbered()
    bench.compress("coderd.log.2")
    bench.turn(5)
    assert bench.whole()
