"""A short campaign of kills loses nothing, doubles nothing, and names what the writer destroyed; ``make fault`` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_short_campaign(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fault",
            "--kills",
            "14",
            "--seed",
            "5",
            "--rate",
            "500",
            "--folder",
            str(tmp_path / "work"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=550,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
