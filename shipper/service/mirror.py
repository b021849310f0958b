"""The mirror: finds where a configuration would let the daemon read its own log, which must never be.

What the daemon says of a line would become another line, of which it says something.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from shipper.config import Config, FileInput, JournaldInput
from shipper.config.load import SYSTEM_FILE
from shipper.errors import ConfigError
from shipper.inputs.discovery import discover
from shipper.inputs.journalctl import matches_of
from shipper.service.installation import UNIT

CGROUP = Path("/proc/self/cgroup")
IDENTIFIER = "connlog"
"""SyslogIdentifier= of the shipped unit."""
STDERR = 2


def own_unit(cgroups: str) -> str | None:
    """The unit that a process belongs to, by the text of its ``/proc/PID/cgroup``; None where it's none of systemd's."""
    for line in cgroups.splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if hierarchy == "0" or controllers == "name=systemd":
            for part in reversed(path.split("/")):
                if part.endswith(".service"):
                    return part
    return None


def reflections(config: Config, unit: str | None, stderr: os.stat_result | None) -> Iterator[str]:
    """Why ``config`` would let a daemon read its own log, that belongs to ``unit`` and writes its log to a file with
    this status, one sentence each."""
    for number, source in enumerate(config.inputs, start=1):
        if isinstance(source, JournaldInput) and unit is not None and not source.directory:
            for match in matches_of(source):
                own = {"unit": unit, "identifier": IDENTIFIER}.get(match.option)
                if own is not None and fnmatchcase(own, match.name):
                    yield (
                        f"input[{number}]: {match.option} {match.name} is connlog's own log ({own}), which it must not "
                        "read; name the units of Coder only"
                    )
        elif isinstance(source, FileInput) and stderr is not None:
            found, _ = discover([source])
            for one in found.values():
                try:
                    status = os.stat(one.path)
                except OSError:
                    continue
                if (status.st_dev, status.st_ino) == (stderr.st_dev, stderr.st_ino):
                    yield (
                        f"input[{number}]: {one.path} is connlog's own log, which it must not read; leave it out by "
                        "'exclude', or write it to another folder"
                    )


def refuse_own_log(config: Config, *, by_file: bool = True) -> None:
    """Raises ConfigError where this process would read its own log, or where the service would, if the configuration is
    the system's; ``by_file``: also what it writes to a file."""
    try:
        unit = own_unit(CGROUP.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        unit = None
    if unit is None and config.path == SYSTEM_FILE:
        unit = UNIT
    stderr: os.stat_result | None = None
    if by_file:
        with suppress(OSError):
            stderr = os.fstat(STDERR)
            # Of a terminal, or journald's socket, there is no path that an input could name.
            stderr = stderr if stat.S_ISREG(stderr.st_mode) else None
    if problems := list(reflections(config, unit, stderr)):
        raise ConfigError(problems)
