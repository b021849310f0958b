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
