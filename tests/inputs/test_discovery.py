"""What the patterns name and is not read is told; nothing is skipped in silence."""

from __future__ import annotations

import glob
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from shipper.config import FileInput
from shipper.inputs.discovery import discover
from shipper.inputs.pattern import expand
from tests.inputs.test_tailer import without_privileges

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

PATTERNS = [
    "*",
    "*.log",
    "**",
    "**/*.log",
    "*/*.log",
    "a/**/x.log",
    "**/**/x.log",
    "?/b/[xy].log",
    ".*",
    "*/.h/*",
    "a/x.log",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_names_what_it_names_elsewhere(tmp_path: Path, pattern: str) -> None:
    """Compared with Python's own glob, but for folders above the pattern's own."""
    for name in ("x.log", "a/x.log", "a/b/x.log", "a/b/y.log", "a/b/c/x.log", "a/.h/x.log", ".hidden", ".h/x.log", "z"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "dangling.log").symlink_to("nowhere")
    troubles: dict[str, str] = {}
    whole = f"{tmp_path}/{pattern}"
    theirs = {path.rstrip("/") for path in glob.glob(whole, recursive=True)} - {str(tmp_path)}  # noqa: PTH207
    assert set(expand(whole, troubles)) == theirs
    assert not troubles


def test_a_link_to_a_folder_above_is_no_endless_tree(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.log").touch()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "up2").symlink_to(tmp_path)
    assert list(expand(f"{tmp_path}/**/*.log", {})) == [f"{tmp_path}/a/x.log"]


def test_what_is_not_read_is_told_once_and_for_as_long_as_it_is_so(bench: Bench) -> None:
    folder = bench.folder
    os.mkfifo(folder / "pipe.log")
    (folder / "folder.log").mkdir()
    (folder / "dangling.log").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(str(folder)) + b"/bad\xff.log")).write_bytes(b"0 bad\n")
    bench.write(5)
    for _ in range(3):
        bench.turn()
        told = bench.tailer.troubles
        assert {Path(path).name for path in told} == {"pipe.log", "dangling.log", "bad\\xff.log"}
        assert "not a regular file" in told[f"{folder}/pipe.log"]
        assert "a link to what is not there" in told[f"{folder}/dangling.log"]
        assert "not valid UTF-8" in told[f"{folder}/bad\\xff.log"]
    assert bench.whole()
    for path in folder.iterdir():
        if path != bench.log:
            path.rmdir() if path.is_dir() else path.unlink()
    bench.turn()
    assert not bench.tailer.troubles


def test_every_word_about_a_file_is_valid_text(bench: Bench) -> None:
    """A name that is no text, of a log or of what may be its rotated copy, would end the process that stores it."""
    raw = os.fsencode(str(bench.folder))
    bench.write(1)
    bench.turn()
    for name in (b"/bad\xff.log", b"/coderd.log.\xff1", b"/coderd.log.1\xff"):
        Path(os.fsdecode(raw + name)).write_bytes(b"8 bad\n")
    bench.rotate_numbered()
    Path(os.fsdecode(raw + b"/folder\xff")).mkdir()
    bench.write(1)
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    msgspec.json.encode([bench.tailer.files(), bench.tailer.troubles, list(bench.positions.values())])
    assert bench.whole()


def test_a_closed_folder_is_told_and_its_files_are_followed_through_their_handles(make_bench: type[Bench]) -> None:
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "open").mkdir()
        (top / "closed").mkdir()
        bench = make_bench(top, "**/*.log")
        bench.write(2, top / "closed" / "x.log")
        bench.turn()
        with (top / "closed" / "x.log").open("ab", buffering=0) as writer:
            (top / "closed").chmod(0)
            with without_privileges():
                bench.turn(9)
                assert "Permission denied" in bench.tailer.troubles[f"{top}/closed"]
                writer.write(b"2 more\n")
                bench.turn()
                assert bench.events == [0, 1, 2]
                assert [file.state for file in bench.tailer.files()] == ["current"]
        (top / "closed").chmod(0o755)
        bench.turn()
        assert not bench.tailer.troubles
        assert bench.events == [0, 1, 2]
        assert not bench.gaps
        bench.tailer.finish()


def test_a_file_in_a_folder_that_may_not_be_entered_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "x").mkdir(mode=0)
        with without_privileges():
            found, troubles = discover([FileInput(paths=(f"{name}/*/l.log",))])
        assert not found
        assert list(troubles) == [f"{name}/x/l.log"]
