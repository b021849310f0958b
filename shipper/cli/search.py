"""The command ``search``: asks the local index for connections, or for single events."""

from __future__ import annotations

from pathlib import Path

import click

from shipper.cli import question
from shipper.cli.attributed import attributed
from shipper.cli.column import chosen, read_names, read_zone
from shipper.cli.output import FORMATS, write_answer
from shipper.cli.talk import say

LIMIT = 100


def complete_sort(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What can be sorted by, behind the minus where there is one."""
    from shipper.index.order import sort_names

    minus = "-" if incomplete.startswith("-") else ""
    names = sort_names(bool(context.params.get("events")))
    return [minus + name for name in names if name.startswith(incomplete.removeprefix("-").lower())]


@click.command(cls=question.QuestionCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1, shell_complete=question.complete_query)
@question.range_options
@click.option("--limit", type=question.Count(), default=LIMIT, show_default=True, help="Most rows; 0: no limit.")
@click.option(
    "--sort",
    metavar="COLUMN",
    default="-time",
    show_default=True,
    shell_complete=complete_sort,
    help="Order; a minus before it: descending.",
)
@click.option("--events", is_flag=True, help="Single events rather than connections.")
@click.option("--gaps", is_flag=True, help="What of the log is known to be lost, rather than connections.")
@click.option("--attribution", is_flag=True, help="Say who was likely behind sessions, which name no user.")
@click.option(
    "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="raw: the original lines."
)
@question.columns_option
@question.zone_option
@click.option("--pager/--no-pager", default=True, show_default=True, help="Page a table longer than the terminal.")
@question.place_options
def command(
    words: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    sort: str,
    events: bool,
    gaps: bool,
    attribution: bool,
    output: str,
    columns: str | None,
    tz: str | None,
    pager: bool,
    index: Path | None,
    config: Path | None,
) -> int:
    """Search the local index.

    QUERY is the filter language of Coder's dashboard, and more: type:ssh workspace:dev,test -username:bob
    ip:10.0.0.0/8 code:>=400 "free text" /regex/. Times in it are UTC. Exits 1 when nothing is found.
    """
    now_ns = question.now()
    filter_ = question.read_query(words, now_ns)
    since_ns, until_ns = question.read_range(since, until, now_ns)
    names = read_names(columns, output)
    view = read_zone(tz, now_ns)
    if names is not None:
        chosen(names, events, view)
    path = question.find_index(index, config)
    reader = question.open_index(path, None)
    try:
        if gaps:
            from shipper.cli.gap import list_gaps

            return list_gaps(
                reader, filter_, since_ns=since_ns, until_ns=until_ns, limit=limit, output=output, view=view
            )
        with question.placing(words):
            answer = reader.search(
                filter_, events=events, limit=limit, sort=sort, since_ns=since_ns, until_ns=until_ns, now_ns=now_ns
            )
        with attributed(answer, path, wanted=attribution) as shown:
            write_answer(shown, reader, output, events, names, view, paged=pager)
        question.say_beside(answer)
        if not answer.rows and output == "table":
            say("nothing found")
        return 0 if answer.rows else 1
    finally:
        reader.close()
