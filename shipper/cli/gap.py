"""The gap: what of the log is known to be lost, as a list in every form that events have but their lines."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence

import click

from shipper.cli import question
from shipper.cli.column import View
from shipper.cli.output import safe_cell, write_json
from shipper.cli.table import lines_of, visible, widths_of
from shipper.cli.talk import say
from shipper.errors import UsageError
from shipper.index import IndexReader
from shipper.query import Filter
from shipper.query.filter import Moment
from shipper.record import Gap

FIELDS = ("gap", "from", "to", "bytes", "exact", "detected", "reason", "path", "host")


def list_gaps(
    reader: IndexReader,
    filter_: Filter,
    *,
    since_ns: int | None,
    until_ns: int | None,
    limit: int,
    output: str,
    view: View,
) -> int:
    """Write the gaps that reach into the range, the latest first; gives the exit code. Raises UsageError."""
    if any(not isinstance(term, Moment) or term.negated for term in filter_.terms):
        raise UsageError("a gap has no fields of events: narrow --gaps by --since and --until")
    if output == "raw":
        raise UsageError("what is lost has no original lines: leave --output raw out")
    gaps, cut = reader.gaps(filter_, since_ns=since_ns, until_ns=until_ns, limit=limit)
    if output == "ndjson":
        for gap in gaps:
            write_json(gap)
    elif output == "json":
        write_json({"gaps": gaps, "count": len(gaps), "cut": cut})
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(FIELDS)
        for gap in gaps:
            values = (
                gap.gap,
                gap.from_,
                gap.to,
                gap.bytes,
                gap.exact,
                gap.detected,
                gap.reason,
                gap.place,
                gap.source.host,
            )
            writer.writerow(map(safe_cell, values))
    elif gaps:
        rows = _table(gaps, view)
        for line in lines_of(rows, widths_of(rows)):
            click.echo(line)
    if cut:
        question.say_cut(len(gaps))
    if not gaps and output == "table":
        say("no gap of the log is known in this range")
    return 0 if gaps else 1


def _table(gaps: Sequence[Gap], view: View) -> list[list[str]]:
    name = visible(view.name)
    rows = [[f"FROM ({name})", f"TO ({name})", "KIND", "WHERE", "BYTES", "REASON"]]
    for gap in gaps:
        lost = "" if gap.bytes is None else str(gap.bytes) if gap.exact else f"≥ {gap.bytes}"
        to = view.clock(gap.to or gap.detected)
        rows.append([view.clock(gap.from_), to, *map(visible, (gap.gap, gap.place, lost, gap.reason))])
    return rows
