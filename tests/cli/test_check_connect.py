"""``connlog check`` refuses a filter that is no use, and with --connect asks Splunk without sending an event."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.cli.main import main
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.coder.world import User
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token


def config(folder: Path, url: str, more: str = "") -> str:
    (folder / "hec-token").write_text(TOKEN + "\n")
    (folder / "hec-token").chmod(0o600)
    path = folder / "connlog.toml"
    output = f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{url}"]\ntoken_file = "hec-token"\n{more}\n'
    path.write_text(f'[state]\ndir = "{folder}/state"\n{output}')
    return str(path)


@pytest.mark.parametrize("ack", [False, True])
def test_a_token_that_is_good_is_told_and_nothing_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ack: bool
) -> None:
    with HecServer(Token(use_ack=ack)) as server:
        assert main(["check", "--connect", "-c", config(tmp_path, server.url)]) == 0
        assert "takes the token" in capsys.readouterr().out
        assert not len(server.store)


def test_a_token_that_is_refused_is_bad_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HecServer(Token(disabled=True)) as server:
        assert main(["check", "--connect", "-c", config(tmp_path, server.url)]) == 1
        said = capsys.readouterr()
        assert "HTTP 403 code 1 (Token disabled)" in said.out
        assert TOKEN not in said.out + said.err


def test_a_server_that_is_not_there_is_bad_news(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--connect", "-c", config(tmp_path, "http://127.0.0.1:9")]) == 1
    assert "Connection refused" in capsys.readouterr().out


def test_a_filter_about_connections_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-c", config(tmp_path, "http://127.0.0.1:9", 'filter = "status:ongoing"')]) == 3
    assert "output splunk_hec: filter: status: asks about connections" in capsys.readouterr().err


# ---- Coder ---------------------------------------------------------------------------------------


def coder_config(folder: Path, coder: CoderServer, user: User, more: str = "") -> str:
    (folder / "coder-token").touch(mode=0o600)
    (folder / "coder-token").write_text(coder.world.token_of(user))
    path = folder / "connlog.toml"
    path.write_text(
        f'[state]\ndir = "{folder}/state"\n[coder]\nurl = "{coder.url}"\ntoken_file = "coder-token"\n{more}'
    )
    return str(path)


def test_what_the_token_of_coder_opens_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    with CoderServer(scene.world) as coder:
        for user, lines in (
            (scene.alice, ("lists all users", "lists all workspaces", "shows the connection log")),
            (scene.auditor, ("lists all users", "lists only its own workspaces", "shows the connection log")),
            (
                scene.warden,
                ("may not list users", "shows the connection log, of the token's own organizations (other)"),
            ),
            (scene.bob, ("may not list users", "may not see the connection log")),
        ):
            assert main(["check", "--connect", "-c", coder_config(tmp_path, coder, user)]) == 0
            said = capsys.readouterr()
            assert f"takes the token of {user.username}" in said.out
            assert all(line in said.out for line in lines), said.out
            assert coder.world.token_of(user) not in said.out + said.err
