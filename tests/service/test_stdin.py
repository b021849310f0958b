"""Piped into the daemon: everything reaches the outputs, then it ends; what can't be saved is told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.conftest import DEADLINE_SECONDS, Service, json_line


class Piped(Service):
    """A daemon whose only input is its standard input."""

    def configure(self, *, state: str = "", inputs: str = "", listen: str = "") -> None:
        self.config.write_text(
            f'[state]\ndir = "{self.state}"\n{state}\n[[input]]\ntype = "stdin"\n{inputs}\n[metrics]\nlisten = "{listen}"\n'
        )

    def run_on(self, stdin: int) -> None:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shipper", "run", "-c", str(self.config)], stdin=stdin, stderr=errors
            )

    def gaps(self) -> list[str]:
        return [gap["gap"] for gap in self.status()["gaps"]]  # type: ignore[attr-defined]

    def conserved(self, entries: int) -> bool:
        counted = self.status()["sources"]["stdin"]  # type: ignore[index]
        parts = ("stored", "duplicates", "malformed", "not_ours")
        return bool(counted["entries"] == entries == sum(counted[part] for part in parts))


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Piped]:
    one = Piped(tmp_path)
    yield one
    if one.process is not None:
        os.kill(one.process.pid, signal.SIGKILL)
        one.process.wait()


def lines(first: int, last: int) -> bytes:
    return b"".join(json_line(number, None) for number in range(first, last))


def test_at_the_end_of_the_pipe_everything_is_delivered_and_the_daemon_ends_with_0(piped: Piped) -> None:
    read_fd, write_fd = os.pipe()
    piped.run_on(read_fd)
    os.close(read_fd)
    with os.fdopen(write_fd, "wb") as pipe:
        pipe.write(b"not ours\n" + lines(0, 3000) + b"a last line without an end")
    assert piped.wait() == 0
    assert piped.indexed() == list(range(3000))
    assert piped.conserved(3002)
    assert piped.gaps() == []
    assert "every input has ended" in piped.said()


def test_it_stands_behind_a_pipe_in_the_shell(piped: Piped) -> None:
    source = piped.logs / "source"
    source.write_bytes(lines(0, 50))
    command = f"(cat {source}; echo oops >&2) 2>&1 | {sys.executable} -m shipper run -c {piped.config}"
    subprocess.run(["/bin/sh", "-c", command], check=True, timeout=DEADLINE_SECONDS, capture_output=True)
    assert piped.indexed() == list(range(50))


def test_a_file_and_a_socket_and_a_named_pipe_are_read_as_well(piped: Piped) -> None:
    source = piped.logs / "source"
    source.write_bytes(lines(0, 10))
    with source.open("rb") as file:
        piped.run_on(file.fileno())
    assert piped.wait() == 0
    ours, theirs = socket.socketpair()
    piped.run_on(theirs.fileno())
    theirs.close()
    ours.sendall(lines(10, 20))
    ours.close()
    assert piped.wait() == 0
    named = piped.logs / "fifo"
    os.mkfifo(named)
    fd = os.open(named, os.O_RDWR)
    reader = os.open(named, os.O_RDONLY)
    piped.run_on(reader)
    os.close(reader)
    os.write(fd, lines(20, 30))
    piped.wait_for(lambda: len(piped.indexed()) == 30, "the events of the named pipe")
    os.close(fd)
    assert piped.wait() == 0
    assert piped.indexed() == list(range(30))
    assert piped.gaps() == []


def test_a_stop_takes_what_is_in_the_pipe(piped: Piped) -> None:
    read_fd, write_fd = os.pipe()
    piped.run_on(read_fd)
    os.close(read_fd)
    os.write(write_fd, lines(0, 5))
    piped.wait_for(lambda: len(piped.indexed()) == 5, "the first events")
    os.write(write_fd, lines(5, 25))
    assert piped.end() == 0
    assert piped.indexed() == list(range(25))
    assert "still open" in piped.said()
    assert piped.gaps() == []
    os.close(write_fd)


@pytest.mark.fault
def test_a_killed_reader_of_a_pipe_is_a_gap_at_the_next_start(piped: Piped) -> None:
    read_fd, write_fd = os.pipe()
    piped.run_on(read_fd)
    os.write(write_fd, lines(0, 5))
    piped.wait_for(lambda: len(piped.indexed()) == 5, "the first events")
    piped.end(signal.SIGKILL)
    os.write(write_fd, lines(5, 10))
    os.close(write_fd)
    piped.run_on(read_fd)
    os.close(read_fd)
    assert piped.wait() == 0
    assert piped.indexed() == list(range(10))
    assert piped.gaps() == ["pipe_cut"]


def test_a_daemon_without_room_holds_the_writer_back(piped: Piped) -> None:
    """At the journal's limit nothing more is read, and nothing is lost when there is room again."""
    piped.configure(state='journal_max = "16MiB"', inputs='[[output]]\ntype = "index"')
    (piped.state).mkdir()
    (piped.state / "index.db").mkdir()  # the index can't be opened
    read_fd, write_fd = os.pipe()
    piped.run_on(read_fd)
    os.close(read_fd)
    count = 40_000
    body = b"".join(json_line(number, os.urandom(400).hex()) for number in range(count))

    def write() -> None:
        with os.fdopen(write_fd, "wb") as pipe:
            pipe.write(body)

    writer = threading.Thread(target=write)
    writer.start()
    piped.wait_for(lambda: piped.status().get("paused") is not None, "the pause")
    assert writer.is_alive()
    (piped.state / "index.db").rmdir()
    writer.join(DEADLINE_SECONDS * 3)
    assert piped.wait() == 0
    assert len(piped.indexed()) == count


def test_beside_other_inputs_its_end_ends_nothing_else(piped: Piped) -> None:
    with piped.config.open("a") as config:
        config.write(f'[[input]]\ntype = "file"\npaths = ["{piped.logs}/*.log"]\n')
    read_fd, write_fd = os.pipe()
    piped.run_on(read_fd)
    os.close(read_fd)
    os.write(write_fd, lines(100, 105))
    os.close(write_fd)
    piped.wait_for(lambda: "'ended'" in str(piped.status().get("feeds")), "the end of the pipe")
    piped.write(5)
    piped.wait_for(lambda: len(piped.indexed()) == 10, "the events of the file")
    assert piped.end() == 0


def test_a_closed_standard_input_is_told(piped: Piped) -> None:
    command = f"exec {sys.executable} -m shipper run -c {piped.config} <&-"
    ended = subprocess.run(["/bin/sh", "-c", command], timeout=DEADLINE_SECONDS, capture_output=True, check=False)
    assert ended.returncode == 4
    assert b"standard input is closed" in ended.stderr
