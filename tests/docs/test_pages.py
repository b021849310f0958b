"""What the pages say exists: commands, options, targets, exit codes, files, links."""

from __future__ import annotations

import re
import shlex
import time
from importlib import import_module
from pathlib import Path

import click
import pytest

from shipper import errors
from shipper.cli.main import COMMANDS, INTERRUPTED
from shipper.config.load import parse_config
from shipper.query import parse_query

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def command_of(name: str) -> click.Command:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    return command


def test_readme_names_every_command_and_no_other() -> None:
    assert re.findall(r"^\| `connlog (\w+)` \|", README, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_in_examples_exist(page: Path) -> None:
    for line in "".join(blocks(page.read_text(), "sh")).replace("\\\n", " ").splitlines():
        for part in line.split("|"):
            words = shlex.split(part, comments=True)
            if words[:1] != ["connlog"]:
                continue
            command, rest = command_of(words[1]), words[2:]
            if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
                command, rest = command.commands[rest[0]], rest[1:]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("-")} <= known, line


def test_questions_in_examples_are_understood() -> None:
    asked = re.findall(r"^connlog (?:search|tail) '([^']+)'", "".join(blocks(README, "sh")), re.MULTILINE)
    assert asked
    for question in asked:
        parse_query(question, time.time_ns())  # raises QueryError


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(r"`((?:shipper|tests|config|grammars|systemd|docs|demo)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path


def test_the_exit_codes_of_readme_are_the_codes_of_the_errors() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ConnlogError)
    }
    assert listed == {0, 1, INTERRUPTED} | raised


def test_configurations_in_the_pages_are_valid() -> None:
    found = [block for page in PAGES for block in blocks(page.read_text(), "toml")]
    assert found
    for block in found:
        assert parse_config(block, Path("/etc/page.toml"), {"HOME": "/home/someone"}).inputs
