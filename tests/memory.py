"""Folders in memory, where there is such a disk, for tests that open databases by the thousand.

What is committed counts there, not what reaches a plate: nobody cuts the power, and waiting for a disk is most of their time.
A ``conftest.py`` imports both fixtures to have them in place of pytest's for its folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK = Path("/dev/shm")
FREE_MIN_BYTES = 512 << 20
"""With less room than this pytest's own place is taken, as where there is no such disk."""


class Folders:
    """What tests use of pytest's factory of folders."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def mktemp(self, basename: str) -> Path:
        """A new, empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{basename}-", dir=self._root))


@pytest.fixture(scope="session")
def tmp_path_factory() -> Iterator[Folders]:
    """Folders that are gone at the end of the run."""
    fit = os.access(DISK, os.W_OK) and shutil.disk_usage(DISK).free >= FREE_MIN_BYTES
    with tempfile.TemporaryDirectory(prefix="connlog-tests-", dir=DISK if fit else None) as folder:
        yield Folders(Path(folder))


@pytest.fixture
def tmp_path(tmp_path_factory: Folders) -> Iterator[Path]:
    """A folder that is gone after the test."""
    folder = tmp_path_factory.mktemp("test")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
