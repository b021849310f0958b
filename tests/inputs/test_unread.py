"""What is not read yet is counted without reading it."""

from __future__ import annotations

import os
from pathlib import Path

from shipper.inputs.child import Child
from shipper.inputs.unread import unread_bytes


def test_of_a_pipe_it_is_what_was_written_and_not_read() -> None:
    reader, writer = os.pipe()
    assert unread_bytes(reader) == 0
    os.write(writer, b"x" * 5000)
    assert unread_bytes(reader) == 5000
    assert len(os.read(reader, 4000)) == 4000
    assert unread_bytes(reader) == 1000
    os.close(reader)
    os.close(writer)
    assert unread_bytes(reader) == 0


def test_of_a_file_it_is_what_lies_behind_the_place(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    with path.open("rb", buffering=0) as file:
        file.read(40)
        assert unread_bytes(file.fileno()) == 60


def test_of_a_child_it_is_what_it_has_written() -> None:
    child = Child(["sh", "-c", "printf 1234567; exec sleep 60"], {"PATH": os.environ["PATH"]})
    try:
        os.set_blocking(child.fds[0], True)
        assert child.read(3) == b"123"
        os.set_blocking(child.fds[0], False)
        assert child.unread_bytes == 4
    finally:
        child.close()
