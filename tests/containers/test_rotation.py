"""What a container wrote comes whole out of its log, however its runtime cut and rotated it and whenever we looked."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.config import FileInput
from shipper.inputs.tailer import Tailer
from shipper.journal import Batch, Position
from shipper.record import Gap, Malformed, Record
from shipper.service.intake import FileExtractors
from tests.conservation import assert_piece

UID = "0f2e1c9a-0000-4000-8000-000000000001"
DOCKER_ID = "ab" * 32


def event(number: int, padding: int) -> str:
    fields = {
        "ID": f"00000000-0000-0000-0000-{number:012d}",
        "Time": "2026-09-01T10:00:00Z",
        "Type": "ssh",
        "ConnectionStatus": "connected",
        "UserAgent": "é<x" * padding,
    }
    line = {"ts": "2026-09-01T10:00:00Z", "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"]}
    return json.dumps({**line, "fields": fields}, ensure_ascii=False)


class Kubelet:
    """A container's log as containerd writes and kubelet rotates it; each rotation compresses the file before."""

    wrapper = "cri"

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self.folder = root / "pods" / f"ns_coder-0_{UID}" / "coder"
        self.folder.mkdir(parents=True)
        self.current = self.folder / "0.log"
        self.current.touch()
        self.limit = limit
        self.rotations = 0
        self.rotated: list[Path] = []
        links = root / "containers"
        links.mkdir()
        (links / f"coder-0_ns_coder-{DOCKER_ID}.log").symlink_to(self.current)
        self.patterns: tuple[str, ...] = (f"{links}/*.log", f"{root}/pods/*/*/*.log")

    def records(self, text: str, stream: str) -> list[bytes]:
        """The physical lines that one line of the container becomes."""
        data = text.encode()
        parts = [data[at : at + self.limit] for at in range(0, len(data), self.limit)] or [b""]
        tags = [b"P"] * (len(parts) - 1) + [b"F"]
        head = f"2026-09-01T10:00:00.123456789Z {stream} ".encode()
        return [head + tag + b" " + part + b"\n" for tag, part in zip(tags, parts, strict=True)]

    def append(self, line: bytes) -> None:
        with self.current.open("ab") as file:
            file.write(line)

    def rotate(self) -> None:
        for old in self.rotated:
            if old.suffix != ".gz":
                self._compress(old)
        self.rotated = [old if old.suffix == ".gz" else Path(f"{old}.gz") for old in self.rotated]
        self.rotations += 1
        to = Path(
            f"{self.current}.20260901-{self.rotations // 3600:02d}{self.rotations // 60 % 60:02d}{self.rotations % 60:02d}"
        )
        self.current.rename(to)
        self.rotated.append(to)
        self.current.touch()

    def _compress(self, old: Path) -> None:
        beside = Path(f"{old}.tmp")
        with gzip.open(beside, "wb") as file:
            file.write(old.read_bytes())
        beside.rename(f"{old}.gz")
        old.unlink()


class Docker(Kubelet):
    """The json-file driver: numbered files, the last one perhaps compressed."""

    wrapper = "docker"

    def __init__(self, root: Path, limit: int) -> None:
        self.root = root
        self.folder = root / "containers" / DOCKER_ID
        self.folder.mkdir(parents=True)
        self.current = self.folder / f"{DOCKER_ID}-json.log"
        self.current.touch()
        self.limit = limit
        self.patterns = (f"{root}/containers/*/*-json.log",)

    def records(self, text: str, stream: str) -> list[bytes]:
        whole = text + "\n"
        parts = [whole[at : at + self.limit] for at in range(0, len(whole), self.limit)]
        stamp = "2026-09-01T10:00:00.123456789Z"
        pieces = [{"log": part, "stream": stream, "time": stamp} for part in parts]
        return [json.dumps(piece, separators=(",", ":")).encode() + b"\n" for piece in pieces]

    def rotate(self) -> None:
        for number in range(8, 0, -1):
            for ending in ("", ".gz"):
                old = Path(f"{self.current}.{number}{ending}")
                if old.exists():
                    old.rename(f"{self.current}.{number + 1}{ending}")
        older = Path(f"{self.current}.2")
        if older.exists():
            self._compress(older)
        self.current.rename(f"{self.current}.1")
        self.current.touch()


class Reader:
    """A tailer on the log; what it gives is kept as a journal would keep it."""

    def __init__(self, log: Kubelet) -> None:
        self.log = log
        self.positions: dict[str, Position] = {}
        self.records: list[Record] = []
        self.malformed: list[Malformed] = []
        self.gaps: list[Gap] = []
        self.entries = self.not_ours = 0
        self.now = 0.0
        self.first = True
        self.tailer: Tailer | None = None
        self.start()

    def start(self) -> None:
        watch = FileInput(paths=self.log.patterns)
        self.tailer = Tailer(
            [watch], list(self.positions.values()), FileExtractors("h"), fresh=self.first, host="h", grace_seconds=10.0
        )
        self.first = False

    def keep(self, batch: Batch) -> None:
        for piece in batch.pieces:
            assert_piece(piece)
            self.records += [found.record() for found in piece.encoded]
            self.malformed += piece.malformed
            self.entries += piece.entries
            self.not_ours += piece.not_ours
        for key in batch.forget:
            self.positions.pop(key, None)
        self.positions.update({position.key: position for position in batch.positions})
        self.gaps += batch.gaps

    def turn(self, seconds: int = 1) -> None:
        assert self.tailer is not None
        for _ in range(seconds):
            self.now += 1.0
            busy = True
            while busy:
                turn = self.tailer.turn(self.now, rescan=True)
                self.keep(turn.batch)
                busy = turn.busy

    def stop(self, crash: bool) -> None:
        assert self.tailer is not None
        batch = self.tailer.finish()
        if not crash:
            self.keep(batch)
        self.tailer = None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("line"), st.integers(0, 60), st.sampled_from(["stdout", "stderr"])),
        st.just(("turn",)),
        st.just(("rotate",)),
        st.just(("stop",)),
        st.just(("crash",)),
        st.just(("start",)),
        st.tuples(st.just("write"), st.integers(1, 6)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("kind", [Kubelet, Docker])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(steps=STEPS, limit=st.sampled_from([16, 50, 200]))
def test_every_line_comes_once_and_whole(kind: type[Kubelet], steps: list[tuple[object, ...]], limit: int) -> None:
    """Physical lines of two streams interleave, and files are rotated between any two of them."""
    with tempfile.TemporaryDirectory() as folder:
        log = kind(Path(folder), limit)
        log.append(log.records("up", "stdout")[0])
        reader = Reader(log)
        reader.turn()
        queues: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        written = 0
        for step in steps:
            if step[0] == "line":
                stream = str(step[2])
                queues[stream] += log.records(event(written, int(str(step[1]))), stream)
                queues[stream] += log.records("something else", stream)
                written += 1
            elif step[0] == "write":
                for number in range(int(str(step[1]))):
                    queue = queues["stdout" if number % 2 else "stderr"]
                    if queue:
                        log.append(queue.pop(0))
            elif step[0] == "rotate":
                if reader.tailer is not None:
                    reader.turn()  # kubelet and Docker leave seconds between two rotations, the poll is faster
                log.rotate()
            elif step[0] == "turn" and reader.tailer is not None:
                reader.turn()
            elif step[0] in ("stop", "crash") and reader.tailer is not None:
                reader.stop(step[0] == "crash")
            elif step[0] == "start" and reader.tailer is None:
                reader.start()
                reader.turn()
        if reader.tailer is None:
            reader.start()
        for queue in queues.values():
            for line in queue:
                log.append(line)
        reader.turn(20)
        reader.stop(crash=False)
        assert sorted(int(record.id[-12:]) for record in reader.records) == list(range(written)), reader.gaps
        assert not reader.malformed
        assert not reader.gaps
        # Entries = stored + duplicates + malformed + not ours, over all lives.
        assert (reader.entries, reader.not_ours) == (2 * written + 1, written + 1)
