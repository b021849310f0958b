"""The daemon never reads its own log: not from its unit's journal, nor from a file that its stderr goes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.config.load import SYSTEM_FILE, parse_config
from shipper.errors import ConfigError
from shipper.service.mirror import own_unit, reflections, refuse_own_log

if TYPE_CHECKING:
    from tests.service.conftest import Service


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/connlog.service\n", "connlog.service"),
        ("12:cpu:/x\n1:name=systemd:/system.slice/own.service/sub\n", "own.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("4:memory:/system.slice/connlog.service\n", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_the_own_unit_is_told_by_the_cgroup(cgroups: str, unit: str | None) -> None:
    assert own_unit(cgroups) == unit


@pytest.mark.parametrize(
    ("followed", "refused"),
    [
        ('units = ["coder.service"]', False),
        ('units = ["connlog"]', True),
        ('units = ["coder.service", "con*"]', True),
        ('units = ["*"]', True),
        ('identifiers = ["connlog"]', True),
        ('identifiers = ["coder"]', False),
        ('units = ["connlog"]\ndirectory = "/srv/other/journal"', False),
        # Everything, by way of the folder of this machine's own journal.
        ('units = ["*"]\ndirectory = "/var/log/journal"', True),
        ('units = ["*.service"]\ndirectory = "/var/log/journal/0123456789abcdef0123456789abcdef"', True),
        ('units = ["coder.service"]\ndirectory = "/var/log/journal"', False),
    ],
)
def test_what_names_the_own_unit_is_refused(followed: str, refused: bool) -> None:
    config = parse_config(f'[[input]]\ntype = "journald"\n{followed}\n', SYSTEM_FILE, {})
    assert bool(list(reflections(config, "connlog.service", None))) is refused
    assert not list(reflections(config, None, None))
    if refused:
        # Whoever checks the system's configuration need not be the service.
        with pytest.raises(ConfigError, match="own log"):
            refuse_own_log(config, by_file=False)


def test_a_file_that_holds_the_own_log_is_refused(tmp_path: Path, service: Service) -> None:
    service.errors = service.logs / "own.log"
    service.write(1)
    service.start()
    assert service.wait() == 3
    assert "own.log is connlog's own log" in service.said()
    service.errors.rename(tmp_path / "own.log")
    service.errors = tmp_path / "own.log"
    service.start()
    service.wait_for(lambda: service.indexed() == [0], "the event")
    assert service.end() == 0


def test_the_log_of_its_own_container_is_refused_and_those_of_others_are_not(tmp_path: Path) -> None:
    for pod in (
        "coder_coder-0_11111111-2222-4333-8444-555555555555/coder",
        "ops_connlog-x7k2_11111111-2222-4333-8444-555555555555/connlog",
    ):
        folder = tmp_path / "var/log/pods" / pod
        folder.mkdir(parents=True)
        (folder / "0.log").touch()
    text = '[[input]]\ntype = "file"\npaths = ["{}/var/log/pods/{}/*/*.log"]\n{}'
    everything = parse_config(text.format(tmp_path, "*", ""), tmp_path / "connlog.toml", {"HOME": "/root"})
    (told,) = reflections(everything, None, None, "connlog-x7k2")
    assert "is the log of connlog's own container" in told
    advised = parse_config(
        text.format(tmp_path, "*", f'exclude = ["{tmp_path}/var/log/pods/*_connlog-x7k2_*/connlog/*"]'),
        tmp_path / "connlog.toml",
        {"HOME": "/root"},
    )
    assert not list(reflections(advised, None, None, "connlog-x7k2"))
    assert not list(reflections(everything, None, None, "coder-0"))
