"""What the pages show of commands is what the commands print."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def console() -> ModuleType:
    """``demo/console.py``, which is run by its path."""
    spec = importlib.util.spec_from_file_location("console", ROOT / "demo" / "console.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recorded_examples_are_as_the_commands_print_now(console: ModuleType) -> None:
    assert {page.name for page in console.pages(ROOT)} >= {"README.md", "searching.md"}
    assert console.main(["--check"]) == 0


def test_a_stale_example_is_found_and_mended(
    console: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "README.md"
    page.write_text("before\n```console\n$ connlog search nothing-there\nstale\n```\nafter\n")
    assert console.main(["--check"], tmp_path) == 1
    assert "run 'make docs'" in capsys.readouterr().err
    assert console.main([], tmp_path) == 0
    assert page.read_text() == (
        "before\n```console\n$ connlog search nothing-there\nconnlog: nothing found\n```\nafter\n"
    )
    assert console.main(["--check"], tmp_path) == 0
