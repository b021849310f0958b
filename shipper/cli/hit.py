"""The hits: how grep shows the events that it found."""

from __future__ import annotations

import click
from msgspec import Struct

from shipper.cli.column import Row, View, chosen, usual
from shipper.cli.line import Lines
from shipper.cli.output import Csv, write_json
from shipper.cli.talk import visible, visible_lines
from shipper.index import IndexReader
from shipper.index.search import Found, Wanted, line_of, places
from shipper.record import Record


class Place(Struct, frozen=True):
    """What is shown of an event's place: its file, and the byte at which it begins there."""

    path: bool = False
    offset: bool = False

    @property
    def asked(self) -> bool:
        """Whether anything is shown."""
        return self.path or self.offset

    def of(self, row: Row) -> list[str]:
        """What is shown of a row, each ``-`` where it isn't known."""
        source = row.source if isinstance(row, Record) else None
        parts = [path_of(row)] if self.path else []
        if self.offset:
            parts.append("-" if source is None or source.offset is None else str(source.offset))
        return parts


def path_of(row: Row) -> str:
    """Where a row was read from: the file, else the kind of input."""
    return (row.source.path or row.source.input or "-") if isinstance(row, Record) else "-"


class Form:
    """Writes events in another form than that of their lines."""

    def __init__(self, output: str, names: tuple[str, ...] | None, view: View) -> None:
        self.name = output
        self._lines: Lines | None = None
        self._csv: Csv | None = None
        if output == "table":
            self._lines = Lines(
                usual(True, view) if names is None else chosen(names, True, view), asked=names is not None
            )
        elif output == "csv":
            self._csv = Csv(events=True, names=names)

    def write(self, row: Row) -> None:
        if self._csv is not None:
            self._csv.write([row])
        elif self._lines is None:
            write_json(row)
        elif isinstance(row, Record):
            self._lines.write(row)


class Printer:
    """Prints events in the form that was asked for."""

    def __init__(
        self, reader: IndexReader, wanted: Wanted, form: Form, *, only: bool, invert: bool, place: Place, colour: bool
    ) -> None:
        self._reader, self._wanted, self._form, self._place = reader, wanted, form, place
        self._only, self._marked, self._colour = only, not invert, colour

    def part(self) -> None:
        """What stands between hits that are not neighbours."""
        if self._form.name == "raw" and not self._only:
            click.echo("--")

    def write(self, one: Found) -> None:
        if self._only:
            text = self._text(one)
            for begin, end in places(self._wanted, text) if one.hit and self._marked else ():
                if begin < end:
                    click.echo(self._placed(one) + visible(text[begin:end]), color=self._colour)
        elif self._form.name == "raw":
            click.echo(self._placed(one) + self._line(self._text(one), one.hit), color=self._colour)
        else:
            self._form.write(self._reader.row(one.event, events=True))

    def _placed(self, one: Found) -> str:
        """Where the event stands in what it was read from, as far as that is asked for; ``-`` where that is unknown."""
        if not self._place.asked:
            return ""
        row = self._reader.row(one.event, events=True)
        end = ":" if one.hit else "-"
        return "".join(f"{visible(part)}{end}" for part in self._place.of(row))

    def _text(self, one: Found) -> str:
        return line_of(self._reader, one.event) if one.text is None else one.text

    def _line(self, text: str, hit: bool) -> str:
        """The original line; a character that a terminal obeys is an escape, and on one the hits are marked."""
        parts: list[str] = []
        at = 0
        for begin, end in places(self._wanted, text) if self._marked and hit and self._colour else ():
            marked = click.style(visible_lines(text[begin:end]), fg="red", bold=True)
            parts += (visible_lines(text[at:begin]), marked)
            at = end
        parts.append(visible_lines(text[at:]))
        return "".join(parts)
