"""The command ``tail``: the newest events of the local index, and with -f those that come."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from shipper.cli import question
from shipper.cli.output import write_json, write_originals
from shipper.cli.table import event_line
from shipper.cli.talk import say
from shipper.errors import StateBusy
from shipper.index import IndexReader, Rows
from shipper.record import Record

NEWEST = 10
POLL_SECONDS = 0.25
FOLLOWED_ROWS_MAX = 1000
"""Events taken from the index at once while following."""


@click.command(cls=question.QuestionCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1, shell_complete=question.complete_query)
@click.option("-f", "--follow", is_flag=True, help="Go on and show events as the daemon stores them.")
@click.option("-n", "count", type=question.Count(), default=NEWEST, show_default=True, help="How many of the newest.")
@click.option("--output", type=click.Choice(("table", "ndjson", "raw")), default="table", show_default=True)
@click.option(
    "--index", type=click.Path(path_type=Path), help="The index to ask; default: index.db in the state folder."
)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file.")
def command(
    words: tuple[str, ...], follow: bool, count: int, output: str, index: Path | None, config: Path | None
) -> int:
    """Show the newest events.

    They come in the order in which they were stored, the newest last. QUERY is as for search. Exits 1
    when nothing is found.
    """
    now_ns = question.now()
    filter_ = question.read_query(words, now_ns)
    reader = question.open_index(index, config)
    try:
        rows, place, notes = reader.latest(filter_, count=count, now_ns=now_ns)
        for note in notes:
            say(note)
        _write(rows, reader, output)
        while follow:
            reader.release()
            time.sleep(POLL_SECONDS)
            try:
                came, place = reader.after(filter_, place, limit=FOLLOWED_ROWS_MAX, now_ns=question.now())
            except StateBusy:
                continue
            _write(came, reader, output)
        if not rows and output == "table":
            say("nothing found")
        return 0 if rows else 1
    finally:
        reader.close()


def _write(rows: Rows, reader: IndexReader, output: str) -> None:
    for row in rows:
        if output == "ndjson":
            write_json(row)
        elif output == "raw":
            write_originals(row, reader)
        elif isinstance(row, Record):
            click.echo(event_line(row, colour=sys.stdout.isatty()), color=None)
    sys.stdout.flush()
