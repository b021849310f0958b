"""``connlog run`` refuses what it can't work with, with a message and the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.service.lock import StateLock


def configure(folder: Path, state: Path) -> str:
    config = folder / "connlog.toml"
    config.write_text(f'[state]\ndir = "{state}"\n[[input]]\ntype = "file"\npaths = ["{folder}/*.log"]\n')
    return str(config)


def test_an_invalid_configuration_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "connlog.toml"
    config.write_text("[stat]\n")
    assert main(["run", "-c", str(config)]) == 3
    assert "stat" in capsys.readouterr().err


def test_a_folder_that_another_daemon_holds_exits_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    lock = StateLock(state)
    assert main(["run", "-c", configure(tmp_path, state)]) == 4
    lock.close()
    assert "another connlog daemon" in capsys.readouterr().err


def test_a_state_folder_that_cant_be_made_exits_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["run", "-c", configure(tmp_path, tmp_path / "file" / "state")]) == 4
    assert "choose another state.dir" in capsys.readouterr().err
