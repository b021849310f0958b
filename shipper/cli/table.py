"""The table: events and connections as lines for people, in which no character of the log can do anything.

On a terminal the table fits its width, with colour unless NO_COLOR is set; into a pipe it is plain and whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import click

from shipper.cli.column import Column, Row
from shipper.cli.pager import show
from shipper.cli.talk import say, visible, visible_lines
from shipper.cli.width import padded, width
from shipper.index import Connection, Rows

__all__ = ["fitting", "lines_of", "plain_lines", "visible", "visible_lines", "widths_of", "write_table"]

PLAIN_ROWS_TOGETHER = 1000
"""Rows that are measured before the first is written; longer answers are aligned piece by piece."""
PLAIN_WIDTH_MAX = 60
FITTED_ROWS_MAX = 10_000
"""Rows that are held in memory to be fitted to a terminal; longer answers are written as into a pipe."""
BAD_CODE = 400
"""Codes from here on are errors of a web connection."""
_SHRINKS_TO = {"WORKSPACE": 12, "USER": 12, "IP": 15, "AGENT": 7, "DETAIL": 10}
"""Columns that may be cut on a narrow terminal, and to what; the others say nothing when cut."""
_GIVEN_UP = ("AGO", "AGENT", "IP", "DETAIL", "USER", "CODE")
"""What a narrow terminal does without, first things first."""


def write_table(rows: Rows, columns: Sequence[Column], *, paged: bool = False, asked: bool = False) -> None:
    """Write the table to stdout; ``paged``: through a pager where it is longer than the terminal; ``asked``: these
    columns were asked for, so that on a terminal the empty ones stay too."""
    if sys.stdout.isatty() and len(rows) <= FITTED_ROWS_MAX:
        _write_rich(rows, columns, paged, asked)
    else:
        for line in plain_lines(rows, columns):
            click.echo(line)


def plain_lines(rows: Iterable[Row], columns: Sequence[Column], header: bool = True) -> Iterator[str]:
    """The table as aligned lines without any decoration."""
    walk = iter(rows)
    widths = [0] * len(columns)
    while piece := [[read(row) for _, read in columns] for row in islice(walk, PLAIN_ROWS_TOGETHER)]:
        if header:
            piece.insert(0, [title for title, _ in columns])
            header = False
        # Never narrower than above: columns stay where they are.
        widths = list(map(max, widths, widths_of(piece)))
        yield from lines_of(piece, widths)


def widths_of(rows: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column has to be."""
    return [min(PLAIN_WIDTH_MAX, max(map(width, cells))) for cells in zip(*rows, strict=True)]


def lines_of(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    """Rows of cells as lines in which the columns stand one below the other."""
    for cells in rows:
        yield "  ".join(map(padded, cells, widths)).rstrip()


def _write_rich(rows: Rows, columns: Sequence[Column], paged: bool, asked: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False, markup=False)
    held = list(rows)  # each is read once
    cells = {title: [read(row) for row in held] for title, read in columns}
    needed = {title: _needed(title, texts) for title, texts in cells.items()}
    if not asked:
        needed = {title: least for title, least in needed.items() if title not in _GIVEN_UP or any(cells[title])}
    shown = fitting(needed, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in shown:
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=needed[title])
    for at, row in enumerate(held):
        bad = row.code is not None and row.code >= BAD_CODE
        open_ = isinstance(row, Connection) and row.state == "ongoing"
        style = "red" if bad else "green" if open_ else ""
        table.add_row(*(Text(cells[title][at]) for title in shown), style=style)
    rows.release()
    with console.capture() as captured:
        console.print(table)
    show(captured.get(), wanted=paged)
    left_out = [title for title in needed if title not in shown]
    if left_out:
        say(f"no room for {', '.join(left_out)}: a wider terminal, --columns or --output shows them")


def _needed(title: str, texts: Sequence[str]) -> int:
    """The least width of a column in which it still says something."""
    return min(max(map(width, (title, *texts))), _SHRINKS_TO.get(title, PLAIN_WIDTH_MAX))


def fitting(needed: dict[str, int], room: int) -> list[str]:
    """The columns that fit into ``room``, in their order; the ones that matter less are given up first."""
    shown = list(needed)
    for title in _GIVEN_UP:
        if sum(needed[name] + 2 for name in shown) - 2 <= room:
            break
        if title in shown:
            shown.remove(title)
    return shown
