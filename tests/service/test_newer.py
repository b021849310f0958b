"""A state folder of a newer connlog is refused by this one, and not a byte of it is changed: journal, index, daemon, commands."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.errors import StateNewer
from shipper.index.reader import IndexReader
from shipper.index.writer import IndexWriter
from shipper.journal import Journal, Quarantine
from tests.service.conftest import Service


def newer(path: Path, killed: bool) -> None:
    """A database of a newer version; where it was killed all of that is in its -wal file alone."""
    made = path.with_name("made.db")
    database = sqlite3.connect(made, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "CREATE TABLE things (one)", "PRAGMA wal_checkpoint(TRUNCATE)"):
        database.execute(statement).fetchall()
    database.execute("PRAGMA user_version=99")
    database.execute("INSERT INTO things VALUES (1)")
    if not killed:
        database.close()
    for ending in ("", "-wal", "-shm"):
        one = made.with_name(made.name + ending)
        if one.exists():
            shutil.copy(one, path.with_name(path.name + ending))
    database.close()
    made.unlink()


def state_of(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file with its hash, mode and time of last change; of -shm, a help that readers share, its being there."""
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode, path.stat().st_mtime_ns)
        if not path.name.endswith("-shm")
        else ("", 0, 0)
        for path in folder.iterdir()
    }


OPENERS: dict[str, Callable[[Path], object]] = {
    "journal": lambda folder: Journal(folder / "journal.db"),
    "quarantine": lambda folder: Quarantine(folder / "journal.db"),
    "writer": lambda folder: IndexWriter(folder / "index.db"),
    "reader": lambda folder: IndexReader(folder / "index.db"),
}


@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("name", sorted(OPENERS))
def test_nothing_that_opens_a_database_changes_a_newer_one(tmp_path: Path, name: str, killed: bool) -> None:
    newer(tmp_path / "journal.db", killed)
    newer(tmp_path / "index.db", killed)
    before = state_of(tmp_path)
    assert (f"{'journal' if name in ('journal', 'quarantine') else 'index'}.db-wal" in before) == killed
    for _ in range(2):
        with pytest.raises(StateNewer, match="newer"):
            OPENERS[name](tmp_path)
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("which", ["journal.db", "index.db"])
@pytest.mark.parametrize("killed", [True, False])
def test_the_daemon_leaves_the_whole_folder_as_it_is(service: Service, which: str, killed: bool) -> None:
    """Also where only the index is newer, and the journal is one that it would bring up to date."""
    service.write(3)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the events")
    assert service.end() == 0
    for ending in ("", "-wal", "-shm"):
        (service.state / f"{which}{ending}").unlink(missing_ok=True)
    newer(service.state / which, killed)
    before = state_of(service.state)
    service.start()
    assert service.wait() == 4
    assert state_of(service.state) == before
    assert "newer connlog" in service.said()


@pytest.mark.parametrize("command", ["search", "quarantine ls", "backfill"])
def test_so_does_every_command(service: Service, capsys: pytest.CaptureFixture[str], command: str) -> None:
    service.write(1)
    service.state.mkdir()
    newer(service.state / "journal.db", killed=True)
    newer(service.state / "index.db", killed=True)
    before = state_of(service.state)
    arguments = [*command.split(), "-c", str(service.config)]
    if command == "backfill":
        arguments.append(str(service.log))
    assert main(arguments) == 4
    assert "newer" in capsys.readouterr().err
    after = state_of(service.state)
    assert after == before
