"""A turn ends in time however many files there are, and what it leaves is read by later ones, each line once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shipper.config import FileInput
from shipper.inputs.tail import Tail
from shipper.inputs.tailer import Tailer
from tests.inputs.conftest import make_lines

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


def test_with_no_time_at_all_every_turn_still_gets_one_further(bench: Bench) -> None:
    for number in range(20):
        bench.write(2, bench.folder / f"p{number}.log")
    tailer = Tailer([FileInput(paths=(bench.pattern,))], [], make_lines, fresh=True, turn_seconds=0)
    first = tailer.turn(1.0)
    assert first.busy
    assert not first.batch.began
    assert len(tailer.files()) == 1
    began = 0
    for turn_number in range(100):
        turn = tailer.turn(2.0 + turn_number / 100)
        began += turn.batch.began
        bench.keep(turn.batch)
        if not turn.busy:
            break
    assert began == 1
    assert sorted(bench.events) == list(range(40))
    bench.keep(tailer.finish())
    for number in range(20):
        bench.write(1, bench.folder / f"p{number}.log")
    tailer = Tailer([FileInput(paths=(bench.pattern,))], list(bench.positions.values()), make_lines, turn_seconds=0)
    for turn_number in range(200):
        # Looked for anew in each turn: the last streams must be come to all the same.
        bench.keep(tailer.turn(100.0 + turn_number, rescan=True).batch)
    bench.keep(tailer.finish())
    assert sorted(bench.events) == list(range(60))
    assert not bench.gaps


def test_a_new_file_is_compared_with_few_of_thousands(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their first 600 bytes are the same, as those of logs of one program may be."""
    compared = 0
    begins = Tail.begins

    def count(tail: Tail, data: bytes) -> bool:
        nonlocal compared
        compared += 1
        return begins(tail, data)

    monkeypatch.setattr(Tail, "begins", count)
    for number in range(300):
        (bench.folder / f"p{number}.log").write_bytes(b"%d %s\n%900d\n" % (number, b"x" * 600, number))
    for number in range(300):
        (bench.folder / f"p{number}.log").write_bytes(b"0 %s%d %s\n" % (b"x" * 600, number, b"y" * 900))
    bench.turn()
    for number in range(300):
        (bench.folder / f"q{number}.log").write_bytes(b"0 %s%d %s\n" % (b"x" * 600, number + 1000, b"y" * 900))
    bench.turn()
    assert len(bench.events) == 600
    assert compared < 300 * 30
