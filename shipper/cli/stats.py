"""The command ``stats``: counts connections or events by what they have in common, and over time."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from shipper.cli import question
from shipper.cli.column import View, duration, read_zone
from shipper.cli.output import safe_cell, write_json
from shipper.cli.talk import say, visible
from shipper.cli.width import cut, padded, width
from shipper.errors import UsageError
from shipper.index import Missing
from shipper.index.count import FIELDS, Asked, Durations, Group, count_groups
from shipper.timestamp import from_ns

TOP = 20
BAR_WIDTH = 40
BAR_WIDTH_MIN = 8
TEXT_WIDTH_MIN = 12
"""What is left of a field on a narrow terminal."""
FORMATS = ("table", "ndjson", "json", "csv")
EMPTY_MAX = 24
"""Intervals without anything that a histogram shows in a row; of more only the count is shown."""
_BARS = " ▏▎▍▌▋▊▉█"
_match_time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", re.ASCII).fullmatch


def complete_field(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What can be counted by, behind what stands before a comma."""
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in FIELDS if name.startswith(begun.lower())]


@click.command(cls=question.QuestionCommand)
@click.argument("words", metavar="[QUERY]...", nargs=-1, shell_complete=question.complete_query)
@click.option(
    "--by", metavar="FIELD[,FIELD]", shell_complete=complete_field, help="What to count by; none: everything together."
)
@click.option("--interval", metavar="LENGTH", help="A count for each 1h, 15m, 1d, …: a histogram.")
@click.option("--top", type=click.IntRange(0), default=TOP, show_default=True, help="Largest groups shown; 0: all.")
@click.option(
    "--unique",
    metavar="FIELD",
    shell_complete=complete_field,
    help="Also count how many values of this field each group has.",
)
@click.option("--durations", is_flag=True, help="Also show how long connections lasted: p50, p90, p99 and the longest.")
@click.option("--events", is_flag=True, help="Single events rather than connections.")
@click.option("--output", type=click.Choice(FORMATS), default="table", show_default=True)
@question.zone_option
@question.range_options
@question.place_options
def command(
    words: tuple[str, ...],
    by: str | None,
    interval: str | None,
    top: int,
    unique: str | None,
    durations: bool,
    events: bool,
    output: str,
    tz: str | None,
    since: str | None,
    until: str | None,
    index: Path | None,
    config: Path | None,
) -> int:
    """Count connections by one or two fields, and over time.

    connlog stats --by type; connlog stats status:ongoing --by workspace,user; connlog stats --interval 1h
    --since 2d. QUERY is as for search. Exits 1 when nothing is found.
    """
    now_ns = question.now()
    fields = tuple(name.strip() for name in (by or "").split(",") if name.strip())
    if len(fields) > 2:
        raise UsageError(f"--by takes one field or two, not {len(fields)}")
    view = read_zone(tz)
    asked = Asked(fields, _interval(interval), unique, durations, view.zone)
    filter_ = question.read_query(words, now_ns)
    since_ns, until_ns = question.read_range(since, until, now_ns)
    path = question.find_index(index, config)
    reader = question.open_index(path, None)
    try:
        with question.placing(words):
            groups, notes = count_groups(
                reader,
                path,
                filter_,
                asked,
                events=events,
                since_ns=since_ns,
                until_ns=until_ns,
                now_ns=now_ns,
            )
        missing = reader.missing(filter_, since_ns, until_ns)
    finally:
        reader.close()
    shown, left = _top(groups, top)
    _write(shown, asked, view, output, left, missing)
    for note in notes:
        say(note)
    question.say_missing(missing)
    if left:
        say(f"{left} smaller groups are not shown; --top 0 shows all")
    if not groups and output == "table":
        say("nothing found")
    return 0 if groups else 1


def _interval(text: str | None) -> int | None:
    if text is None:
        return None
    from shipper.config.quantity import parse_duration

    try:
        length = parse_duration(text) * 1_000_000
    except ValueError as error:
        raise UsageError(f'--interval: "{text}" {error}') from error
    if length <= 0:
        raise UsageError("--interval: it has to be longer than nothing; write 15m, 1h or 1d")
    return length


def _top(groups: Sequence[Group], top: int) -> tuple[list[Group], int]:
    """The largest groups, over all intervals together, in their order."""
    totals: dict[tuple[object, ...], int] = {}
    for group in groups:
        totals[group.values] = totals.get(group.values, 0) + group.count
    if not top or len(totals) <= top:
        return list(groups), 0
    kept = set(sorted(totals, key=lambda values: (-totals[values], str(values)))[:top])
    return [group for group in groups if group.values in kept], len(totals) - len(kept)


def _write(groups: Sequence[Group], asked: Asked, view: View, output: str, left: int, missing: Missing) -> None:
    titles = _titles(asked)
    if output == "table":
        if groups:
            _write_table(groups, asked, view, titles)
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(titles)
        writer.writerows([safe_cell(cell) for cell in _cells(group, asked)] for group in groups)
    else:
        rows = [dict(zip(titles, _cells(group, asked), strict=True)) for group in groups]
        if output == "ndjson":
            for row in rows:
                write_json(row)
        else:
            told = {"gaps": missing.gaps, "quarantined": missing.quarantined}
            write_json({"groups": rows, "count": len(rows), "cut": left > 0, **told})


def _titles(asked: Asked) -> list[str]:
    return [
        *(["start"] if asked.interval_ns else []),
        *asked.by,
        "count",
        *([f"unique_{asked.unique}"] if asked.unique else []),
        *(["ended", "p50_seconds", "p90_seconds", "p99_seconds", "max_seconds"] if asked.durations else []),
    ]


def _cells(group: Group, asked: Asked) -> list[object]:
    start = None if group.start_ns is None else from_ns(group.start_ns)
    lasted = group.durations or Durations(0, None, None, None, None)
    return [
        *([start] if asked.interval_ns else []),
        *group.values,
        group.count,
        *([group.unique] if asked.unique else []),
        *([lasted.ended, lasted.p50, lasted.p90, lasted.p99, lasted.max] if asked.durations else []),
    ]


def _write_table(groups: Sequence[Group], asked: Asked, view: View, titles: Sequence[str]) -> None:
    most = max(group.count for group in groups)
    left_out: dict[int, str] = {}
    head = [title.removesuffix("_seconds").upper() for title in titles]
    if asked.interval_ns:
        head[0] = f"START ({visible(view.name)})"
        if not asked.by:
            groups, left_out = _with_empty(groups, asked)
    lines = [head, *([_shown(cell, view) for cell in _cells(group, asked)] for group in groups)]
    numbers = range(len(asked.by) + bool(asked.interval_ns), len(titles))
    widths = [max(map(width, cells)) for cells in zip(*lines, strict=True)]
    drawn_max = BAR_WIDTH
    if sys.stdout.isatty():
        drawn_max = _fit(widths, [place for place in range(len(titles)) if place not in numbers])
    bars = ["", *(bar(group.count, most, drawn_max) for group in groups)]
    for number, (cells, drawn) in enumerate(zip(lines, bars, strict=True)):
        if number - 1 in left_out:
            click.echo(left_out[number - 1])
        line = "  ".join(
            padded(cut(cell, wide), wide, right=place in numbers)
            for place, (cell, wide) in enumerate(zip(cells, widths, strict=True))
        )
        click.echo(f"{line}  {drawn}".rstrip())


def _with_empty(groups: Sequence[Group], asked: Asked) -> tuple[list[Group], dict[int, str]]:
    """The groups with the intervals between them in which there is nothing; where these are many, what is said
    instead, by the place in the list that it comes before."""
    assert asked.interval_ns is not None
    found: list[Group] = []
    left_out: dict[int, str] = {}
    before: int | None = None
    for group in groups:
        start = group.start_ns
        if start is not None and before is not None:
            count = (start - before) // asked.interval_ns - 1
            if count > EMPTY_MAX:
                left_out[len(found)] = f"… {count:,} intervals without anything"
            else:
                while (before := asked.next_start(before)) < start:
                    found.append(Group((), before, 0, None if asked.unique is None else 0))
        before = start
        found.append(group)
    return found, left_out


def _fit(widths: list[int], texts: Sequence[int]) -> int:
    """Make the columns of texts as narrow as the terminal asks for; gives how long bars may be."""
    room = shutil.get_terminal_size().columns
    over = sum(widths) + 2 * len(widths) + BAR_WIDTH_MIN - room
    for place in sorted(texts, key=lambda place: -widths[place]):
        less = max(0, min(widths[place] - TEXT_WIDTH_MIN, over))
        widths[place] -= less
        over -= less
    return max(BAR_WIDTH_MIN, min(BAR_WIDTH, room - sum(widths) - 2 * len(widths)))


def bar(count: int, most: int, length: int = BAR_WIDTH) -> str:
    """A bar of at most ``length`` characters, to an eighth of one; what is not nothing is to be seen."""
    eighths = max(1, round(count * length * 8 / most)) if count else 0
    if not drawable():
        return "#" * -(-eighths // 8)
    return "█" * (eighths // 8) + (_BARS[eighths % 8] if eighths % 8 else "")


def drawable() -> bool:
    """Whether stdout takes the characters of a bar, which a locale may lack."""
    try:
        _BARS.encode(sys.stdout.encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _shown(cell: object, view: View) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return duration(cell)
    text = str(cell)
    return view.clock(text) if _match_time(text) else visible(text)
