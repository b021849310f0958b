"""A systemd that says what a test wants: programs of its names, found first."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from shipper.config import Config, load_config
from shipper.doctor.account import of_process
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding
from shipper.doctor.unit import Unit

Systemd = Callable[..., None]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """Calling it makes ``systemctl show`` say these properties of any unit, and ``journalctl`` print a text."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def say(journal: str = "", **facts: str) -> None:
        for name, text in {
            "systemctl": "".join(f"{key}={value}\n" for key, value in facts.items()),
            "journalctl": journal,
        }.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(text)}\n")
            path.chmod(0o755)

    return say


def write(folder: Path, text: str) -> Path:
    """A configuration with its state below ``folder``."""
    path = folder / "connlog.toml"
    path.write_text(f'[state]\ndir = "{folder}/state"\n[metrics]\nlisten = ""\n{text}')
    path.chmod(0o644)
    return path


def case_of(path: Path, *, unit: Unit | None = None) -> Case:
    """The case of a configuration as this process sees it."""
    config: Config = load_config(path)
    return Case(config, path, of_process(), unit, None, None, [])


def told(findings: list[Finding], severity: str) -> str:
    """What was found of one severity, in lines."""
    return "\n".join(
        f"{one.check}: {one.where}: {one.what} -> {one.advice}" for one in findings if one.severity == severity
    )
