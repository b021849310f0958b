"""``connlog completion``: the scripts, and what a shell gets to choose from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.cli.suggestion import suggest
from shipper.directory.sighting import USER, sighting
from shipper.index import IndexWriter
from shipper.index.names import NamesKeeper
from shipper.record import Record


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    made = [
        Record(
            1,
            f"{n:08x}-0000-4000-8000-000000000000",
            "2026-01-01T00:00:00.000000000Z",
            "connected",
            workspace_name=name,
        )
        for n, name in enumerate(["dev", "Develop", "my dev", "d\x1b[2J", "test"])
    ]
    writer.add(1, made, [b""] * len(made), stored_ns=0)
    writer.close()
    return path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_that_its_shell_can_read(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"{shell}_complete" in script
    program = shutil.which(shell)
    if program is not None:
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([program, "-n", file], check=True)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("conn", ["connected_after:", "connected_before:", "connection_id:"]),
        ("-conne", ["-connected_after:", "-connected_before:", "-connection_id:"]),
        ("status:", ["status:ongoing", "status:completed"]),
        ("-state:o", ["-state:ongoing"]),
        ("state:point,un", ["state:point,unknown"]),
        ("workspace:de", ["workspace:Develop", "workspace:dev"]),
        ("workspace:my", ['workspace:"my dev"']),
        ("workspace:d\x1b", []),
        ("code:", []),
        ("nothing:x", []),
    ],
)
def test_keys_values_and_known_names_are_suggested(index: Path, word: str, expected: list[str]) -> None:
    assert suggest(word, index) == expected


def test_names_of_the_directory_are_suggested(index: Path) -> None:
    keeper = NamesKeeper(index)
    user = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    keeper.learn([sighting(USER, user, n, "t", username=name, email="bo@x") for n, name in enumerate(("bob", "Boris"))])
    keeper.close()
    assert suggest("username:bo", index) == ["username:Boris", "username:bob"]
    assert suggest("workspace_owner:bor", index) == ["workspace_owner:Boris"]
    assert suggest("user_email:b", index) == ["user_email:bo@x"]
    assert suggest("organization:b", index) == []


def test_without_an_index_there_are_no_names_and_no_error(tmp_path: Path) -> None:
    assert suggest("workspace:d", tmp_path / "none.db") == []
    assert suggest("status:c", None) == ["status:completed"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("connlog sea", ["search"]),
        ("connlog search --index {index} status:", ["ongoing", "completed"]),
        ("connlog search --index {index} workspace:de", ["Develop", "dev"]),
        ("connlog stats --index {index} stat", ["state:", "status:"]),
        ("connlog search --sort dur", ["duration_seconds", "duration"]),
        ("connlog search --tz europe/ber", ["Europe/Berlin"]),
        ("connlog index ", ["check", "compact", "rebuild"]),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_a_line(index: Path, line: str, expected: list[str], tmp_path: Path) -> None:
    """The real script in a real bash, which cuts words at colons."""
    program = tmp_path / "connlog"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shipper "$@"\n')
    program.chmod(0o755)
    script = subprocess.run([program, "completion", "bash"], check=True, capture_output=True, text=True).stdout
    typed = line.format(index=index)
    asked = f'COMP_LINE="{typed}"; COMP_POINT=${{#COMP_LINE}}; compopt() {{ :; }}\n_connlog_completion connlog\n'
    shown = subprocess.run(
        ["bash", "-c", f'{script}\n{asked}printf "%s\\n" "${{COMPREPLY[@]}}"'],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert shown.stdout.split("\n")[:-1] == expected
