"""The output: an answer as NDJSON, JSON, CSV or the original lines, for programs and for other people's programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click
import msgspec
from msgspec import UNSET

from shipper.cli.column import Column, Row, View, chosen, usual
from shipper.cli.table import visible, visible_lines, write_table
from shipper.index import Answer, Connection, IndexReader
from shipper.record import Log, Record, Source

FORMATS = ("table", "ndjson", "json", "csv", "raw")

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_encode = msgspec.json.Encoder().encode
# JSON escapes what is below a blank; DEL and the C1 controls it leaves as they are, and terminals obey them.
_controls = re.compile(rb"\x7f|\xc2[\x80-\x9f]")


def write_answer(
    answer: Answer,
    reader: IndexReader,
    form: str,
    events: bool,
    names: tuple[str, ...] | None,
    view: View,
    *,
    paged: bool,
) -> None:
    """Write ``answer`` to stdout in ``form``, one of ``FORMATS``; ``names``: only these columns, of a table or CSV."""
    if form == "table":
        ages = sys.stdout.isatty()
        columns = usual(events, view, ages=ages) if names is None else chosen(names, events, view)
        if answer.rows:
            write_table(answer.rows, columns, paged=paged, asked=names is not None)
    elif form == "ndjson":
        for row in answer.rows:
            write_json(row)
    elif form == "json":
        _write_document(answer, events)
    elif form == "csv":
        Csv(events=events, names=names).write(answer.rows)
    else:
        for row in answer.rows:
            write_originals(row, reader)


def write_json(value: object) -> None:
    """One value as a line of JSON."""
    click.echo(_json(value))


def write_originals(row: Row, reader: IndexReader) -> None:
    """The entries of a row as they were read; on a terminal with control characters as escapes."""
    for id_ in row.event_ids if isinstance(row, Connection) else [row.id]:
        original = reader.original(id_)
        if original is not None:
            line = original.removesuffix(b"\n").removesuffix(b"\r")
            click.echo(visible_lines(line.decode(errors="backslashreplace")) if sys.stdout.isatty() else line)


def _json(value: object) -> bytes:
    return _controls.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), _encode(value))


def _write_document(answer: Answer, events: bool) -> None:
    # Row by row: an answer without a limit may be larger than memory.
    click.echo(b'{"%s":[' % (b"events" if events else b"connections"), nl=False)
    for number, row in enumerate(answer.rows):
        click.echo((b",\n" if number else b"\n") + _json(row), nl=False)
    tail = {
        "count": len(answer.rows),
        "cut": answer.cut,
        "gaps": answer.gaps,
        "quarantined": answer.quarantined,
        "notes": answer.notes,
    }
    click.echo(b"\n]," + _json(tail)[1:])


class Csv:
    """Writes rows as CSV to stdout, with a head before the first; ``names``: only these columns."""

    def __init__(self, *, events: bool, names: tuple[str, ...] | None) -> None:
        import csv

        self._struct = Record if events else Connection
        self._columns: dict[str, Column] | None = None
        if names is not None:
            self._columns = dict(zip(names, chosen(names, events, View()), strict=True))
        self._headed = False
        self._writer = csv.writer(sys.stdout, lineterminator="\n")

    def write(self, rows: Iterable[Row], _reader: object = None) -> None:
        """Write ``rows``; a cell is a field as it is, in full, or what is made for people as they see it."""
        if not self._headed:
            self._writer.writerow(self._columns or [name for name, _ in _flat(self._struct, None)])
            self._headed = True
        for row in rows:
            fields = dict(_flat(self._struct, row))
            if self._columns is None:
                cells = list(fields.values())
            else:
                cells = [fields[name] if name in fields else column.read(row) for name, column in self._columns.items()]
            self._writer.writerow(map(safe_cell, cells))


def _flat(struct: type[Row], row: Row | None) -> Iterator[tuple[str, Any]]:
    """Names and values of the fields of ``row``, those of its log and source as ``log.time`` and so on."""
    for name in struct.__struct_fields__:
        inner = {"log": Log, "source": Source}.get(name)
        value = None if row is None else getattr(row, name)
        if inner is None:
            yield name, value
        else:
            for part in inner.__struct_fields__:
                yield f"{name}.{part}", None if value is None else getattr(value, part)


def safe_cell(value: object) -> str:
    """One cell: nothing in it is a control character, and no spreadsheet takes a text for a formula."""
    if value is None or value is UNSET or value == {}:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = visible(value if isinstance(value, str) else _json(value).decode())
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
