"""The installation: connlog as a service of systemd, put in place and taken away step by step, each step as often as one likes.

A step that finds what it would make says so and does nothing. Files that something else wrote are never replaced, and
neither the configuration nor the state is ever removed unless that is asked for by name.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec import Struct

from shipper.errors import ServiceError
from shipper.resource import read_data

UNIT = "connlog.service"
USER = "connlog"
SHIPPED_PROGRAM = "/opt/connlog/bin/connlog"
"""What the shipped unit starts; an installation elsewhere gets its own path in its place."""
MARK = "# connlog's own"
CONFIG = "etc/connlog/connlog.toml"
STATE = "var/lib/connlog"
FILES = {
    "etc/sysusers.d/connlog.conf": "systemd/sysusers.conf",
    "etc/tmpfiles.d/connlog.conf": "systemd/tmpfiles.conf",
    f"etc/systemd/system/{UNIT}": "systemd/connlog.service",
}
"""Where each file goes, below the root, and what it is made from."""
PACKAGED = Path("/usr/lib/connlog")
"""The environment of Debian's package, which brings unit, user and folders itself."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named, not written to
"""Folders that the service does not see: ProtectHome and PrivateTmp."""
COMMAND_SECONDS = 120.0


class Step(Struct, frozen=True):
    """One thing to do. ``do`` is None where it is so already."""

    what: str
    do: Callable[[], None] | None = None


def own_program() -> Path:
    """The command ``connlog`` of this environment: a venv, or what pipx or uv made. Raises ServiceError."""
    program = Path(sys.prefix) / "bin" / "connlog"
    if not program.is_file():
        raise ServiceError(
            f"{program}: is not there, so this connlog is not installed; make an environment for it: "
            "python3 -m venv /opt/connlog, and /opt/connlog/bin/pip install coder-connlog"
        )
    return program


def is_packaged() -> bool:
    """Whether this connlog belongs to Debian's package."""
    return Path(sys.prefix) == PACKAGED


def hiding() -> list[Path]:
    """The files of an installation beside Debian's package that are taken instead of what the package has."""
    return [path for path in (Path("/") / target for target in FILES) if path.exists()]


def hindrances(program: Path) -> list[str]:
    """Why the service's user could not run ``program``, one sentence each."""
    found: list[str] = []
    for what, path in {
        "the program": program,
        "its Python": Path(sys.executable).resolve(),
        "Python's library": Path(sys.base_prefix).resolve(),
        "its package": Path(__file__).resolve(),
    }.items():
        hidden = next((folder for folder in HIDDEN if path.is_relative_to(folder)), None)
        if hidden is not None:
            found.append(f"{what}, {path}, lies below {hidden}, which the service does not see")
            continue
        closed = next((part for part in (path, *path.parents) if not _is_open(part)), None)
        if closed is not None:
            found.append(f"{what}, {path}, is closed to other users at {closed}")
    return found


def _is_open(path: Path) -> bool:
    """Whether everybody may enter the folder, or read the file."""
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))


def wanted(program: Path) -> dict[str, str]:
    """The text of every file of the service that belongs to connlog."""
    return {target: read_data(name).replace(SHIPPED_PROGRAM, str(program)) for target, name in FILES.items()}


def install_steps(root: Path, program: Path, *, now: bool) -> Iterator[Step]:
    """What makes ``program`` a service of the system below ``root``; ``now``: to be enabled and started. Each step is
    to be done before the next one is asked for. Raises ServiceError."""
    changed = False
    for target, text in wanted(program).items():
        step = _file_step(root / target, text)
        changed = changed or step.do is not None
        yield step
    config = root / CONFIG
    if config.exists():
        yield Step(f"keep {config}")
    else:
        text = read_data("config/connlog.toml")
        yield Step(f"write {config}, every option at its default", partial(_write, config, text))
    if root != Path("/"):
        return
    has_user = _has_user()
    yield _command(f"make the user {USER}", "systemd-sysusers", "/etc/sysusers.d/connlog.conf", needed=not has_user)
    yield _command("make the folders", "systemd-tmpfiles", "--create", "/etc/tmpfiles.d/connlog.conf")
    reload = changed or show_unit("NeedDaemonReload").get("NeedDaemonReload") == "yes"
    yield _command("let systemd read its units again", "systemctl", "daemon-reload", needed=reload)
    if now:
        facts = show_unit("ActiveState", "UnitFileState")
        enabled, active = facts.get("UnitFileState") == "enabled", facts.get("ActiveState") == "active"
        yield _command("start it with the system", "systemctl", "enable", "--quiet", UNIT, needed=not enabled)
        yield _command("start it now", "systemctl", "restart", UNIT, needed=changed or not active)


def uninstall_steps(root: Path, *, purge: bool) -> Iterator[Step]:
    """What takes the service away again; with ``purge`` the configuration and all that was kept too."""
    real = root == Path("/")
    unit = root / "etc/systemd/system" / UNIT
    if real:
        yield _command(
            "stop it, now and at the next start", "systemctl", "disable", "--now", UNIT, needed=unit.exists()
        )
    for target in FILES:
        path = root / target
        if not path.exists():
            yield Step(f"remove {path}")
        else:
            _check_own(path)
            yield Step(f"remove {path}", path.unlink)
    if real:
        yield _command("let systemd read its units again", "systemctl", "daemon-reload")
        yield _command("forget its failures", "systemctl", "reset-failed", UNIT, fails=True)
    for folder in (root / CONFIG).parent, root / STATE:
        if not folder.exists():
            continue
        if purge:
            yield Step(f"remove {folder} and all in it", partial(shutil.rmtree, folder))
        else:
            yield Step(f"keep {folder}; --purge removes it")


def show_unit(*names: str) -> dict[str, str]:
    """Properties of the unit as systemd knows it. Raises ServiceError where there is no systemd to ask."""
    text = _run("systemctl", "show", UNIT, *(f"--property={name}" for name in names))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _has_user() -> bool:
    import pwd

    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _file_step(path: Path, text: str) -> Step:
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Step(f"write {path}", partial(_write, path, text))
    except (OSError, ValueError) as error:
        raise ServiceError(f"{path}: can't be read: {error}; move it away") from error
    if before == text:
        return Step(f"write {path}")
    _check_own(path)
    return Step(f"renew {path}", partial(_write, path, text))


def _check_own(path: Path) -> None:
    """Raises ServiceError where the file is not one of connlog's."""
    try:
        with path.open(encoding="utf-8") as file:
            own = file.readline().startswith(MARK)
    except (OSError, ValueError) as error:
        raise ServiceError(f"{path}: can't be read: {error}; move it away") from error
    if not own:
        raise ServiceError(f"{path}: was not written by connlog, so it is left as it is; move it away, and try again")


def _make_folder(folder: Path) -> None:
    """The folder and those above it, entered by everybody, whatever the umask; what is there stays as it is."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, readable for everybody."""
    _make_folder(path.parent)
    beside = path.with_name(path.name + ".connlog-new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, 0o644)
        file.write(text)
        file.flush()
        os.fsync(fd)
    beside.replace(path)


def _command(what: str, *words: str, needed: bool = True, fails: bool = False) -> Step:
    def do() -> None:
        _run(*words, fails=fails)

    return Step(f"{what}: {' '.join(words)}", do if needed else None)


def _run(*words: str, fails: bool = False) -> str:
    program = shutil.which(words[0])
    if program is None:
        raise ServiceError(
            f"there is no {words[0]} here: a service needs systemd; run 'connlog run' under what there is"
        )
    try:
        done = subprocess.run(
            [program, *words[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"'{' '.join(words)}' did not end in {COMMAND_SECONDS:.0f} seconds") from error
    if done.returncode and not fails:
        said = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
        raise ServiceError(f"'{' '.join(words)}' failed: {said}")
    return done.stdout
