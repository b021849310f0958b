"""The table: events and connections as lines for people, in which no character of the log can do anything.

On a terminal the table fits its width, with colour unless NO_COLOR is set; into a pipe it is plain and whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import click
from msgspec import UNSET

from shipper.cli.talk import say
from shipper.index import Connection
from shipper.record import Record

Row = Record | Connection
Column = tuple[str, Callable[[Row], str]]

PLAIN_ROWS_TOGETHER = 1000
"""Rows that are measured before the first is written; longer answers are aligned piece by piece."""
PLAIN_WIDTH_MAX = 60
_BAD_CODE = 400
_SHRINKS_TO = {"WORKSPACE": 12, "USER": 12, "IP": 15, "AGENT": 7, "DETAIL": 10}
"""Columns that may be cut on a narrow terminal, and to what; the others say nothing when cut."""
_GIVEN_UP = ("AGENT", "IP", "DETAIL", "USER", "CODE")
"""What a narrow terminal does without, first things first."""


def visible(text: str) -> str:
    """``text`` with every character that is not plainly printed as an escape: ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible_lines(text: str) -> str:
    """As ``visible``, but lines stay lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def write_table(rows: Iterable[Row], events: bool) -> None:
    """Write the table to stdout."""
    columns = EVENT_COLUMNS if events else CONNECTION_COLUMNS
    if sys.stdout.isatty():
        _write_rich(rows, columns)
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
    cells = [read(record) for _, read in EVENT_COLUMNS]
    line = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, _EVENT_WIDTHS, strict=True)).rstrip()
    if not colour:
        return line
    bad = record.code is not None and record.code >= _BAD_CODE
    return click.style(line, fg="red" if bad else None, dim=record.status == "disconnected")


def _write_rich(rows: Iterable[Row], columns: Sequence[Column]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False, markup=False)
    held = list(rows)
    cells = {title: [read(row) for row in held] for title, read in columns}
    needed = {title: _needed(title, texts) for title, texts in cells.items()}
    shown = fitting(needed, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in shown:
        table.add_column(title, no_wrap=True, overflow="ellipsis", min_width=needed[title])
    for at, row in enumerate(held):
        bad = row.code is not None and row.code >= _BAD_CODE
        open_ = isinstance(row, Connection) and row.state == "ongoing"
        style = "red" if bad else "green" if open_ else ""
        table.add_row(*(Text(cells[title][at]) for title in shown), style=style)
    console.print(table)
    left_out = [title for title, _ in columns if title not in shown]
    if left_out:
        say(f"no room for {', '.join(left_out)}: a wider terminal, or --output, shows them")


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


def _clock(text: str | None) -> str:
    """A canonical time to the second."""
    return "" if text is None else f"{text[:10]} {text[11:19]}"


def lasted(row: Row) -> str:
    """How long a connection lasted, for people; its state where nobody knows."""
    if not isinstance(row, Connection):
        return ""
    if row.duration_seconds is None:
        return "" if row.state == "point" else row.state
    minutes, seconds = divmod(int(row.duration_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


def _name(row: Row, key: str) -> str | None:
    return None if row.names is UNSET else row.names.get(key)


def _workspace(row: Row) -> str:
    owner = _name(row, "workspace_owner")
    name = row.workspace_name or row.workspace_id or ""
    return visible(f"{owner}/{name}" if owner else name)


def _user(row: Row) -> str:
    known = _name(row, "user") or row.user_id
    if known is None and (grade := _name(row, "attribution")) is not None:
        candidates = (_name(row, "attribution_candidates") or "").replace(" ", " or ")
        known = {"certain": candidates, "likely": f"{candidates} (likely)", "ambiguous": f"{candidates}?"}.get(grade)
    return visible(known or "")


def _detail(row: Row) -> str:
    return visible("  ".join(text for text in (row.slug_or_port, row.disconnect_reason) if text))


_SHARED: tuple[Column, ...] = (
    ("TYPE", lambda row: visible(row.type or "")),
    ("WORKSPACE", _workspace),
    ("AGENT", lambda row: visible(row.agent_name or "")),
    ("USER", _user),
    ("IP", lambda row: visible(row.ip or "")),
    ("CODE", lambda row: "" if row.code is None else str(row.code)),
    ("DETAIL", _detail),
)
CONNECTION_COLUMNS: tuple[Column, ...] = (
    ("CONNECTED (UTC)", lambda row: _clock(row.connect_time if isinstance(row, Connection) else row.time)),
    ("LASTED", lasted),
    *_SHARED,
)
EVENT_COLUMNS: tuple[Column, ...] = (
    ("TIME (UTC)", lambda row: _clock(row.time if isinstance(row, Record) else row.connect_time)),
    ("STATUS", lambda row: visible(row.status if isinstance(row, Record) else row.state)),
    *_SHARED,
)
_EVENT_WIDTHS = (19, 12, 15, 20, 8, 16, 15, 4, 0)
