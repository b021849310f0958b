"""A short run of each fuzzer: no error, no hang, every entry counted, and no more out than in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.__main__ import TARGETS, fuzz
from tests.fuzz.seed import write_seeds
from tests.fuzz.target import TARGETS as FUNCTIONS

pytest.importorskip("atheris", reason="atheris is of the dev extra: pip install -e '.[dev]'")


@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_finds_nothing_in_a_short_run(target: str, tmp_path: Path) -> None:
    """From genuine seeds, always the same way."""
    done = fuzz(target, tmp_path, "-runs=1500", "-seed=7")
    broken = [path.read_bytes() for path in tmp_path.glob("broken-*")]
    assert (done.returncode, broken) == (0, []), done.stdout[-3000:] + done.stderr[-3000:]
    assert "Done 1500 runs" in done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_reach_records(target: str, tmp_path: Path) -> None:
    """The fuzzer begins where the parser succeeds: its seeds hold, and they are many."""
    assert write_seeds(tmp_path, target) > 10
    for path in tmp_path.iterdir():
        FUNCTIONS[target](path.read_bytes())
