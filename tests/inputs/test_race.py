"""Files that change at the very moment when they are looked at: every line still comes once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shipper.inputs.content import Content, PlainContent, open_content

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


@contextmanager
def truncated_at(
    look: int, name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch, truncate: Callable[[], None]
) -> Iterator[list[str]]:
    """Truncates the log just before this of the looks at it by that method; gives the looks there were."""
    inner: Callable[..., Any] = getattr(PlainContent, name)
    looks: list[str] = []

    def truncating(content: PlainContent, *where: int) -> Any:
        if Path(content.path) == bench.log:
            looks.append(name)
            if len(looks) == look:
                truncate()
        return inner(content, *where)

    with monkeypatch.context() as patch:
        patch.setattr(PlainContent, name, truncating)
        yield looks


@pytest.mark.parametrize("times", [1, 2, 3])
def test_the_copy_is_renamed_while_it_is_looked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """As the next rotation does that shifts the numbers."""
    inner = open_content
    left = times

    def shifting(path: str) -> Content:
        nonlocal left
        if left:
            left -= 1
            for number in range(9, 0, -1):
                old = bench.folder / f"coderd.log.{number}"
                if old.exists():
                    old.rename(bench.folder / f"coderd.log.{number + 1}")
        return inner(path)

    bench.write(30)
    bench.turn()
    bench.write(30)
    bench.copytruncate("coderd.log.1")
    bench.write(3)
    monkeypatch.setattr("shipper.inputs.search.open_content", shifting)
    bench.turn(5)
    bench.restart()
    bench.turn(5)
    assert not left
    assert bench.whole()
    assert [gap.bytes for gap in bench.gaps] == [0]


@pytest.mark.parametrize("look", range(1, 12))
@pytest.mark.parametrize("name", ["pread", "stat"])
def test_the_log_is_truncated_while_its_copy_is_compared_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, look: int
) -> None:
    """At each of the looks at the log that a comparison takes."""
    bench.pattern = str(bench.folder / "*.log*")
    bench.restart()
    bench.write(300)
    bench.turn()
    copy = bench.folder / "coderd.log.1"
    copy.write_bytes(bench.log.read_bytes())
    with truncated_at(look, name, bench, monkeypatch, lambda: os.truncate(bench.log, 0)):
        bench.turn(12)
    bench.write(3)
    bench.turn(3)
    bench.restart()
    bench.turn(5)
    assert bench.whole()
    assert not any(gap.bytes for gap in bench.gaps)


def test_reads_what_an_empty_log_held_before_it_was_copied_away_and_written_anew(bench: Bench) -> None:
    bench.write(2)
    bench.turn()
    bench.copytruncate("coderd.log.1")
    bench.turn(5)
    bench.write(2)
    bench.copytruncate("coderd.log.2")
    bench.write(2)
    bench.turn(5)
    assert bench.whole()


def test_finds_a_file_again_that_was_renamed_to_a_name_that_no_rotation_makes(bench: Bench) -> None:
    bench.write(2)
    bench.turn()
    bench.stop()
    bench.write(2)
    bench.log.rename(bench.folder / "put away yesterday")
    bench.write(2)
    bench.start()
    bench.turn(5)
    assert bench.whole()
    assert not bench.gaps


@pytest.mark.parametrize("elsewhere", [False, True])
def test_finds_the_file_again_that_a_link_named(tmp_path: Path, make_bench: type[Bench], elsewhere: bool) -> None:
    """A link that names today's file, and tomorrow another, whether or not somebody looks meanwhile."""
    logs = tmp_path / "logs"
    logs.mkdir()
    bench = make_bench(logs, "coderd.log")
    folder = tmp_path / "store" if elsewhere else logs
    folder.mkdir(exist_ok=True)
    try:
        bench.write(2, folder / "monday")
        bench.log.symlink_to(folder / "monday")
        bench.turn()
        for day in ("tuesday", "wednesday"):
            if day == "wednesday":
                bench.stop()
            bench.write(2)
            bench.write(2, folder / day)
            bench.log.unlink()
            bench.log.symlink_to(folder / day)
            if day == "wednesday":
                bench.start()
            bench.turn(5)
        assert bench.whole()
        assert not bench.gaps
    finally:
        bench.tailer.finish()


def test_a_log_that_no_pattern_names_any_more_is_left_alone_and_not_missed(bench: Bench) -> None:
    named = bench.pattern
    bench.write(2)
    bench.turn()
    bench.stop()
    bench.write(2)
    bench.pattern = str(bench.folder / "*.txt")
    bench.start()
    bench.turn(6)
    bench.stop()
    assert bench.events == [0, 1]
    assert not bench.gaps
    bench.pattern = named
    bench.start()
    bench.turn()
    assert bench.whole()


def test_a_truncation_inside_the_hole_that_a_file_began_with_is_noticed(bench: Bench) -> None:
    bench.log.write_bytes(bytes(5000))
    bench.turn(2)
    bench.log.open("wb").close()
    bench.write(300)
    bench.turn(3)
    assert bench.whole()


@pytest.mark.parametrize("look", range(1, 14))
@pytest.mark.parametrize("name", ["pread", "stat"])
@pytest.mark.parametrize("ahead", [0, 30])
@pytest.mark.parametrize("grows", [0, 600])
def test_the_log_is_truncated_while_it_is_met_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, look: int, ahead: int, grows: int
) -> None:
    """At each of the looks at the log that a start takes; it may have grown beyond what it was by the next one."""
    bench.write(300)
    bench.turn()
    bench.write(ahead)
    bench.now += 1
    bench.tailer._scan(bench.now)
    bench.keep(bench.tailer._batch())
    bench.crash()

    def begin_anew() -> None:
        os.truncate(bench.log, 0)
        bench.write(grows)

    bench.start()
    with truncated_at(look, name, bench, monkeypatch, begin_anew) as looks:
        bench.turn(3)
        if len(looks) < look:
            os.truncate(bench.log, 0)
    bench.write(3)
    bench.turn(3)
    bench.write(600)
    bench.turn(3)
    bench.restart()
    bench.turn(3)
    missing = set(range(bench.written)) - set(bench.events)
    assert missing <= set(range(300, 300 + ahead))
    assert bool(bench.gaps) or (grows and len(looks) == look)
