"""The mirror: finds where a configuration would let the daemon read its own log, which must never be.

What the daemon says of a line would become another line, of which it says something.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from shipper.config import Config, FileInput, JournaldInput
from shipper.config.load import SYSTEM_FILE
from shipper.errors import ConfigError
from shipper.inputs.container import LINKS
from shipper.inputs.discovery import discover

CGROUP = Path("/proc/self/cgroup")
IDENTIFIER = "connlog"
"""SyslogIdentifier= of the shipped unit, and the name of its container in a pod."""
OWN_JOURNALS = ("/var/log/journal", "/run/log/journal")
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


def reflections(
    config: Config, unit: str | None, stderr: os.stat_result | None, pod: str | None = None
) -> Iterator[str]:
    """Why ``config`` would let a daemon read its own log, that belongs to ``unit``, runs in ``pod`` and writes its log to
    a file with this status, one sentence each."""
    for number, source in enumerate(config.inputs, start=1):
        if isinstance(source, JournaldInput) and unit is not None and _is_own(source.directory):
            from shipper.inputs.journalctl import matches_of  # here: only who reads the journal needs it

            for match in matches_of(source):
                own = {"unit": unit, "identifier": IDENTIFIER}.get(match.option)
                if own is not None and fnmatchcase(own, match.name):
                    yield (
                        f"input[{number}]: {match.option} {match.name} is connlog's own log ({own}), which it must not "
                        "read; name the units of Coder only"
                    )
        elif isinstance(source, FileInput) and (stderr is not None or pod is not None):
            found, _ = discover([source])
            for one in found.values():
                meta = LINKS.meta(one.path)
                if pod is not None and (meta.get("pod"), meta.get("container")) == (pod, IDENTIFIER):
                    yield (
                        f"input[{number}]: {one.path} is the log of connlog's own container, which it must not read; "
                        f'leave it out by exclude = ["*/*_{pod}_*/{IDENTIFIER}/*"], or name the pods of Coder only'
                    )
                    continue
                if stderr is None:
                    continue
                try:
                    status = os.stat(one.path)
                except OSError:
                    continue
                if (status.st_dev, status.st_ino) == (stderr.st_dev, stderr.st_ino):
                    yield (
                        f"input[{number}]: {one.path} is connlog's own log, which it must not read; leave it out by "
                        "'exclude', or write it to another folder"
                    )


def _is_own(directory: str) -> bool:
    """Whether the journal of a folder is this machine's own; an empty one is."""
    if not directory:
        return True
    real = Path(os.path.realpath(directory))
    return any(real.is_relative_to(os.path.realpath(own)) or Path(own).is_relative_to(real) for own in OWN_JOURNALS)


def refuse_own_log(config: Config, *, by_file: bool = True) -> None:
    """Raises ConfigError where this process would read its own log, or where the service would, if the configuration is
    the system's; ``by_file``: also what it writes to a file."""
    try:
        unit = own_unit(CGROUP.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        unit = None
    if unit is None and config.path == SYSTEM_FILE:
        from shipper.service.installation import UNIT

        unit = UNIT
    stderr: os.stat_result | None = None
    if by_file:
        with suppress(OSError):
            stderr = os.fstat(STDERR)
            # Of a terminal, or journald's socket, there is no path that an input could name.
            stderr = stderr if stat.S_ISREG(stderr.st_mode) else None
    # In Kubernetes a container's host name is its pod's, and its output goes to a file by way of a pipe.
    pod = socket.gethostname() if by_file and os.environ.get("KUBERNETES_SERVICE_HOST") else None
    if problems := list(reflections(config, unit, stderr, pod)):
        raise ConfigError(problems)
