"""Completion in the shells themselves: what stands on the line after Tab was pressed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.index import IndexWriter
from shipper.record import Record

DEADLINE_SECONDS = 60.0
CASES = [
    ("connlog sea", "connlog search "),
    ("connlog search stat", "connlog search stat"),  # state: and status:
    ("connlog search statu", "connlog search status:"),
    ("connlog search status:o", "connlog search status:ongoing "),
    ("connlog search -status:o", "connlog search -status:ongoing "),
    ("connlog search state:point,un", "connlog search state:point,unknown "),
    ("connlog search workspace:fr", "connlog search workspace:frontend "),
    ("connlog search type:ssh agent:m", "connlog search type:ssh agent:main "),
    ("connlog tail --outp", "connlog tail --output "),
    ("connlog tail --output nd", "connlog tail --output ndjson "),
    ("connlog stats --by type,reas", "connlog stats --by type,reason "),
    ("connlog search --columns time,laste", "connlog search --columns time,lasted "),
    ("connlog index reb", "connlog index rebuild "),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a person who has connlog and an index."""
    home = tmp_path_factory.mktemp("home")
    program = home / "connlog"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shipper "$@"\n')
    program.chmod(0o755)
    (home / "connlog.toml").write_text(f'[state]\ndir = "{home}"\n[[input]]\ntype = "file"\npaths = ["/x.log"]\n')
    writer = IndexWriter(home / "index.db")
    made = [
        Record(
            1,
            f"{n:08x}-0000-4000-8000-000000000000",
            "2026-01-01T00:00:00.000000000Z",
            "connected",
            workspace_name=name,
            agent_name="main",
        )
        for n, name in enumerate(["frontend", "my dev", "it's $(touch PWNED); `x`"])
    ]
    writer.add(1, made, [b""] * len(made), stored_ns=0)
    writer.close()
    return {
        "PATH": f"{home}:{os.environ['PATH']}",
        "HOME": str(home),
        "TERM": "dumb",
        "CONNLOG_CONFIG": str(home / "connlog.toml"),
        "LC_ALL": "C.UTF-8",
    }


class Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=environment["HOME"],
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the shell has written something that matches."""
        seen = ""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if select.select([self._ours], [], [], 0.5)[0]:
                seen += os.read(self._ours, 65_536).decode(errors="replace")
                found = re.search(pattern, seen, re.DOTALL)
                if found:
                    return found
        raise AssertionError(seen)

    def line_after_tab(self, typed: str) -> str:
        """What stands on the line after ``typed`` and Tab."""
        # The shell reads Tab when it has read what was typed; Ctrl-X tells the line.
        self.type(f"{typed}\t\x18")
        return self.until(r"LINE<(.*?)>LINE")[1]

    def clear(self) -> None:
        self.type("\x15")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture(scope="module")
def bash(environment: dict[str, str]) -> Iterator[Shell]:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    shell = Shell(["bash", "--norc", "--noprofile", "-i"], environment)
    shell.type("source <(connlog completion bash); bind 'set bell-style none'\n")
    shell.type("bind -x '\"\\C-x\": echo \"LINE<$READLINE_LINE>LINE\"'; PS1=; echo rea''dy\n")
    shell.until("ready")
    yield shell
    shell.close()


@pytest.fixture(scope="module")
def zsh(environment: dict[str, str]) -> Iterator[Shell]:
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh")
    shell = Shell(["zsh", "-f", "-i"], environment)
    shell.type(
        "unsetopt beep zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source <(connlog completion zsh)\n"
    )
    shell.type("tell() { print -r -- \"LINE<$BUFFER>LINE\" }; zle -N tell; bindkey '^X' tell; PS1=; echo rea''dy\n")
    shell.until("ready")
    yield shell
    shell.close()


@pytest.mark.parametrize(("typed", "expected"), CASES)
def test_bash(bash: Shell, typed: str, expected: str) -> None:
    bash.clear()
    assert bash.line_after_tab(typed) == expected


@pytest.mark.parametrize(("typed", "expected"), CASES)
def test_zsh(zsh: Shell, typed: str, expected: str) -> None:
    zsh.clear()
    assert zsh.line_after_tab(typed) == expected


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(("typed", "expected"), CASES)
def test_fish(environment: dict[str, str], typed: str, expected: str) -> None:
    script = f"connlog completion fish | source; complete -C {typed!r}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    word = expected.rstrip().rpartition(" ")[2]
    assert found
    assert all(one.startswith(word) for one in found)
    if typed != expected:
        assert word in found


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("connlog search 'type:ssh workspace:fr", "connlog search 'type:ssh workspace:frontend' "),
        ("connlog search 'workspace:my", "connlog search 'workspace:\"my dev\"' "),
        # bash takes the last quote for the one that closes
        ('connlog search "workspace:my', 'connlog search "workspace:\\"my dev\\" '),
        ("connlog search 'statu", "connlog search 'status:'"),
    ],
)
def test_a_question_in_quotes_is_completed_in_bash(bash: Shell, typed: str, expected: str) -> None:
    bash.clear()
    assert bash.line_after_tab(typed) == expected


@pytest.mark.parametrize("typed", ["connlog search 'workspace:my", "connlog search workspace:my"])
def test_a_name_with_a_blank_reaches_the_question_whole(bash: Shell, environment: dict[str, str], typed: str) -> None:
    bash.clear()
    line = bash.line_after_tab(typed)
    done = subprocess.run(
        ["bash", "-c", f"{line} --output raw --events"], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), line


def test_no_name_of_the_log_becomes_a_command(bash: Shell, environment: dict[str, str]) -> None:
    bash.clear()
    line = bash.line_after_tab("connlog search workspace:it")
    done = subprocess.run(
        ["bash", "-c", f"{line} --output raw --events"], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), line
    assert not (Path(environment["HOME"]) / "PWNED").exists()
