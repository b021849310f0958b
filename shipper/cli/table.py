"""The table: events and connections as lines for people, in which no character of the log can do anything.

On a terminal the table fits its width, with colour unless NO_COLOR is set; into a pipe it is plain and whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import click

from shipper.cli.column import Column, Row, View, usual
from shipper.cli.pager import show
from shipper.cli.talk import say, visible, visible_lines
from shipper.index import Connection
from shipper.record import Record

__all__ = ["event_line", "fitting", "plain_lines", "visible", "visible_lines", "write_table"]

PLAIN_ROWS_TOGETHER = 1000
"""Rows that are measured before the first is written; longer answers are aligned piece by piece."""
PLAIN_WIDTH_MAX = 60
_BAD_CODE = 400
_SHRINKS_TO = {"WORKSPACE": 12, "USER": 12, "IP": 15, "AGENT": 7, "DETAIL": 10}
"""Columns that may be cut on a narrow terminal, and to what; the others say nothing when cut."""
_GIVEN_UP = ("AGO", "AGENT", "IP", "DETAIL", "USER", "CODE")
"""What a narrow terminal does without, first things first."""


def write_table(rows: Iterable[Row], columns: Sequence[Column], *, paged: bool = False, asked: bool = False) -> None:
    """Write the table to stdout; ``paged``: through a pager where it is longer than the terminal; ``asked``: these
    columns were asked for, so that on a terminal the empty ones stay too."""
    if sys.stdout.isatty():
        _write_rich(rows, columns, paged, asked)
    else:
        for line in plain_lines(rows, columns):
            click.echo(line)


def plain_lines(rows: Iterable[Row], columns: Sequence[Column], header: bool = True) -> Iterator[str]:
    """The table as aligned lines without any decoration."""
    walk = iter(rows)
    while piece := [[read(row) for _, read in columns] for row in islice(walk, PLAIN_ROWS_TOGETHER)]:
        if header:
            piece.insert(0, [title for title, _ in columns])
            header = False
        widths = [min(PLAIN_WIDTH_MAX, max(map(len, cells))) for cells in zip(*piece, strict=True)]
        for cells in piece:
            yield "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def event_line(record: Record, colour: bool) -> str:
    """One event as a line of fixed columns, for an answer that has no end."""
    cells = [read(record) for _, read in _EVENT_COLUMNS]
    line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _EVENT_WIDTHS, strict=True)).rstrip()
    if not colour:
        return line
    bad = record.code is not None and record.code >= _BAD_CODE
    return click.style(line, fg="red" if bad else None, dim=record.status == "disconnected")


def _write_rich(rows: Iterable[Row], columns: Sequence[Column], paged: bool, asked: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False, markup=False)
    held = list(rows)
    cells = {title: [read(row) for row in held] for title, read in columns}
    needed = {title: _needed(title, texts) for title, texts in cells.items()}
    if not asked:
        needed = {title: width for title, width in needed.items() if title not in _GIVEN_UP or any(cells[title])}
    shown = fitting(needed, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in shown:
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=needed[title])
    for at, row in enumerate(held):
        bad = row.code is not None and row.code >= _BAD_CODE
        open_ = isinstance(row, Connection) and row.state == "ongoing"
        style = "red" if bad else "green" if open_ else ""
        table.add_row(*(Text(cells[title][at]) for title in shown), style=style)
    with console.capture() as captured:
        console.print(table)
    show(captured.get(), wanted=paged)
    left_out = [title for title in needed if title not in shown]
    if left_out:
        say(f"no room for {', '.join(left_out)}: a wider terminal, --columns or --output shows them")


def _needed(title: str, texts: Sequence[str]) -> int:
    """The least width of a column in which it still says something."""
    return min(max(map(len, (title, *texts))), _SHRINKS_TO.get(title, PLAIN_WIDTH_MAX))


def fitting(needed: dict[str, int], width: int) -> list[str]:
    """The columns that fit into ``width``, in their order; the ones that matter less are given up first."""
    shown = list(needed)
    for title in _GIVEN_UP:
        if sum(needed[name] + 2 for name in shown) - 2 <= width:
            break
        if title in shown:
            shown.remove(title)
    return shown


_EVENT_COLUMNS = usual(True, View())
_EVENT_WIDTHS = (19, 12, 15, 20, 8, 16, 15, 4, 0)
