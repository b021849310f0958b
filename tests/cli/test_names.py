"""``connlog names``: the directory from Coder and from files, shown as it is, and used by the commands that ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.record import Record
from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.coder.world import ago

GONE = "99999999-0000-4000-8000-000000000000"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def make_index(tmp_path: Path, scene: Scene) -> str:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    record = Record(
        1,
        "00000001-0000-4000-8000-000000000000",
        "2026-09-01T10:00:00.000000000Z",
        "connected",
        type="workspace_app",
        method="workspace_app",
        organization_id=scene.org.id,
        workspace_owner_id=scene.alice.id,
        workspace_id=scene.dev.id,
        workspace_name="dev",
        user_id=scene.bob.id,
    )
    writer.add(1, [record], [b"line"], stored_ns=1)
    writer.close()
    return str(path)


def configure(tmp_path: Path, url: str, token: str) -> str:
    (tmp_path / "token").write_text(token)
    path = tmp_path / "connlog.toml"
    path.write_text(f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "{url}"\ntoken_file = "token"\ntimeout = "5s"\n')
    return str(path)


def test_sync_makes_names_of_ids(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = make_index(tmp_path, scene)
    with CoderServer(scene.world) as coder:
        config = configure(tmp_path, coder.url, scene.world.token_of(scene.alice))
        assert main(["names", "sync", "-c", config]) == 0
    said = capsys.readouterr()
    assert "asked as alice, owner" in said.out
    assert "4 users, 2 organizations, 1 workspaces" in said.out
    assert said.err == ""
    assert main(["search", "username:bob organization:coder workspace_owner:me", "--index", index]) == 0
    said = capsys.readouterr()
    assert "alice/dev" in said.out
    assert "bob" in said.out
    assert '"me" is alice' in said.err
    assert main(["stats", "--by", "user,template", "--index", index, "--output", "csv"]) == 0
    assert "bob,docker,1" in capsys.readouterr().out
    assert main(["show", "00000001", "--index", index]) == 0
    assert f"bob ({scene.bob.id})" in capsys.readouterr().out


def test_a_sync_of_what_is_recent_says_so_and_makes_the_folder_it_needs(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CoderServer(scene.world) as coder:
        config = Path(configure(tmp_path, coder.url, scene.world.token_of(scene.alice)))
        config.write_text(config.read_text().replace(f'dir = "{tmp_path}"', f'dir = "{tmp_path}/new/state"'))
        assert main(["names", "sync", "--recent", "-c", str(config)]) == 0
        assert "4 users" in capsys.readouterr().out, "the first reads all"
        assert main(["names", "sync", "--recent", "-c", str(config)]) == 0
        said = capsys.readouterr().out
        assert "0 users, 2 organizations, 0 workspaces" in said
        assert "all of late" in said
    assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o750


def test_an_auditors_token_gives_all_but_workspaces_and_says_so(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_index(tmp_path, scene)
    scene.bob.deleted = True
    scene.world.log(scene.web(1, scene.bob, time=ago(days=1)))
    with CoderServer(scene.world) as coder:
        config = configure(tmp_path, coder.url, scene.world.token_of(scene.auditor))
        assert main(["names", "sync", "-c", config]) == 0
        said = capsys.readouterr()
        assert "3 users, 2 organizations, 0 workspaces, 1 rows" in said.out
        assert "workspaces: the token lists its own only" in said.err
        assert "1 users are deleted; their names are kept" in said.out
    assert main(["names", "ls", "bob", "-c", config, "--output", "ndjson"]) == 0
    bob = json.loads(capsys.readouterr().out)
    assert (bob["name"], bob["status"], bob["source"]) == ("bob", "deleted", "connection_log")


def test_a_member_is_told_what_is_missing_and_nobody_is_taken_for_deleted(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_index(tmp_path, scene)
    with CoderServer(scene.world) as coder:
        config = configure(tmp_path, coder.url, scene.world.token_of(scene.alice))
        assert main(["names", "sync", "-c", config]) == 0
        configure(tmp_path, coder.url, scene.world.token_of(scene.bob))
        assert main(["names", "sync", "-c", config]) == 0
    said = capsys.readouterr()
    assert "without a site role" in said.out
    for what in ("users", "workspaces", "connection log"):
        assert f"warning: {what}: " in said.err
    assert "deleted" not in said.out
    assert main(["names", "ls", "alice", "-c", config]) == 0
    assert "active" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        (fault.unauthorized(), 4, "401, Coder does not take the token"),
        (fault.proxy_page(), 4, "none of Coder's"),
        (fault.broken(), 4, "500"),
    ],
)
def test_a_sync_that_fails_says_why_and_never_the_token(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: fault.Fault, code: int, words: str
) -> None:
    make_index(tmp_path, scene)
    token = scene.world.token_of(scene.alice)
    with CoderServer(scene.world) as coder:
        coder.fail(broken, times=9)
        config = configure(tmp_path, coder.url, token)
        assert main(["names", "sync", "-c", config]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert token not in said.out + said.err


def test_lists_that_are_forbidden_are_told_and_the_others_are_taken(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_index(tmp_path, scene)
    with CoderServer(scene.world, licensed=False) as coder:
        coder.fail(fault.forbidden("/api/v2/workspaces"))
        config = configure(tmp_path, coder.url, scene.world.token_of(scene.alice))
        assert main(["names", "sync", "-c", config]) == 0
    said = capsys.readouterr()
    assert "4 users" in said.out
    assert "workspaces: http" in said.err
    assert "Premium feature" in said.err


def test_without_a_coder_it_says_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["names", "sync", "--index", str(tmp_path / "i")]) == 2
    assert "set coder.url in the configuration, or $CODER_URL" in capsys.readouterr().err
    monkeypatch.setenv("CODER_URL", "coder.example.com")
    assert main(["names", "sync", "--index", str(tmp_path / "i")]) == 2
    assert "$CODER_URL is no http or https address" in capsys.readouterr().err


def test_the_environment_is_enough(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with CoderServer(scene.world) as coder:
        monkeypatch.setenv("CODER_URL", coder.url + "/")
        monkeypatch.setenv("CODER_SESSION_TOKEN", scene.world.token_of(scene.alice))
        assert main(["names", "sync", "--index", str(tmp_path / "index.db")]) == 0
    assert "4 users" in capsys.readouterr().out


def test_import_of_a_file_and_ls_in_every_form(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = make_index(tmp_path, scene)
    names = tmp_path / "names.csv"
    nasty = "=cmd|'/C calc'!A0"
    names.write_text(
        "kind,id,username,email,name,seen\n"
        f"user,{scene.bob.id},bob,bob@x,,2026-01-01T00:00:00Z\n"
        f"user,{scene.bob.id},robert,,,2026-12-01T00:00:00Z\n"
        f"user,{GONE},{nasty}\u202e,,,\n"
        f"organization,{scene.org.id},,,coder,\n"
    )
    assert main(["names", "import", str(names), "--me", "bob", "--index", index]) == 0
    assert "4 entries, 4 told something new" in capsys.readouterr().out
    assert main(["names", "import", str(names), "--index", index]) == 0
    assert "4 entries, 0 told something new" in capsys.readouterr().out
    assert main(["search", "username:me", "--index", index]) == 0
    said = capsys.readouterr()
    assert "bob" in said.out
    assert "as it was imported" in said.err

    assert main(["names", "ls", "--index", index, "--history"]) == 0
    table = capsys.readouterr().out
    assert "former" in table
    assert "\u202e" not in table
    assert "dev" in table, "workspaces of the log itself"
    assert main(["names", "ls", "--kind", "user", "--index", index, "--output", "csv"]) == 0
    assert "'=cmd" in capsys.readouterr().out
    assert main(["names", "ls", "robert", "--index", index, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["count"] == 1
    assert main(["names", "ls", "nobody", "--index", index]) == 1


def test_a_file_with_a_mistake_changes_nothing(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = make_index(tmp_path, scene)
    names = tmp_path / "names.csv"
    names.write_text(f"id,username\n{scene.bob.id},bob\nnope,x\n")
    assert main(["names", "import", str(names), "--index", index]) == 4
    assert f"{names}:3: id 'nope' is no UUID" in capsys.readouterr().err
    assert main(["names", "ls", "bob", "--index", index]) == 1
    names.write_text(f"id,username\n{scene.bob.id},bob\n")
    assert main(["names", "import", str(names), "--index", index, "--me", "carol"]) == 2


def test_a_rebuilt_index_keeps_the_names(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = make_index(tmp_path, scene)
    names = tmp_path / "names.csv"
    names.write_text(f"id,username\n{scene.bob.id},bob\n")
    assert main(["names", "import", str(names), "--index", index]) == 0
    assert main(["index", "rebuild", "--index", index]) == 0
    capsys.readouterr()
    assert main(["search", "username:bob", "--index", index, "--output", "ndjson"]) == 0
    assert json.loads(capsys.readouterr().out)["names"] == {"user": "bob"}
