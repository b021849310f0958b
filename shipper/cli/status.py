"""``connlog status``: what the daemon of a state folder is doing, or was doing last; exits 1 when none runs or is heard of."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from shipper.cli.talk import printable, warn
from shipper.config import load_config
from shipper.config.load import state_dir_of
from shipper.errors import ConfigError


@click.command("status")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--output", "form", type=click.Choice(["table", "json"]), default="table", help="The form of the answer.")
def command(path: Path | None, form: str) -> int:
    """Show what the daemon is doing.

    Inputs with their position and lag, the journal, and each output with what is pending. Exits 1 when no
    daemon runs on the state folder, or the one that does is not heard of; what is shown then is old. Where the
    configuration is invalid now, it still shows the daemon of the state folder that it names, and exits 3.
    """
    # Imported here: --help needs none of it.
    import msgspec

    from shipper.service.lock import holder_of
    from shipper.status import OLD_SECONDS, read_status, status_ns
    from shipper.timestamp import from_ns

    problems: list[str] = []
    try:
        folder = load_config(path).state.dir
    except ConfigError as error:
        # The daemon may be at work with the former configuration, and its status says so.
        named = state_dir_of(path)
        if named is None or not named.exists():
            raise
        folder, problems = named, error.problems
    holder = holder_of(folder)
    status = read_status(folder)
    heard_ns = status_ns(folder)
    age_seconds = None if heard_ns is None else max(0.0, (time.time_ns() - heard_ns) / 1e9)
    trouble, state = None, ""
    if holder is None:
        state = "not running"
        trouble = f"no daemon runs on {folder}" + ("" if status else ", and none has left a status: see 'connlog run'")
    elif status is None or status.state == "stopped" or holder.pid not in (None, status.pid):
        state = "not known yet"
        trouble = (
            f"process {holder.pid or 'unknown'} holds {folder} and has written no status: it starts, or finds no room "
            "on the disk, or is no daemon; its own log says more"
        ) + ("; shown is what the last daemon left" if status else "")
    elif heard_ns is not None and age_seconds is not None and age_seconds > OLD_SECONDS:
        state = f"{status.state} {age_seconds:.0f} s ago"
        trouble = (
            f"the status was not renewed since {from_ns(heard_ns)[:19]}Z: the daemon may be stuck or the disk full; "
            "its own log says more"
        )
    else:
        state = status.state
    if form == "json":
        facts = {
            "running": holder is not None,
            "process": holder.pid if holder is not None else None,
            "state_dir": str(folder),
            "trouble": trouble,
            "age_seconds": age_seconds,
            "status": msgspec.to_builtins(status) if status is not None else None,
        }
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    elif status is not None:
        from shipper.service.status_page import page

        for line in page(status, state=state, folder=str(folder)):
            click.echo(printable(line))
    if trouble is not None:
        warn(trouble)
    if problems:
        raise ConfigError(problems)
    return 0 if trouble is None else 1
