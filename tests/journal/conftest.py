"""Every journal that a test leaves accounts for every entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conservation import assert_journal, journals_in
from tests.memory import tmp_path, tmp_path_factory

__all__ = ["conserved", "tmp_path", "tmp_path_factory"]


@pytest.fixture(autouse=True)
def conserved(tmp_path: Path) -> Iterator[None]:
    """Whatever a test did, no journal that it leaves has lost count of an entry."""
    yield
    for path in journals_in(tmp_path):
        assert_journal(path)
