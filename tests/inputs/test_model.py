"""Against a model: random histories of a log, read by the real tailer, give every line once and in order."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.timestamp import to_ns

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("late"), st.integers(1, 9)),
        st.tuples(st.just("stamp"), st.just(0)),
        st.tuples(st.just("compress"), st.just(0)),
        st.tuples(st.just("turn"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("crash"), st.integers(0, 1)),
    ),
    min_size=4,
    max_size=30,
)


def play(bench: Bench, actions: list[tuple[str, int]]) -> None:
    bench.write(1)
    bench.turn()
    for number, (action, amount) in enumerate(actions):
        if action == "write":
            bench.write(amount)
        elif action == "turn":
            bench.turn(amount)
        elif action == "restart":
            bench.restart()
        elif action == "crash":
            if amount:
                # Read, but not in the journal: as if it had never been read.
                bench.tailer.turn(bench.now + 1, rescan=True)
            bench.crash()
            bench.start()
        elif action == "rotate" and bench.log.exists():
            bench.rotate_numbered(keep=40)
        elif action == "stamp" and bench.log.exists():
            bench.log.rename(bench.folder / f"coderd-2026-01-02T15-04-{number:02d}.000.log")
        elif action == "late" and (bench.folder / "coderd.log.1").exists():
            # Its writer has not reopened, however long it is rotated away.
            bench.write(amount, bench.folder / "coderd.log.1")
        elif action == "compress" and (bench.folder / "coderd.log.2").exists():
            bench.compress("coderd.log.2")
    bench.turn(6)
    bench.restart()
    bench.turn(6)


@pytest.mark.parametrize("pattern", ["*.log", "*.log*", "coderd.log"])
@given(actions=ACTIONS)
@example(actions=[("rotate", 0), ("turn", 4), ("write", 1), ("stamp", 0), ("late", 1)])
@example(actions=[("rotate", 0), ("write", 1), ("turn", 4), ("late", 1), ("rotate", 0), ("compress", 0), ("write", 1)])
@example(
    actions=[
        *[("rotate", 0), ("write", 1), ("rotate", 0), ("restart", 0), ("turn", 1), ("write", 1), ("late", 1)],
        *[("rotate", 0), ("compress", 0), ("restart", 0)],
    ]
)
def test_every_line_once_whatever_happens_to_the_files(
    make_bench: type[Bench], pattern: str, actions: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(Path(folder), pattern)
        play(bench, actions)
        bench.tailer.finish()
        assert sorted(bench.events) == list(range(bench.written))
        assert not [gap for gap in bench.gaps if gap.bytes]


TRUNCATING = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 60)),
        st.tuples(st.just("copytruncate"), st.just(0)),
        st.tuples(st.just("truncate"), st.integers(0, 20)),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("pause"), st.integers(0, 20)),
        st.tuples(st.just("crash"), st.integers(0, 1)),
        st.tuples(st.just("glimpse"), st.integers(1, 9)),
        st.tuples(st.just("cut"), st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans())),
        st.tuples(st.just("turn"), st.integers(1, 5)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    min_size=4,
    max_size=20,
)


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@given(actions=TRUNCATING)
@example(actions=[("cut", (0, 1, False)), ("write", 1), ("pause", 0), ("rotate", 0)])
def test_no_line_twice_and_no_loss_unnamed_when_files_are_truncated(
    make_bench: type[Bench], pattern: str, actions: list[tuple[str, Any]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(Path(folder), pattern)
        sizes: list[int] = []
        begin = 0
        destroyed: dict[int, int] = {}

        def note() -> None:
            sizes.extend(len(b"%d something that happened\n" % n) for n in range(len(sizes), bench.written))

        def destroy(first: int = -1) -> None:
            """The log's lines since it began, or from ``first`` on, are about to be gone."""
            for number in range(begin if first < 0 else first, bench.written):
                destroyed.setdefault(number, time.time_ns())

        bench.write(1)
        bench.turn()
        for action, amount in actions:
            if action == "write":
                bench.write(amount)
            elif action == "turn":
                bench.turn(amount)
            elif action == "restart":
                bench.restart()
            elif action == "crash":
                if amount:
                    bench.tailer.turn(bench.now + 1, rescan=True)
                bench.crash()
                bench.start()
            elif action == "pause":
                bench.stop()
                bench.write(amount)
                bench.start()
            elif action == "delete":
                # Known, then written to unseen and deleted, while it is followed or while nobody looks.
                bench.write(1)
                bench.turn()
                if amount % 2:
                    bench.stop()
                bench.write(amount)
                destroy()
                bench.log.unlink()
                begin = bench.written
                if amount % 2:
                    bench.start()
            elif action == "truncate":
                # A file that nobody has seen before it was destroyed leaves no trace.
                bench.write(1)
                bench.turn()
                bench.write(amount)
                destroy()
                bench.log.open("wb").close()
                begin = bench.written
            elif action == "cut":
                # Within what was seen behind what was read, while it is followed or while nobody looks.
                left, gone, stops = amount
                bench.write(1)
                bench.turn()
                bench.write(left)
                size = bench.log.stat().st_size
                bench.write(gone)
                bench.now += 1
                bench.tailer._scan(bench.now)
                bench.keep(bench.tailer._batch())
                if stops:
                    bench.stop()
                destroy(bench.written - gone)
                os.truncate(bench.log, size)
                if stops:
                    bench.start()
            elif action == "glimpse":
                # Seen at the first look of a life that ends before it reads, and destroyed while nobody looks.
                bench.write(amount)
                bench.now += 1
                bench.keep(bench.tailer.turn(bench.now, rescan=True).batch)
                bench.crash()
                destroy()
                bench.log.open("wb").close()
                begin = bench.written
                bench.start()
            elif action == "rotate":
                if bench.log.exists():
                    bench.rotate_numbered(keep=40)
                begin = bench.written
            elif bench.log.exists():
                for number in range(30, 0, -1):
                    old = bench.folder / f"coderd.log.{number}"
                    if old.exists():
                        old.rename(bench.folder / f"coderd.log.{number + 1}")
                # The copy keeps them: not one of them may be missing.
                bench.copytruncate("coderd.log.1")
                begin = bench.written
        bench.turn(6)
        bench.restart()
        bench.turn(6)
        bench.tailer.finish()
        note()
        missing = set(range(bench.written)) - set(bench.events)
        assert len(set(bench.events)) == len(bench.events)
        spans = [(to_ns(gap.from_ or ""), to_ns(gap.to or "")) for gap in bench.gaps]
        assert not missing - destroyed.keys()
        assert not [n for n in missing if not any(a <= destroyed[n] <= b for a, b in spans)]
        assert sum(gap.bytes or 0 for gap in bench.gaps) <= sum(sizes[number] for number in missing)
