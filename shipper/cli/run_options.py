"""The options of ``connlog run``."""

from __future__ import annotations

from pathlib import Path

import click

from shipper.cli.run import run


@click.command("run")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
def command(path: Path | None) -> int:
    """Run the daemon.

    Reads every input into the journal and delivers it to every output. SIGTERM or SIGINT stop reading,
    deliver what was read, and exit 0; a second one ends it at once, and nothing is lost by that. SIGHUP
    loads the configuration again: what changed is swapped, or all is refused and goes on as before.
    """
    return run(path)
