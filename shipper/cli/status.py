"""``connlog status``: what the daemon of a state folder is doing, or was doing last; exits 1 when none runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shipper.cli.talk import printable, warn
from shipper.config import load_config


@click.command("status")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--output", "form", type=click.Choice(["table", "json"]), default="table", help="The form of the answer.")
def command(path: Path | None, form: str) -> int:
    """Show what the daemon is doing.

    Inputs with their position and lag, the journal, and each output with what is pending. Exits 1 when no
    daemon runs on the state folder; what is shown then is what the last one left.
    """
    # Imported here: --help needs none of it.
    import msgspec

    from shipper.service.lock import is_running
    from shipper.status import read_status

    folder = load_config(path).state.dir
    status = read_status(folder)
    running = is_running(folder, status.pid if status is not None else None)
    if form == "json":
        body = msgspec.to_builtins(status) if status is not None else None
        sys.stdout.write(msgspec.json.encode({"running": running, "state_dir": str(folder), "status": body}).decode())
        sys.stdout.write("\n")
    elif status is not None:
        from shipper.service.status_page import page

        for line in page(status, running=running, folder=str(folder)):
            click.echo(printable(line))
    if not running:
        warn(f"no daemon runs on {folder}" + ("" if status is not None else ", and none ever has: see 'connlog run'"))
    return 0 if running else 1
