"""The case: what is examined: a configuration, the account that is to run it, its unit, and what the daemon last said."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from msgspec import Struct

from shipper.config import Config, load_config
from shipper.config.load import SYSTEM_FILE
from shipper.doctor.account import Account, of_process, of_user
from shipper.doctor.finding import Finding, note, ok, problem
from shipper.doctor.unit import Unit, ask_unit
from shipper.errors import AccessError, ConfigError, ServiceError, StateError
from shipper.service.installation import UNIT
from shipper.service.lock import holder_of
from shipper.status import Status, read_status

FIRST = "configuration"


class Case(Struct, frozen=True):
    """``config`` is None where it is invalid. ``unit`` is connlog's own where it runs this configuration, else None.
    ``alive``: a daemon holds the state folder, None where that can't be told."""

    config: Config | None
    path: Path | None
    """The file of the configuration, also of an invalid one; None for the built-in defaults."""
    account: Account
    unit: Unit | None
    status: Status | None
    alive: bool | None
    findings: list[Finding]
    """What was found on the way."""
    problems: list[str] = []
    """Of the configuration."""


def open_case(path: Path | None, user: str | None = None) -> Case:
    """The case of the configuration at ``path``, or of the one that is found; ``user``: as whom to look, instead of the
    one who runs it. Never fails: what can't be had is a finding."""
    findings: list[Finding] = []
    problems: list[str] = []
    config: Config | None = None
    try:
        config = load_config(path)
    except ConfigError as error:
        problems = error.problems
        findings += [
            problem(FIRST, "configuration", one, "mend it; 'connlog check' shows the same") for one in problems
        ]
    else:
        findings.append(ok(FIRST, str(config.path or "built-in defaults"), "is valid"))
    used = config.path if config is not None else path or Path(os.environ.get("CONNLOG_CONFIG") or SYSTEM_FILE)
    unit = _unit_of(used, findings)
    account = _account_of(unit, user, findings)
    status, alive = _heard(config, findings)
    return Case(config, used, account, unit, status, alive, findings, problems)


def _unit_of(used: Path | None, findings: list[Finding]) -> Unit | None:
    """connlog's unit, where it is the one that runs this configuration."""
    try:
        unit = ask_unit(UNIT)
    except ServiceError as error:
        findings.append(note("service", UNIT, f"systemd can't be asked: {error}; the daemon is looked at without it"))
        return None
    if not unit.there:
        text = f"is not installed ({unit.says('LoadState') or 'unknown'})"
        findings.append(note("service", UNIT, text, "'connlog service install' makes it a service of the system"))
        return None
    if used is None or used.absolute() != configured_by(unit):
        text = f"runs {configured_by(unit)}, not this configuration, so it is left out of this"
        findings.append(note("service", UNIT, text, f"for the service: connlog doctor -c {configured_by(unit)}"))
        return None
    return unit


def configured_by(unit: Unit) -> Path:
    """The configuration that a unit's daemon reads: as -c says, or $CONNLOG_CONFIG, or the system's."""
    for line in unit.settings("ExecStart")[-1:]:
        words = _words(line)
        for at, word in enumerate(words[:-1]):
            if word in ("-c", "--config"):
                return Path(words[at + 1])
    for word in _words(unit.says("Environment")):
        if word.startswith("CONNLOG_CONFIG="):
            return Path(word.partition("=")[2])
    return SYSTEM_FILE


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _account_of(unit: Unit | None, user: str | None, findings: list[Finding]) -> Account:
    check = "account"
    own = of_process()
    wanted = user if user is not None else (unit.says("User") or "root") if unit is not None else None
    if wanted is None:
        text = "is who looks: permissions are those of this process"
        findings.append(note(check, own.name, text, "--user NAME looks as another user"))
        return own
    group, more = "", ""
    if unit is not None and unit.says("User") == wanted:
        group, more = unit.says("Group"), unit.says("SupplementaryGroups")
    try:
        found = of_user(wanted, group, more.split())
    except AccessError as error:
        advice = "'connlog service install' makes what the service needs" if user is None else "name another one"
        findings.append(problem(check, wanted, str(error), advice))
        return own
    findings.append(ok(check, wanted, "is as whom permissions are looked at"))
    return found


def _heard(config: Config | None, findings: list[Finding]) -> tuple[Status | None, bool | None]:
    """What the daemon last said, and whether it runs."""
    if config is None:
        return None, None
    status: Status | None = None
    alive: bool | None = None
    try:
        alive = holder_of(config.state.dir) is not None
        status = read_status(config.state.dir)
    except (StateError, OSError) as error:
        text = str(error) if isinstance(error, StateError) else f"{config.state.dir}: {error.strerror}"
        ask = "ask as root, or as a member of the group that owns the state folder" if os.geteuid() else "mend that"
        findings.append(note("daemon", str(config.state.dir), f"what the daemon says can't be read: {text}", ask))
    return status, alive
