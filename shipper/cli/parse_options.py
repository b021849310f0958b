"""The options of ``connlog parse``."""

from __future__ import annotations

import click

from shipper.cli.parse import print_events
from shipper.framing.wrapper import WRAPPERS
from shipper.recognition import FORMATS


@click.command("parse")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True, help="Read only this form."
)
@click.option(
    "--wrapper",
    type=click.Choice(("auto", "none", *WRAPPERS)),
    default="auto",
    show_default=True,
    help="What carries the lines.",
)
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone of stamps that show none.")
@click.option("--explain", is_flag=True, help="Show for each entry what it was taken for, and why.")
@click.option("--expand-max", metavar="SIZE", help="Most that one compressed file may expand to.  [default: 64GiB]")
def command(paths: tuple[str, ...], form: str, wrapper: str, tz: str, explain: bool, expand_max: str | None) -> int:
    """Read logs and print their connection events as NDJSON.

    Reads standard input without a PATH, or for "-". Files ending in .gz, .zst, .bz2 or .xz are read as such.
    Entries that are malformed go to stderr as PATH:LINE:COLUMN: reason, with the place marked.

    Exit codes: 0 done, 1 some entries were malformed, 4 a file could not be read.
    """
    return print_events(paths, form, wrapper, tz, explain, expand_max)
