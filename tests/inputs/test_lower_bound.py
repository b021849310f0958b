"""What a gap names is a lower bound: not a byte of it is found, and read, elsewhere or named twice.

Random histories of a log whose copies are compressed and deleted, by a tailer that is often behind.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

FIRST = 1000
LINE_BYTES = len(b"%d something that happened\n" % FIRST)
READ_BYTES = 5 * LINE_BYTES
"""A turn reads a few lines only, so that files are often read in part, or not at all, when something happens to them."""

HISTORIES = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 20)),
        st.tuples(st.just("copytruncate"), st.integers(0, 5)),
        st.tuples(st.just("rotate"), st.just(0)),
        st.tuples(st.just("truncate"), st.just(0)),
        st.tuples(st.just("cut"), st.integers(1, 999)),
        st.tuples(st.just("copycut"), st.integers(1, 999)),
        st.tuples(st.just("delete"), st.just(0)),
        st.tuples(st.just("compress"), st.integers(1, 3)),
        st.tuples(st.just("expire"), st.just(0)),
        st.tuples(st.just("step"), st.integers(1, 3)),
        st.tuples(st.just("scan"), st.just(0)),
        st.tuples(st.just("turn"), st.integers(1, 5)),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("crash"), st.integers(0, 1)),
        st.tuples(st.just("start"), st.just(0)),
    ),
    min_size=4,
    max_size=25,
)


class History:
    """A log and its copies as the file system has them: which lines each holds."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.runs = True
        self.current: list[int] = []
        self.copies: list[list[int]] = []
        """The lines of ``.1``, ``.2`` and so on."""
        self.hidden: set[int] = set()
        """Lines of a log that was copied and cut: the log may look as if nothing had happened to it, and what it shares
        with its copy is read from that, which may be destroyed first."""
        self.slack_bytes = 0
        """What was cut off of lines that begin before a cut and end behind it, and lines that were read before a cut and
        are seen anew behind it: where less is left than was read, all that is left is."""

    def play(self, action: str, amount: int) -> None:
        bench = self.bench
        if action == "write":
            self._write(amount)
        elif action in ("copytruncate", "rotate") and self.current:
            self._shift()
            self.copies.insert(0, self.current)
            if action == "rotate":
                bench.log.rename(self._copy(1))
            else:
                self._copy(1).write_bytes(bench.log.read_bytes())
                self._write(amount)
                bench.log.open("wb").close()
            self.current = []
        elif action == "truncate" and self.current:
            bench.log.open("wb").close()
            self.current = []
        elif action in ("cut", "copycut") and self.current and (self.runs or action == "cut"):
            if action == "copycut":
                # Of a log that was never seen nobody knows that its copy is one.
                self._tail("scan", 0)
                self._shift()
                self.copies.insert(0, self.current)
                self._copy(1).write_bytes(bench.log.read_bytes())
                self.hidden |= set(self.current)
            size = amount * bench.log.stat().st_size // 1000
            # Of a copy and a log with half a line more the first bytes may differ that alone are known of it.
            self._cut(size if action == "cut" else size // LINE_BYTES * LINE_BYTES)
        elif action == "delete" and bench.log.exists():
            bench.log.unlink()
            self.current = []
        elif action == "compress" and amount <= len(self.copies) and self._copy(amount).suffix != ".gz":
            bench.compress(self._copy(amount).name)
        elif action == "expire" and self.copies:
            self._copy(len(self.copies)).unlink()
            self.copies.pop()
        elif self.runs:
            self._tail(action, amount)
        elif action in ("start", "turn", "step"):
            bench.start()
            self.runs = True

    def _cut(self, size: int) -> None:
        """Cut the log to ``size`` bytes; a line that goes on behind them ends there."""
        os.truncate(self.bench.log, size)
        left = self.bench.log.read_bytes().split(b"\n")
        if left[-1]:
            self.slack_bytes += LINE_BYTES
            with self.bench.log.open("ab") as file:
                file.write(b"\n")
        self.current = [int(line[:4]) for line in left if len(line) == LINE_BYTES - 1]
        self.slack_bytes += LINE_BYTES * len({*self.current} & {*self.bench.events})

    def _tail(self, action: str, amount: int) -> None:
        bench = self.bench
        if action == "step":
            for _ in range(amount):
                bench.now += 0.5
                bench.keep(bench.tailer.turn(bench.now, rescan=True).batch)
        elif action == "scan":
            # The look of a turn that reads nothing of what it found.
            bench.tailer._scan(bench.now)
            bench.keep(bench.tailer._batch())
        elif action == "turn":
            bench.turn(amount)
        elif action == "stop":
            bench.stop()
            self.runs = False
        elif action == "crash":
            if amount:
                bench.tailer.turn(bench.now + 1, rescan=True)
            bench.crash()
            self.runs = False

    def end(self) -> None:
        """Everything is read that can be, and given up what can't."""
        if not self.runs:
            self.bench.start()
        self.bench.turn(6)
        self.bench.restart()
        self.bench.turn(6)
        self.bench.tailer.finish()

    def left(self) -> set[int]:
        """The lines that are still there."""
        return {number for lines in (self.current, *self.copies) for number in lines} - self.hidden

    def _write(self, count: int) -> None:
        self.current = [*self.current, *range(self.bench.written, self.bench.written + count)]
        self.bench.write(count)

    def _copy(self, number: int) -> Path:
        plain = self.bench.folder / f"coderd.log.{number}"
        packed = self.bench.folder / f"coderd.log.{number}.gz"
        return packed if packed.exists() else plain

    def _shift(self) -> None:
        for number in range(len(self.copies), 0, -1):
            old = self._copy(number)
            old.rename(old.with_name(old.name.replace(f".log.{number}", f".log.{number + 1}")))


@pytest.mark.parametrize("pattern", ["*.log", "*.log*"])
@given(actions=HISTORIES)
@example(actions=[("rotate", 0), ("write", 9), ("step", 1), ("copytruncate", 0)])
@example(actions=[("copytruncate", 0), ("write", 9), ("scan", 0), ("copytruncate", 0)])
@example(actions=[("copytruncate", 0), ("turn", 1), ("write", 1), ("step", 1), ("copytruncate", 0)])
@example(actions=[("write", 9), ("step", 1), ("copytruncate", 0), ("compress", 1)])
@example(actions=[("write", 9), ("scan", 0), ("stop", 0), ("copytruncate", 0), ("compress", 1)])
@example(actions=[("copytruncate", 0), ("write", 8), ("scan", 0), ("cut", 143)])
@example(actions=[("write", 9), ("scan", 0), ("cut", 500), ("scan", 0), ("copycut", 500), ("write", 1)])
def test_gaps_name_no_byte_that_was_read_and_none_twice(
    make_bench: type[Bench], pattern: str, actions: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("shipper.inputs.tailer.READ_MAX_BYTES", READ_BYTES)
        bench = make_bench(Path(folder), pattern)
        bench.written = FIRST
        history = History(bench)
        history.play("write", 1)
        bench.turn()
        for action, amount in actions:
            history.play(action, amount)
        history.end()
        missing = set(range(FIRST, bench.written)) - set(bench.events)
        assert not missing & history.left()
        named = sum(gap.bytes or 0 for gap in bench.gaps)
        assert named <= len(missing) * LINE_BYTES + history.slack_bytes, [
            (gap.gap, gap.bytes, gap.reason) for gap in bench.gaps
        ]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(("way", "lives"), [("truncated", 1), ("truncated", 2), ("deleted", 2)])
def test_what_was_seen_behind_its_copy_is_missed_once(
    bench: Bench, way: str, read: bool, packed: bool, lives: int
) -> None:
    """Copied, written to, seen and destroyed; then its copy is destroyed, read to its end or not."""
    bench.written = FIRST
    bench.write(2)
    bench.turn()
    bench.write(4)
    copy = bench.folder / "coderd.log.1"
    copy.write_bytes(bench.log.read_bytes())
    bench.write(3)
    bench.tailer._scan(bench.now)
    bench.keep(bench.tailer._batch())
    if lives == 2:
        bench.crash()
    if packed:
        bench.compress(copy.name)
        copy = copy.with_name(copy.name + ".gz")
    if way == "deleted":
        bench.log.unlink()
    else:
        bench.log.open("wb").close()
    if lives == 2:
        bench.start()
    if not read:
        bench.now += 1
        bench.tailer._scan(bench.now)
        bench.keep(bench.tailer._batch())
        bench.crash()
        copy.unlink()
        bench.start()
    bench.turn(6)
    bench.restart()
    bench.turn(6)
    assert bench.events == list(range(FIRST, FIRST + (6 if read else 2)))
    assert sum(gap.bytes or 0 for gap in bench.gaps) == LINE_BYTES * (3 if read else 7)
