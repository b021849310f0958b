"""The line: one event as a line of columns, for an answer that has no end, or whose rows come one by one.

On a terminal a line fits: a cell that is too long is cut, columns that matter less are left out. Into a pipe all is whole.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click

from shipper.cli.column import Column
from shipper.cli.table import BAD_CODE, fitting, spread
from shipper.cli.talk import coloured
from shipper.cli.width import cut, padded, width
from shipper.record import Record

_WIDTHS = {
    "STATUS": 12, "TYPE": 16, "WORKSPACE": 16, "AGENT": 8, "USER": 16, "IP": 15, "CODE": 4, "DETAIL": 10, "AGO": 4,
}  # fmt: skip
"""Columns of a terminal that a column gets; the last one gets what is left."""
_ROOMY = {"WORKSPACE": 24, "USER": 36, "IP": 39, "DETAIL": 40, "AGENT": 12}
"""What they get on a wide one."""
_TIME = 19
_ID = 36


class Lines:
    """Writes events as lines of ``columns``; whether stdout is a terminal, and how wide, is looked at once."""

    def __init__(self, columns: Sequence[Column], *, asked: bool = False) -> None:
        """``asked``: these very columns were asked for, so that none is left out."""
        self._colour = coloured()
        self._room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        widths = {column.title: _width_of(column.title) for column in columns}
        if self._room is not None and not asked:
            shown = fitting(widths, self._room)
            columns = [column for column in columns if column.title in shown]
        self._columns = columns
        least = {column.title: widths[column.title] for column in columns}
        if self._room is not None:
            least = spread(least, {title: _ROOMY.get(title, room) for title, room in least.items()}, self._room)
        self._widths = list(least.values())

    def write(self, record: Record) -> None:
        """Write one event to stdout, red where its code says that it failed, dim where it is an end."""
        cells = [column.read(record) for column in self._columns]
        line = self._fitted(cells) if self._room else "  ".join(map(padded, cells, self._widths))
        line = line.rstrip()
        if self._colour:
            bad = record.code is not None and record.code >= BAD_CODE
            line = click.style(line, fg="red" if bad else None, dim=record.status == "disconnected")
        click.echo(line, color=self._colour)

    def _fitted(self, cells: Sequence[str]) -> str:
        assert self._room is not None
        *before, last = cells
        line = "".join(f"{padded(cut(cell, room), room)}  " for cell, room in zip(before, self._widths, strict=False))
        return line + cut(last, max(self._widths[-1], self._room - width(line)))


def _width_of(title: str) -> int:
    if title in _WIDTHS:
        return _WIDTHS[title]
    if title.endswith("ID") or title == "CLIENT_SESSION_ID":
        return _ID
    return max(len(title), _TIME if "TIME" in title else 12)
