"""The command ``tail``: the newest events of the local index, and with -f those that come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from shipper.cli import question
from shipper.cli.column import Row, View, chosen, read_names, read_zone, usual
from shipper.cli.line import Lines
from shipper.cli.output import Csv, write_json, write_originals
from shipper.cli.talk import say
from shipper.errors import StateBusy, StateError
from shipper.index import IndexReader, Rows
from shipper.record import Record

NEWEST = 10
FORMATS = ("table", "ndjson", "csv", "raw")
POLL_SECONDS = 0.25
FOLLOWED_ROWS_MAX = 1000
"""Events taken from the index at once while following."""


@click.command(cls=question.QuestionCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1, shell_complete=question.complete_query)
@click.option("-f", "--follow", is_flag=True, help="Go on and show events as the daemon stores them.")
@click.option("-n", "count", type=question.Count(), default=NEWEST, show_default=True, help="How many of the newest.")
@click.option(
    "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="raw: the original lines."
)
@question.columns_option
@question.zone_option
@question.place_options
def command(
    words: tuple[str, ...],
    follow: bool,
    count: int,
    output: str,
    columns: str | None,
    tz: str | None,
    index: Path | None,
    config: Path | None,
) -> int:
    """Show the newest events.

    They come in the order in which they were stored, the newest last. QUERY is as for search. Exits 1
    when nothing is found.
    """
    now_ns = question.now()
    filter_ = question.read_query(words, now_ns)
    names = read_names(columns, output)
    view = read_zone(tz)
    write = _writer(output, names, view)
    path = question.find_index(index, config)
    reader = question.open_index(path, None)
    try:
        with question.placing(words):
            rows, place, notes = reader.latest(filter_, count=count, now_ns=now_ns)
        for note in notes:
            say(note)
        write(rows, reader)
        sys.stdout.flush()
        if follow:
            _say_if_alone(path)
        while follow:
            reader.release()
            time.sleep(POLL_SECONDS)
            try:
                came, place = reader.after(filter_, place, limit=FOLLOWED_ROWS_MAX, now_ns=question.now())
            except StateBusy:
                continue
            write(came, reader)
            sys.stdout.flush()
        if not rows and output == "table":
            say("nothing found")
        return 0 if rows else 1
    finally:
        reader.close()


def _say_if_alone(index: Path) -> None:
    """That nothing will come while no daemon runs; who may not know whether one does is told nothing."""
    from shipper.service.lock import holder_of  # here, since only this needs it

    try:
        if holder_of(index.parent) is None:
            say(f"no daemon runs on {index.parent}, so nothing new comes until one does; waiting")
    except StateError:
        return


def _writer(output: str, names: tuple[str, ...] | None, view: View) -> Callable[[Rows, IndexReader], None]:
    """What writes rows in the form that was asked for; raises UsageError for a column that there is not."""
    if output == "table":
        lines = Lines(usual(True, view) if names is None else chosen(names, True, view), asked=names is not None)
        return lambda rows, _reader: _each(rows, lambda row: lines.write(row) if isinstance(row, Record) else None)
    if output == "csv":
        return Csv(events=True, names=names).write
    if output == "ndjson":
        return lambda rows, _reader: _each(rows, write_json)
    return lambda rows, reader: _each(rows, lambda row: write_originals(row, reader))


def _each(rows: Rows, write: Callable[[Row], None]) -> None:
    for row in rows:
        write(row)
