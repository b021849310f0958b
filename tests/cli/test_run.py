"""``connlog run`` refuses what it can't work with, with a message and the right exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.resource import root
from shipper.service.lock import StateLock
from tests.hec.server import HecServer
from tests.hec.token import TOKEN

NOT_NEEDED = {"bz2", "click", "difflib", "lark", "lzma", "prometheus_client", "re2", "requests", "rich", "subprocess"}
NOT_NEEDED |= {"ast", "calendar", "email.header", "inspect", "platform", "ssl", "tokenize", "typing_extensions"}
NOT_NEEDED |= {"shipper.index.store", "shipper.inputs.journald", "shipper.query", "urllib3", "zoneinfo"}


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


def test_a_run_loads_only_what_its_input_and_its_output_need(tmp_path: Path) -> None:
    """From a pipe to a collector that is asked without TLS: what other settings need is not there."""
    (tmp_path / "hec-token").write_text(TOKEN)
    (tmp_path / "hec-token").chmod(0o600)
    sample = (Path(root()) / "tests/samples/coderd.log").read_bytes()
    with HecServer() as server:
        config = tmp_path / "connlog.toml"
        config.write_text(
            f'[state]\ndir = "{tmp_path}/state"\n[[input]]\ntype = "stdin"\n[[output]]\ntype = "splunk_hec"\n'
            f'endpoints = ["{server.url}"]\ntoken_file = "{tmp_path}/hec-token"\n[metrics]\nlisten = ""\n'
        )
        code = (
            f"import sys; from shipper.cli.main import main; code = main(['run', '-c', {str(config)!r}]); "
            f"print('LOADED', sorted({NOT_NEEDED!r} & set(sys.modules)), code)"
        )
        done = subprocess.run([sys.executable, "-c", code], input=sample, capture_output=True, check=True)
        assert done.stdout.decode().splitlines()[-1] == "LOADED [] 0"
        assert server.events
