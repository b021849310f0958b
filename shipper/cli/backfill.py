"""``connlog backfill``: reads whole files and folders into the configured outputs, and ends when they have it all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli.talk import printable, say
from shipper.cli.width import cut
from shipper.config import FileInput, load_config
from shipper.config.inputs import FORMATS, WRAPPERS

if TYPE_CHECKING:
    from shipper.service.backfill import Progress

IO_FAILED = 4
INTERRUPTED = 130
BAR_WIDTH, NAME_WIDTH = 10, 18
"""Columns of the terminal, of 80."""
PROBLEMS_SHOWN_COUNT = 20


@click.command("backfill")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("-c", "--config", "config_path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True, help="Read only this form."
)
@click.option(
    "--wrapper", type=click.Choice(WRAPPERS), default="auto", show_default=True, help="What carries the lines."
)
@click.option("--tz", default="UTC", show_default=True, metavar="ZONE", help="Zone of stamps that show none.")
def command(paths: tuple[str, ...], config_path: Path | None, form: str, wrapper: str, tz: str) -> int:
    """Read whole files into the configured outputs.

    PATH is a file or a folder; compressed files are unpacked. It ends when every output has taken all of it.
    It may be interrupted and run again: what was read is not read again, and nothing is doubled. It may run
    beside the daemon.

    Exit codes: 0 done, 4 a file could not be read, 130 interrupted.
    """
    from zoneinfo import ZoneInfo

    from shipper.errors import UsageError

    try:
        ZoneInfo(tz)
    except (ValueError, OSError) as error:
        raise UsageError(f"--tz {printable(tz)}: no such time zone; give one like Europe/Berlin") from error
    config = load_config(config_path)
    # Imported here: --help needs none of it.
    from shipper.service.backfill import Backfill, files_of

    files = list(files_of(paths, config.state.dir))
    watch = FileInput(paths=paths, format=form, wrapper=wrapper, tz=tz)
    with _shown() as tell:
        backfill = Backfill(config, files, watch, tell)
        try:
            backfill.run()
        except KeyboardInterrupt:
            say(f"interrupted; {_summary(backfill.progress)}. Run the same command again to go on")
            return INTERRUPTED
    for problem in backfill.progress.problems[:PROBLEMS_SHOWN_COUNT]:
        say(problem)
    if len(backfill.progress.problems) > PROBLEMS_SHOWN_COUNT:
        say(f"and {len(backfill.progress.problems) - PROBLEMS_SHOWN_COUNT} files more could not be read")
    say(_summary(backfill.progress))
    return IO_FAILED if backfill.progress.problems else 0


def _summary(progress: Progress) -> str:
    parts = [
        f"{progress.files} of {progress.files_total} files read",
        f"{progress.events} events stored",
        f"{progress.duplicates} were known",
    ]
    if progress.unchanged:
        parts.append(f"{progress.unchanged} files were read before")
    if progress.malformed:
        parts.append(f"{progress.malformed} malformed entries are in the quarantine")
    return ", ".join(parts)


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported here: rich is slow to import, and only a terminal needs it.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    # Together one line of 80 columns: a figure that wraps makes the bar jump.
    columns = (
        BarColumn(bar_width=BAR_WIDTH),
        DownloadColumn(binary_units=True, table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[events]} events", table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, events=0)

        def tell(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.bytes_total,
                completed=progress.bytes,
                events=progress.events,
                description=cut(printable(progress.waiting or progress.path.rpartition("/")[2]), NAME_WIDTH),
            )

        yield tell
