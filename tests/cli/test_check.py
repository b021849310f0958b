"""``connlog check`` tells what the daemon would do, or every problem; what may be meant is a warning."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from shipper.cli.check import REFUSED_MAX, readable, state_warnings
from shipper.cli.main import main
from shipper.config import FileInput


def write(folder: Path, text: str) -> str:
    file = folder / "connlog.toml"
    file.write_text(text)
    return str(file)


def test_a_sound_configuration_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.log", "b.log", "b.log.gz", "c.old.log"):
        (tmp_path / name).touch()
    file = write(
        tmp_path,
        "[state]\ndir = 'state'\n[[input]]\ntype = 'file'\npaths = ['*.log*']\nexclude = ['*.gz', '*.old.*']\n",
    )
    assert main(["check", "-c", file]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"configuration  {file}",
        f"state          {tmp_path}/state, journal up to 1GiB",
        f"input[1]       file {tmp_path}/*.log*, 2 files now",
        "output[1]      index, events kept 365d",
        "OK",
    ]
    assert captured.err == ""


def test_the_built_in_defaults_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith("configuration  ")


def test_every_problem_is_told_and_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "[state]\ndri = 'x'\n[[input]]\ntype = 'file'\n")
    assert main(["check", "--config", file]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "connlog: the configuration is invalid",
        f'{file}:2: state.dri: is not known; did you mean "dir"?',
        f"{file}:3: input[1].paths: is missing; write paths = …, a list of glob patterns",
    ]


def test_what_may_be_meant_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(
        tmp_path, "output = []\n[[input]]\ntype = 'file'\npaths = ['no/*.log', 'evil\\u001b.log']\n".replace("'", '"')
    )
    os.mkfifo(tmp_path / "evil\x1b.log")
    assert main(["check", "-c", file]) == 0
    captured = capsys.readouterr()
    assert captured.out.endswith("OK, 3 warnings\n")
    assert "\x1b" not in captured.out + captured.err
    no, evil = f"{tmp_path}/no", f"{tmp_path}/evil\\x1b.log"
    closed = "can be found: No such file or directory; check the folder"
    pipe = "not a regular file, not read; exclude it or move it away"
    assert captured.err.splitlines() == [
        f"connlog: warning: input[1].paths[1]: {no}: no file of {no}/*.log {closed}",
        f"connlog: warning: input[1].paths[2]: {evil}: {pipe}",
        "connlog: warning: output: none is given, so events stay in the journal until it is full; add an [[output]]",
    ]


def test_a_pattern_without_a_file_is_a_warning(tmp_path: Path) -> None:
    said: list[str] = []
    assert readable("paths", FileInput(paths=(f"{tmp_path}/*.log",)), said) == 0
    assert said == [f"paths: {tmp_path}/*.log matches no file now; files that appear later are picked up"]


def test_only_what_would_be_followed_is_counted(tmp_path: Path) -> None:
    (tmp_path / "plain.log").write_bytes(b"a line\n")
    (tmp_path / "dangling.log").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.log")
    for number in range(30):
        os.mkfifo(tmp_path / f"pipe{number}.log")
    said: list[str] = []
    assert readable("paths", FileInput(paths=(f"{tmp_path}/*.log",)), said) == 1
    assert sum("not a regular file, not read; exclude it or move it away" in line for line in said) == REFUSED_MAX
    assert said[-1] == "paths: and 12 more that are not read"


def test_nothing_to_read_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", write(tmp_path, "input = []")]) == 0
    assert "input: none is given, so nothing will be read" in capsys.readouterr().err


def test_a_state_folder_that_can_not_be_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert list(state_warnings(tmp_path / "new" / "deep")) == []
    assert list(state_warnings(file / "deep")) == [f"state.dir: {file} is no folder; move it away or choose another"]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_what_another_user_may_not_read_or_write_is_a_warning() -> None:
    """Asked as a user without rights, since root may read everything."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        log = folder / "coderd.log"
        log.touch(mode=0o000)
        folder.chmod(0o555)
        found = _as_nobody(log)
        folder.chmod(0o755)
    assert f"{log} may not be read by this user" in found
    assert f"{folder} may not be written by this user" in found


def _as_nobody(log: Path) -> str:
    """What both checks say in a child process that has given up root, if it had it."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)
        said = list(state_warnings(log.parent / "state"))
        readable("paths", FileInput(paths=(str(log),)), said)
        theirs.sendall("\n".join(said).encode())
        os._exit(0)
    theirs.close()
    os.waitpid(child, 0)
    with ours:
        return ours.recv(65536).decode()


def test_what_goes_to_another_machine_unencrypted_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text("abcdefghij-klmnopqrstuvwxyz01")
    (tmp_path / "token").chmod(0o600)
    config = tmp_path / "c.toml"
    there, here = "http://127.example.com:8088", '"http://127.0.0.1:8088", "http://[::1]:8088", "http://localhost:8088"'
    config.write_text(
        f'[state]\ndir = "{tmp_path}"\n[[input]]\ntype = "file"\npaths = ["/x.log"]\n'
        f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{there}", {here}]\ntoken_file = "token"\n'
    )
    assert main(["check", "-c", str(config)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "not encrypted" in line]
    assert len(told) == 1
    assert there in told[0]


def test_where_coder_is_and_what_is_wrong_with_its_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = tmp_path / "token"
    token.write_text("abcdefghij-klmnopqrstuvwxyz01")
    token.chmod(0o604)
    config = tmp_path / "c.toml"
    text = f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "http://coder.example.com"\nca_file = "no.pem"\n'
    config.write_text(f'{text}token_file = "token"\n[[input]]\ntype = "coder_api"\n')
    assert main(["check", "-c", str(config)]) == 0
    said = capsys.readouterr()
    assert "coder_api http://coder.example.com, every 5m" in said.out
    assert "names asked for every 15m" in said.out
    assert f"coder.token_file: {token} may be read by anyone" in said.err
    assert "coder.ca_file:" in said.err
    assert "coder.url: is not encrypted" in said.err
    assert "abcdefghij" not in said.out + said.err
    config.write_text(text.replace("http:", "https:").replace('ca_file = "no.pem"', 'token_file = "none"'))
    assert main(["check", "-c", str(config)]) == 0
    said = capsys.readouterr()
    assert "coder.token_file:" in said.err
    assert "not encrypted" not in said.err
