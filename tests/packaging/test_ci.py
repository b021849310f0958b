"""Under CI nothing passes by not being asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPS = """
import pytest

def test_skips_itself():
    pytest.skip("no reason")

@pytest.mark.xfail(strict=True)
def test_is_known_to_fail():
    raise AssertionError
"""


@pytest.mark.parametrize(("ci", "code", "told"), [("true", 1, "skipped under CI"), ("", 0, "1 skipped, 1 xfailed")])
def test_a_skip_fails_under_ci_alone(ci: str, code: int, told: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_skips.py").write_text(SKIPS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert told in done.stdout


def test_ci_calls_make_test_with_ci_set() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "export CI=true" in script
    assert script.rstrip().endswith("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
