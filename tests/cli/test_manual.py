"""The manual: every command is in it, nothing of it is a request of roff by accident, and a stale one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shipper.cli.main import COMMANDS
from shipper.cli.manual import main, page

_REQUESTS = {'.\\"', ".TH", ".SH", ".SS", ".B", ".I", ".PP", ".TP", ".nf", ".fi"}


def test_every_command_has_its_section() -> None:
    for name in COMMANDS:
        assert f".SS connlog {name}\n" in page()


def test_every_line_that_begins_with_a_dot_is_a_request_that_is_meant() -> None:
    for line in page().splitlines():
        if line.startswith((".", "'")):
            assert line.split()[0] in _REQUESTS
        assert not re.search(r"\\(?![-e&\"])", line)


def test_a_stale_page_is_told_and_renewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    assert main(["--check"], tmp_path) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
