"""A folder with a log that is written, rotated and truncated in every way, and a tailer whose clock is ours."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.config import FileInput
from shipper.extraction import Yield
from shipper.inputs.tailer import Tailer
from shipper.journal import Batch, Position
from shipper.record import CompactRecord, Gap, encoded
from tests.conservation import assert_piece

TIME = "2026-01-02T03:04:05.000000000Z"


class LineExtractor:
    """Takes every whole line for an event whose id is the line's number; what comes after the newline waits."""

    carry = b""

    def __init__(self, offset: int, line: int) -> None:
        self.offset, self.line = offset, line
        self._rest = b""

    @property
    def waiting(self) -> bool:
        return bool(self._rest)

    def feed(self, data: bytes, *, again: bool = False) -> Yield:
        *lines, self._rest = (data if again else self._rest + data).split(b"\n")
        records = [CompactRecord(1, line.decode(), TIME, "connected") for line in lines]
        size = sum(len(line) + 1 for line in lines)
        self.offset += size
        self.line += len(lines)
        return Yield(
            encoded=[encoded(one) for one in records], originals=lines, entries=len(lines), lines=len(lines), bytes=size
        )

    def flush(self, final: bool = False) -> Yield:
        return self.feed(b"\n") if final and self._rest else Yield()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is taken in steps: a line may go on in the next."""
    monkeypatch.setattr("shipper.inputs.tail.STEP_BYTES", 97)


def make_lines(path: str, watch: FileInput, offset: int, line: int, carry: bytes) -> LineExtractor:
    return LineExtractor(offset, line)


class Bench:
    """Writes numbered lines and follows them; what a batch gives is kept as a journal would keep it."""

    def __init__(self, folder: Path, pattern: str = "*.log", grace_seconds: float = 2.0) -> None:
        self.folder = folder
        self.log = folder / "coderd.log"
        self.pattern = str(folder / pattern)
        self.grace_seconds = grace_seconds
        self.written = 0
        self.events: list[int] = []
        self.positions: dict[str, Position] = {}
        self.gaps: list[Gap] = []
        self.now = 0.0
        self.read_from = "start"
        self.exclude: tuple[str, ...] = FileInput(paths=("x",)).exclude
        self.first = True
        self.tailer = self._start()

    def _start(self) -> Tailer:
        watch = FileInput(paths=(self.pattern,), read_from=self.read_from, exclude=self.exclude)
        fresh, self.first = self.first, False
        return Tailer([watch], list(self.positions.values()), make_lines, fresh=fresh, grace_seconds=self.grace_seconds)

    def write(self, count: int, path: Path | None = None) -> None:
        with (path or self.log).open("ab") as file:
            for _ in range(count):
                file.write(b"%d something that happened\n" % self.written)
                self.written += 1

    def keep(self, batch: Batch) -> None:
        for piece in batch.pieces:
            assert_piece(piece)
            self.events.extend(int(line.split()[0]) for line in piece.originals)
        for key in batch.forget:
            self.positions.pop(key, None)
        for position in batch.positions:
            self.positions[position.key] = position
        self.gaps.extend(batch.gaps)

    def turn(self, seconds: int = 1) -> None:
        """Let seconds pass, with a turn in each and as many more as are asked for."""
        for _ in range(seconds):
            self.now += 1
            busy = True
            while busy:
                turn = self.tailer.turn(self.now, rescan=True)
                self.keep(turn.batch)
                busy = turn.busy

    def stop(self) -> None:
        self.keep(self.tailer.finish())

    def crash(self) -> None:
        """End without a word: what was read since the last turn is forgotten."""
        self.tailer.finish()

    def start(self) -> None:
        self.tailer = self._start()

    def restart(self) -> None:
        self.stop()
        self.start()

    def rotate_numbered(self, keep: int = 9) -> None:
        for number in range(keep, 0, -1):
            for ending in ("", ".gz"):
                old = self.folder / f"coderd.log.{number}{ending}"
                if old.exists():
                    old.rename(self.folder / f"coderd.log.{number + 1}{ending}")
        self.log.rename(self.folder / "coderd.log.1")

    def copytruncate(self, name: str) -> None:
        shutil.copy(self.log, self.folder / name)
        self.log.open("wb").close()

    def compress(self, name: str) -> None:
        path = self.folder / name
        with gzip.open(f"{path}.gz", "wb") as file:
            file.write(path.read_bytes())
        path.unlink()

    def whole(self) -> bool:
        """Whether every line came exactly once and in order."""
        return self.events == list(range(self.written))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.tailer.finish()


@pytest.fixture(scope="session")
def make_bench() -> type[Bench]:
    return Bench
