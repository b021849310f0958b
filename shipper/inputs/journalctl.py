"""journalctl: how it is asked for the entries of one unit, identifier or container, from where on.

Facts: systemd 252. ``--follow`` alone shows only the last boot, whatever ``--boot`` or a cursor says; ``--merge`` lifts
that, and then entries of other machines must be kept out. ``--follow`` implies the last ten lines unless ``--no-tail``.
``--after-cursor`` leaves out the entry nearest to a cursor that is gone; so the entry at the cursor is asked for again.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from shipper.config import JournaldInput
from shipper.config.inputs import unit_name
from shipper.inputs.entry import cursor_of, time_of

PROGRAM = "journalctl"
PROBE_SECONDS = 10.0
_MACHINE_ID = Path("/etc/machine-id")
PERMISSION = "; add the daemon's user to the group systemd-journal, and start it again"


class Match(Struct, frozen=True):
    """What is followed on its own: one unit, identifier or container. ``source`` is the name of its counters."""

    option: str
    name: str
    source: str
    where: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of its position."""
        return " ".join(("journald", *self.where, self.option, self.name))

    def holds(self, fields: dict[str, str]) -> bool:
        """Whether the entry comes from what is followed, and isn't systemd's word about it."""
        if self.option != "unit":
            return True  # journalctl was asked for nothing else
        unit = fields.get("_SYSTEMD_UNIT", "")
        return fnmatchcase(unit, self.name) if _is_pattern(self.name) else unit == self.name

    def about(self, fields: dict[str, str]) -> bool:
        """Whether journald's or systemd's own entry is about this unit."""
        named = {fields.get("OBJECT_SYSTEMD_UNIT"), fields.get("UNIT")}
        return self.option == "unit" and any(unit and fnmatchcase(unit, self.name) for unit in named)

    @property
    def sure(self) -> bytes | None:
        """Bytes that stand only in entries for which ``holds``, None where there are none."""
        if self.option != "unit" or _is_pattern(self.name) or not re.fullmatch(r"[A-Za-z0-9@:._-]+", self.name):
            return None
        return f'"_SYSTEMD_UNIT":"{self.name}"'.encode()


def matches_of(watch: JournaldInput) -> list[Match]:
    """What the input follows, in the order of the configuration."""
    where: tuple[str, ...] = ()
    if watch.directory:
        where = (f"--directory={watch.directory}",)
    elif watch.namespace:
        where = (f"--namespace={watch.namespace}",)
    place = watch.directory or watch.namespace
    named = [("unit", unit_name(name)) for name in watch.units]
    named += [("identifier", name) for name in watch.identifiers]
    named += [("container", name) for name in watch.containers]
    found: dict[tuple[str, str], Match] = {}
    for option, name in named:
        source = f"journald:{name}" + (f" in {place}" if place else "")
        found[option, name] = Match(option, name, source, where)
    return list(found.values())


def follow(match: Match, *, cursor: str = "", since_ns: int = 0) -> list[str]:
    """The arguments that follow ``match`` from the entry at ``cursor`` on, that one included; else from a time on; else
    from the oldest entry."""
    if cursor:
        start = [f"--cursor={cursor}"]
    else:
        start = [f"--since=@{since_ns // 1_000_000_000}.{since_ns // 1000 % 1_000_000:06d}"] if since_ns else []
    return [*_ask(match.where), "--follow", "--no-tail", *start, *_what(match)]


def environment() -> dict[str, str]:
    """The environment of journalctl: nothing that changes what it prints."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0", "SYSTEMD_LOG_LEVEL": "notice"}


def oldest(where: tuple[str, ...]) -> tuple[str, int] | None:
    """Cursor and time (Unix, ns) of the oldest entry that the journal has, None where there is none to be had."""
    # A user's own journal is vacuumed apart from the system's, and may go back much further.
    narrow = [] if where else ["--system"]
    try:
        process = subprocess.Popen(
            [*_ask(where), *narrow],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
    except OSError:
        return None
    assert process.stdout is not None
    line = b""
    os.set_blocking(process.stdout.fileno(), True)
    try:
        line = _first_line(process.stdout.fileno())
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    cursor = cursor_of(line)
    return None if cursor is None else (cursor, time_of(line))


def refusals(watch: JournaldInput) -> list[str]:
    """Why the input would give nothing now, for ``connlog check``."""
    if shutil.which(PROGRAM) is None:
        return [f"{PROGRAM} is not there; install it, or put its folder into PATH"]
    found: list[str] = []
    for match in matches_of(watch):
        try:
            asked = subprocess.run(
                [*_ask(match.where), "--lines=1", *_what(match)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_SECONDS,
                env=environment(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            found.append(f"{match.source}: {PROGRAM} can't be asked: {error}")
            continue
        said = asked.stderr.decode("utf-8", "replace").strip().splitlines()
        if "permission" in said[0].lower() if said else False:
            found.append(f"{match.source}: {said[0]}{PERMISSION}")
        elif asked.returncode:
            found.append(f"{match.source}: {PROGRAM} ends with {asked.returncode}: {said[0] if said else 'no word'}")
        elif not asked.stdout:
            found.append(f"{match.source}: the journal has no entry of it now; what comes later is read")
    return found


def _ask(where: tuple[str, ...]) -> list[str]:
    return [PROGRAM, "--output=json", "--all", "--no-pager", "--merge", *where]


def _what(match: Match) -> list[str]:
    own = [f"_MACHINE_ID={machine}"] if not match.where and (machine := _machine_id()) else []
    if match.option == "container":
        return [f"CONTAINER_NAME={match.name}", *own]
    return [f"--{match.option}={match.name}", *own]


def _first_line(fd: int) -> bytes:
    import select

    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    line = b""
    while b"\n" not in line and len(line) < 1 << 20 and poll.poll(PROBE_SECONDS * 1000):
        part = os.read(fd, 65_536)
        if not part:
            break
        line += part
    return line.partition(b"\n")[0]


def _machine_id() -> str | None:
    try:
        text = _MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{32}", text) else None


def _is_pattern(name: str) -> bool:
    return any(char in name for char in "*?[")
