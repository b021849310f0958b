"""The command ``service``: connlog under systemd, put in place, taken away, and looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli.talk import printable, say, warn
from shipper.errors import ConfigError, ServiceError, StateError

if TYPE_CHECKING:
    from shipper.service.installation import Step

BAD_NEWS = 1
DRY = click.option("--dry-run", "dry", is_flag=True, help="Say what would be done, and do nothing.")
ROOT = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    help="Work on the files below this folder, such as an image's or a package's, and run nothing.",
)


@click.group()
def command() -> None:
    """Install, remove or look at the systemd service."""


@command.command("install")
@click.option("--now", is_flag=True, help="Start it, now and with the system.")
@DRY
@ROOT
def install_command(now: bool, dry: bool, root: Path) -> None:
    """Make this connlog, from a venv, pipx or uv, a service.

    Writes the unit, its user, its folders, and a configuration where there is none; then systemd is told. What is
    there already is left alone, so it can be run after each upgrade.
    """
    # Imported here: --help needs none of it.
    from shipper.service import installation

    root = root.absolute()
    _refuse_packaged("it is a service already: systemctl enable --now connlog")
    _need_root(dry, root)
    program = installation.own_program()
    if trouble := installation.hindrances(program):
        advice = (
            "install it where all may read, such as /opt/connlog; with pipx: PIPX_HOME=/opt/pipx, with uv: "
            "UV_TOOL_DIR=/opt/uv/tools and UV_PYTHON_INSTALL_DIR=/opt/uv/python"
        )
        raise ServiceError("; ".join(trouble) + "; " + advice)
    _do(installation.install_steps(root, program, now=now), dry)
    if not now and root == Path("/"):
        click.echo("next: edit /etc/connlog/connlog.toml, then systemctl enable --now connlog")


@command.command("uninstall")
@click.option("--purge", is_flag=True, help="Remove the configuration, the journal and the index too.")
@DRY
@ROOT
def uninstall_command(purge: bool, dry: bool, root: Path) -> None:
    """Stop the service and take it away.

    The configuration and all that connlog has kept stay, unless --purge is given; the user stays, since files may be its.
    """
    from shipper.service import installation

    root = root.absolute()
    _refuse_packaged("take it away with apt: apt-get remove connlog, or purge with all that was kept")
    _need_root(dry, root)
    _do(installation.uninstall_steps(root, purge=purge), dry)


@command.command("status")
def status_command() -> int:
    """Tell whether the service is installed as this version has it, and what it does. Exits 1 where it isn't running
    or something is amiss."""
    troubles: list[str] = []
    for label, text in _facts(troubles):
        click.echo(f"{label:<14} {printable(text)}")
    for trouble in troubles:
        warn(trouble)
    return BAD_NEWS if troubles else 0


@command.command("reload")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file of the daemon.")
def reload_command(path: Path | None) -> int:
    """Let the running daemon load its configuration again, and wait for its word.

    Exits 3 with every problem where it refuses, and goes on as before; it is what systemctl reload does.
    """
    from shipper.service.reload import reload_daemon

    changed = reload_daemon(_state_folder(path))
    click.echo(printable(f"reloaded: {', '.join(changed) or 'nothing has changed'}"))
    return 0


def _state_folder(path: Path | None) -> Path:
    """Where the daemon keeps its state, also while its configuration is invalid."""
    from shipper.config import load_config
    from shipper.config.load import SYSTEM_FILE, default_state_dir

    try:
        return load_config(path).state.dir
    except ConfigError:
        folder = default_state_dir(path or SYSTEM_FILE, os.environ)
        if folder is None:
            raise
        return folder


def _facts(troubles: list[str]) -> Iterator[tuple[str, str]]:
    """What there is, line by line; what is amiss goes to ``troubles``."""
    from shipper import __version__
    from shipper.config import load_config
    from shipper.config.load import SYSTEM_FILE
    from shipper.service import installation
    from shipper.status import read_status

    program = installation.own_program()
    yield "program", f"{program}, version {__version__}"
    yield from _packaged(troubles) if installation.is_packaged() else _files(program, troubles)
    facts = installation.show_unit(
        *("ActiveState", "SubState", "UnitFileState", "MainPID", "NRestarts", "StatusText", "DropInPaths", "Result")
    )
    state = facts.get("ActiveState", "unknown")
    yield "service", f"{state} ({facts.get('SubState')}), {facts.get('UnitFileState') or 'not installed'}"
    if state == "active":
        yield "process", f"{facts.get('MainPID')}, started again {facts.get('NRestarts')} times by systemd"
    else:
        why = "" if facts.get("Result") in (None, "", "success") else f" ({facts['Result']})"
        troubles.append(f"the service does not run{why}: 'journalctl -u connlog' says more")
    if facts.get("DropInPaths"):
        yield "drop-ins", facts["DropInPaths"]
    if facts.get("StatusText"):
        yield "says", facts["StatusText"]
    try:
        config = load_config(SYSTEM_FILE if SYSTEM_FILE.exists() else None)
    except ConfigError as error:
        yield "configuration", f"invalid: {len(error.problems)} problems"
        troubles += error.problems
        return
    yield "configuration", str(config.path or "built-in defaults")
    try:
        status = read_status(config.state.dir)
    except StateError as error:
        troubles.append(str(error))
        return
    if state == "active" and status is not None and status.version != __version__:
        yield "runs", f"version {status.version}"
        troubles.append("the service runs another version than is installed: systemctl restart connlog")


def _packaged(troubles: list[str]) -> Iterator[tuple[str, str]]:
    from shipper.service import installation

    yield "installed", "by Debian's package"
    troubles += [
        f"{path} is taken instead of what the package has: remove it, then systemctl daemon-reload"
        for path in installation.hiding()
    ]


def _files(program: Path, troubles: list[str]) -> Iterator[tuple[str, str]]:
    from shipper.service import installation

    for target, text in installation.wanted(program).items():
        path = Path("/") / target
        try:
            same = path.read_text(encoding="utf-8") == text
        except (OSError, ValueError):
            yield "missing", str(path)
            troubles.append(f"{path} can't be read or is not there: run 'connlog service install'")
            continue
        yield "installed", f"{path}, {'as this version has it' if same else 'not as this version has it'}"
        if not same:
            troubles.append(f"{path} is not what this version has: run 'connlog service install'")


def _refuse_packaged(advice: str) -> None:
    from shipper.service import installation

    if installation.is_packaged():
        raise ServiceError(f"this connlog belongs to Debian's package, and {advice}")


def _need_root(dry: bool, root: Path) -> None:
    if not dry and root == Path("/") and os.geteuid() != 0:
        raise ServiceError("this takes root: run it with sudo, or with --dry-run to see what it would do")


def _do(steps: Iterable[Step], dry: bool) -> None:
    """Each step and what became of it."""
    for step in steps:
        if step.do is None:
            click.echo(f"  is so  {printable(step.what)}")
            continue
        click.echo(f"{'  would' if dry else '     do'}  {printable(step.what)}")
        if dry:
            continue
        try:
            step.do()
        except OSError as error:
            raise ServiceError(f"{error.filename or step.what}: {error.strerror}") from error
    if dry:
        say("nothing was done")
