"""A file that begins as another one does is a file of its own, however short the other one is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import FileInput
from shipper.inputs.content import PlainContent
from shipper.inputs.original import find_original
from shipper.inputs.roster import Roster
from shipper.inputs.tail import Tail
from tests.inputs.conftest import make_lines

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


@pytest.mark.parametrize("length", [1, 30, 3000])
def test_a_file_that_begins_with_all_of_another_one_is_read(bench: Bench, length: int) -> None:
    banner = b"0 " + b"x" * length + b"\n"
    bench.log.write_bytes(banner)
    bench.turn()
    other = bench.folder / "other.log"
    other.write_bytes(banner + b"1 one\n2 two\n")
    bench.turn(3)
    assert bench.events == [0, 0, 1, 2]
    with other.open("ab") as file:
        file.write(b"3 three\n")
    bench.turn(3)
    bench.restart()
    bench.turn(3)
    assert bench.events == [0, 0, 1, 2, 3]
    assert not bench.gaps


def test_a_file_that_only_began_as_another_one_is_read_when_it_goes_on_otherwise(bench: Bench) -> None:
    bench.log.write_bytes(b"0 banner\n1 one\n2 two\n")
    bench.turn()
    other = bench.folder / "other.log"
    other.write_bytes(b"0 banner\n")
    bench.turn(2)
    assert bench.events == [0, 1, 2]
    with other.open("ab") as file:
        file.write(b"3 three\n")
    bench.turn(2)
    assert bench.events == [0, 1, 2, 0, 3]


BYTES = st.sampled_from([1, 2, 31, 32, 33, 100, 1023, 1024, 1025, 3000])


@given(lengths=st.lists(BYTES, min_size=1, max_size=6), at=st.integers(0, 3000), size=BYTES)
def test_the_index_of_beginnings_misses_no_original(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], at: int, size: int
) -> None:
    """Every followed file is as one byte after another, one of them different: what a full search finds is found."""
    folder = Path(tmp_path_factory.mktemp("beginnings"))
    roster = Roster()
    whole = bytes(33 + n % 89 for n in range(4000))
    for number, length in enumerate(lengths):
        data = bytearray(whole[:length])
        if number % 2 and at < length:
            data[at] ^= 1
        path = folder / str(number)
        path.write_bytes(data)
        tail = Tail(PlainContent(str(path)), str(path), FileInput(paths=("x",)), make_lines, 0.0)
        roster.add(tail)
        assert tail.look()
        tail.read(1 << 20, 0.0, lambda got: None)
        roster.grown(tail)
    new = folder / "new"
    new.write_bytes(whole[:size])
    content = PlainContent(str(new))
    likely = [tail.key for tail in roster.like(whole[:size][:1024])]
    assert len(likely) == len(set(likely))
    assert {t.key for t in roster if t.begins(whole[:size][:1024])} <= set(likely)
    copied = find_original(roster, content, size)
    assert (copied is not None) == any(
        length >= size and not (number % 2 and at < size) for number, length in enumerate(lengths)
    )
    content.close()
    for tail in list(roster):
        roster.remove(tail)
        assert tail.key not in {other.key for other in roster.like(whole[:size][:1024])}


def test_a_copy_is_known_for_one_after_a_restart_too_though_its_original_has_grown(bench: Bench) -> None:
    bench.pattern = str(bench.folder / "*.log*")
    bench.restart()
    bench.write(300)
    bench.turn()
    copy = bench.folder / "coderd.log.1"
    copy.write_bytes(bench.log.read_bytes())
    os.utime(copy, (1_700_000_000, 1_700_000_000))
    bench.turn(3)
    bench.write(3)
    bench.turn(3)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps
