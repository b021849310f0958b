"""The table: events and connections as lines for people, in which no character of the log can do anything.

On a terminal the table fits its width, with colour unless NO_COLOR is set; into a pipe it is plain and whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import click

from shipper.cli.column import Column, Row
from shipper.cli.pager import show
from shipper.cli.talk import coloured, say, visible, visible_lines
from shipper.cli.width import cut, padded, width
from shipper.index import Connection, Rows

__all__ = [
    "fitted_lines",
    "fitting",
    "lines_of",
    "plain_lines",
    "spread",
    "visible",
    "visible_lines",
    "widths_of",
    "write_table",
]

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
        _write_fitted(rows, columns, paged, asked)
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


def _write_fitted(rows: Rows, columns: Sequence[Column], paged: bool, asked: bool) -> None:
    held = list(rows)  # each is read once
    rows.release()
    cells = {title: [read(row) for row in held] for title, read in columns}
    lines, left_out = fitted_lines(cells, _terminal_columns(), asked=asked)
    colour = coloured()
    text = [click.style(lines[0], bold=True) if colour else lines[0]]
    for row, line in zip(held, lines[1:], strict=True):
        bad = row.code is not None and row.code >= BAD_CODE
        open_ = isinstance(row, Connection) and row.state == "ongoing"
        text.append(click.style(line, fg="red" if bad else "green") if colour and (bad or open_) else line)
    show("".join(f"{line}\n" for line in text), wanted=paged)
    if left_out:
        say(f"no room for {', '.join(left_out)}: a wider terminal, --columns or --output shows them")


def fitted_lines(cells: Mapping[str, Sequence[str]], room: int, *, asked: bool = False) -> tuple[list[str], list[str]]:
    """A table as lines that take ``room`` columns at most, the titles first, and the titles of what was left out;
    ``asked``: columns without any content stay too."""
    titles = [title for title in cells if asked or title not in _GIVEN_UP or any(cells[title])]
    full = {title: max(map(width, (title, *cells[title]))) for title in titles}
    needed = {title: min(full[title], _SHRINKS_TO.get(title, PLAIN_WIDTH_MAX)) for title in titles}
    shown = fitting(needed, room)
    widths = list(spread({title: needed[title] for title in shown}, full, room).values())
    rows = zip(*((title, *cells[title]) for title in shown), strict=True)
    lines = ["  ".join(padded(cut(cell, wide), wide) for cell, wide in zip(row, widths, strict=True)) for row in rows]
    return [cut(line.rstrip(), room) for line in lines], [title for title in titles if title not in shown]


def spread(least: Mapping[str, int], full: Mapping[str, int], room: int) -> dict[str, int]:
    """The widths of columns: their least, and of what is left of ``room`` as much as each can use, the narrowest
    first."""
    widths = dict(least)
    left = room - sum(widths.values()) - 2 * (len(widths) - 1)
    waiting = sorted(widths, key=lambda title: full[title] - widths[title])
    for place, title in enumerate(waiting):
        more = max(0, min(full[title] - widths[title], left // (len(waiting) - place)))
        widths[title] += more
        left -= more
    return widths


def _terminal_columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def fitting(needed: dict[str, int], room: int) -> list[str]:
    """The columns that fit into ``room``, in their order; the ones that matter less are given up first."""
    shown = list(needed)
    for title in _GIVEN_UP:
        if sum(needed[name] + 2 for name in shown) - 2 <= room:
            break
        if title in shown:
            shown.remove(title)
    return shown
