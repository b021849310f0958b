"""Whatever becomes of the index, a question ends with an answer or a sentence, and the right exit code."""

from __future__ import annotations

import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from shipper.cli.main import main
from shipper.index import IndexReader, IndexWriter
from shipper.query import Filter
from shipper.record import Record

EVENTS = 3000
COMMANDS = [["search"], ["grep", "line"], ["tail"], ["stats", "--by", "type"], ["show", "00000001"]]

MORE_COMMANDS = [
    ["search", "--events", "--limit", "0", "--output", "ndjson"],
    ["search", "00000001"],
    ["search", "state:unknown", "--sort", "-workspace", "--output", "raw"],
    ["grep", "nowhere", "-v"],
    ["stats", "--unique", "workspace", "--interval", "1h"],
    ["stats", "--durations"],
    ["names", "ls"],
    ["index", "check"],
    ["index", "rebuild"],
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = [
        Record(1, f"{n:08x}-0000-4000-8000-000000000000", "2026-01-01T00:00:00.000000000Z", "connected", "ssh")
        for n in range(EVENTS)
    ]
    writer = IndexWriter(tmp_path / "index.db")
    writer.add(1, made, [b"line " * 20] * EVENTS, stored_ns=0)
    writer.close()
    return tmp_path / "index.db"


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_file_cut_short_is_told(path: Path, args: list[str], size: int, capsys: pytest.CaptureFixture[str]) -> None:
    with path.open("r+b") as file:
        file.truncate(size)
    assert main([args[0], "--index", str(path), *args[1:]]) == 4
    said = capsys.readouterr().err
    assert str(path) in said
    assert "Traceback" not in said


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_a_newer_index_is_left_alone(path: Path, args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    assert main([args[0], "--index", str(path), *args[1:]]) == 4
    assert "install the newer connlog again" in capsys.readouterr().err


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_a_writer_in_the_middle_of_something_holds_up_nobody(path: Path, args: list[str]) -> None:
    writer = IndexWriter(path)
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM words")
    assert main([args[0], "--index", str(path), *args[1:]]) == 0
    other.rollback()
    other.close()
    writer.close()


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
def test_in_a_folder_that_may_only_be_read_the_answer_is_the_same(path: Path, args: list[str]) -> None:
    path.chmod(0o440)
    path.parent.chmod(0o550)
    try:
        assert main([args[0], "--index", str(path), *args[1:]]) == 0
    finally:
        path.parent.chmod(0o750)


def test_an_index_deleted_while_it_is_read_is_read_to_its_end(path: Path) -> None:
    reader = IndexReader(path)
    answer = reader.search(Filter(), events=True, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0)
    for file in path.parent.iterdir():
        file.unlink()
    assert sum(1 for _ in answer.rows) == EVENTS
    reader.close()


@pytest.mark.parametrize("args", [*COMMANDS[:4], ["stats", "--by", "type", "--top", "0"]], ids=" ".join)
def test_who_stops_reading_early_breaks_nothing(path: Path, args: list[str]) -> None:
    extra = ["--limit", "0"] if args[0] == "search" else []
    command = [sys.executable, "-m", "shipper", args[0], "--index", str(path), *extra, *args[1:]]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.read(1)
    running.stdout.close()
    said = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 0
    assert b"Traceback" not in said


def test_an_interrupt_ends_with_130_and_no_word(path: Path) -> None:
    command = [sys.executable, "-m", "shipper", "tail", "-f", "--index", str(path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    os.kill(running.pid, signal.SIGINT)
    running.stdout.read()
    said = running.stderr.read()
    running.stdout.close()
    running.stderr.close()
    assert (running.wait(), said) == (130, b"")


def test_who_looks_at_a_page_for_long_holds_no_view(path: Path, tmp_path: Path) -> None:
    """The writer can empty its -wal while somebody reads in a pager."""
    ready, go = tmp_path / "ready", tmp_path / "go"
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat >/dev/null\ntouch {ready}\nwhile [ ! -e {go} ]; do sleep 0.05; done\n")
    pager.chmod(0o755)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "CONNLOG_PAGER": str(pager), "LINES": "10", "COLUMNS": "100"}
    writer = IndexWriter(path)
    for more in ([], ["--attribution"]):
        ready.unlink(missing_ok=True)
        go.unlink(missing_ok=True)
        command = [sys.executable, "-m", "shipper", "search", "--index", str(path), *more]
        running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        record = Record(
            1, f"ffff{len(more):04x}-0000-4000-8000-000000000000", "2026-01-01T00:00:00.000000000Z", "connected"
        )
        writer.add(2 + len(more), [record], [b""], stored_ns=0)
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        database.close()
        go.touch()
        assert running.wait() == 0
    writer.close()
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
@pytest.mark.parametrize(
    "args", [["search"], ["search", "--output", "csv"], ["search", "--output", "ndjson"], ["tail"], ["stats", "--by", "workspace"],
             ["grep", "line"], ["show", "0000000a"]], ids=" ".join,
)  # fmt: skip
def test_in_any_locale_there_is_an_answer(tmp_path: Path, args: list[str], encoding: str) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    record = Record(
        1, "0000000a-0000-4000-8000-000000000000", "2026-01-01T00:00:00.000000000Z", "connected", workspace_name="日本"
    )
    writer.add(1, [record], ["line 日本".encode()], stored_ns=0)
    writer.close()
    command = [sys.executable, "-m", "shipper", args[0], "--index", str(path), *args[1:]]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert any(shown in done.stdout for shown in ("日本".encode(), rb"\u65e5\u672c"))


@pytest.mark.parametrize("seed", [*range(30), 35, 130, 135, 142])
def test_whatever_is_damaged_the_answer_is_a_sentence_or_true(
    path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random bytes at random places: no traceback, no hang, and an exit code that says how it went."""
    random = Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 3, 20))):
        at = random.randrange(len(data))
        piece = random.randbytes(random.choice((1, 16, 4096)))
        data[at : at + len(piece)] = piece
    path.write_bytes(data[: len(data)] if seed % 4 else data[: random.randrange(len(data))])
    for args in (*COMMANDS, *MORE_COMMANDS):
        code = main([*args, "--index", str(path)])
        assert code in (0, 1, 4), args
        said = capsys.readouterr().err
        assert code != 4 or str(path) in said, (args, said)


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: args[0])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_is_told_at_once(
    tmp_path: Path, args: list[str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "index.db"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert main([args[0], "--index", str(path), *args[1:]]) == 4
    assert "is no file; name the index itself" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small disk")
def test_on_a_full_disk_questions_are_answered_and_nothing_breaks(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    try:
        index = disk / "index.db"
        index.write_bytes(path.read_bytes())
        with suppress(OSError), (disk / "fill").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        for args, said in ((["index", "compact"], "disk"), (["index", "rebuild"], "no room on the disk")):
            assert main([*args, "--index", str(index)]) == 4
            assert said in capsys.readouterr().err
        for args in (*COMMANDS, ["index", "check"]):
            assert main([*args, "--index", str(index)]) == 0, capsys.readouterr().err
        (disk / "fill").unlink()
        assert main(["index", "compact", "--index", str(index)]) == 0
        assert main(["index", "check", "--index", str(index)]) == 0
    finally:
        subprocess.run(["umount", disk], check=True)
