"""The command ``grep``: finds a pattern in the events of the local index, with the flags and exit codes of grep."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import click

from shipper.cli import question
from shipper.cli.column import Row, View, chosen, read_names, read_zone, usual
from shipper.cli.line import Lines
from shipper.cli.output import Csv, write_json
from shipper.cli.talk import coloured, say, visible, visible_lines
from shipper.errors import UsageError
from shipper.index import IndexReader
from shipper.index.search import Found, Wanted, compile_wanted, count_lines, find_lines, line_of, places
from shipper.query.filter import Filter, Pattern
from shipper.record import Record

CONTEXT_MAX = 1000
CONTEXT = click.IntRange(0, CONTEXT_MAX)
FORMATS = ("raw", "table", "ndjson", "csv")


class GrepCommand(question.QuestionCommand):
    """Short options may be written together, as in ``-iv`` or ``-A3``."""

    short_options: ClassVar[re.Pattern[str]] = re.compile(r"-[ivcFoqwxEl]*(?:[ABCm]\d*|e)?")


@click.command(cls=GrepCommand)
@click.argument("pattern", required=False)
@click.argument("words", metavar="[QUERY]...", nargs=-1, shell_complete=question.complete_query)
@click.option("-e", "--regexp", "given", metavar="PATTERN", multiple=True, help="A pattern; of several any may match.")
@click.option("-i", "--ignore-case", "fold", is_flag=True, help="Letters of either case are the same.")
@click.option("-v", "--invert-match", "invert", is_flag=True, help="Events in which the pattern is not found.")
@click.option("-w", "--word-regexp", "word", is_flag=True, help="The pattern as a whole word, as with \\b around it.")
@click.option("-x", "--line-regexp", "whole", is_flag=True, help="The pattern as the whole line, or a whole field.")
@click.option("-c", "--count", "count", is_flag=True, help="Only how many events there are.")
@click.option(
    "-l", "--files-with-matches", "files", is_flag=True, help="Only the files that the events were read from."
)
@click.option("-q", "--quiet", "quiet", is_flag=True, help="Nothing but the exit code, as soon as it is known.")
@click.option("-F", "--fixed-strings", "fixed", is_flag=True, help="The pattern is plain text.")
@click.option("-E", "--extended-regexp", is_flag=True, expose_value=False, help="As it is without: RE2.")
@click.option("-o", "--only-matching", "only", is_flag=True, help="Only the parts that match, a line each.")
@click.option("-A", "--after-context", "after", type=CONTEXT, default=0, help="So many events after each.")
@click.option("-B", "--before-context", "before", type=CONTEXT, default=0, help="So many events before each.")
@click.option("-C", "--context", "around", type=CONTEXT, default=0, help="So many before and after.")
@click.option(
    "-m",
    "--limit",
    "--max-count",
    "limit",
    type=question.Count(),
    default=0,
    help="Stop after so many events; 0: no limit.",
)
@click.option("--output", type=click.Choice(FORMATS), default="raw", show_default=True, help="raw: the original lines.")
@question.columns_option
@question.zone_option
@question.range_options
@click.option(
    "--index", type=click.Path(path_type=Path), help="The index to ask; default: index.db in the state folder."
)
@click.option("--config", type=click.Path(path_type=Path), help="The configuration file.")
def command(
    pattern: str | None,
    words: tuple[str, ...],
    given: tuple[str, ...],
    fold: bool,
    invert: bool,
    word: bool,
    whole: bool,
    count: bool,
    files: bool,
    quiet: bool,
    fixed: bool,
    only: bool,
    after: int,
    before: int,
    around: int,
    limit: int,
    output: str,
    columns: str | None,
    tz: str | None,
    since: str | None,
    until: str | None,
    index: Path | None,
    config: Path | None,
) -> int:
    """Find a pattern in the events, as grep does.

    PATTERN is a regular expression (RE2) looked for in the original line of each event and in its fields;
    QUERY narrows as for search. Events come in the order in which they were stored.
    Exits 1 when nothing is found.
    """
    if given and pattern is not None:
        words = (pattern, *words)
    patterns = given or (() if pattern is None else (pattern,))
    if not patterns:
        raise UsageError("a PATTERN is missing; write connlog grep PATTERN [QUERY]")
    now_ns = question.now()
    wanted = _compile(patterns, fold=fold, fixed=fixed, word=word, whole=whole)
    names, view = read_names(columns, output), read_zone(tz)
    filter_ = question.read_query(words, now_ns)
    since_ns, until_ns = question.read_range(since, until, now_ns)
    reader = question.open_index(index, config)
    try:
        with question.placing(words):
            numbers, notes = reader.walk(filter_, since_ns=since_ns, until_ns=until_ns, now_ns=now_ns)
        missing = reader.missing(filter_, since_ns, until_ns)
        held = Filter((*filter_.terms, Pattern(wanted.regex)))

        def in_fields_() -> Iterator[int]:
            found, _ = reader.walk(held, since_ns=since_ns, until_ns=until_ns, now_ns=now_ns, again=True)
            yield from found

        in_fields = in_fields_()
        for note in notes:
            say(note)
        before_, after_ = max(before, around), max(after, around)
        if count and not quiet and not files:
            total = count_lines(reader, numbers, in_fields, wanted, invert=invert, limit=limit)
            click.echo(total)
        else:
            shown = not (quiet or files)
            around_ = shown and bool(before_ or after_)
            everything = find_lines(reader, numbers, in_fields, wanted, invert=invert, all_=around_)
            found = _limited(everything, 1 if quiet else limit)
            if quiet:
                total = sum(one.hit for one in found)
            elif files:
                total = _print_files(reader, found)
            else:
                form = _Form(output, names, view)
                total = _print(_Printer(reader, wanted, form, only, invert), found, before_, after_)
        if not quiet:
            question.say_missing(missing)
        return 0 if total else 1
    finally:
        reader.close()


def _compile(patterns: Sequence[str], *, fold: bool, fixed: bool, word: bool, whole: bool) -> Wanted:
    pattern = patterns[0]
    try:
        if len(patterns) > 1 or word or whole:
            if fixed:
                import re2

                patterns, fixed = [re2.escape(one) for one in patterns], False
            for one in patterns:
                compile_wanted(one, fold=fold, fixed=False)  # its own mistake is told, not that of all together
            pattern = "|".join(f"(?:{one})" for one in patterns)
            pattern = rf"^(?:{pattern})$" if whole else rf"\b(?:{pattern})\b" if word else pattern
        return compile_wanted(pattern, fold=fold, fixed=fixed)
    except ValueError as error:
        raise UsageError(f"the pattern can't be used: {error}; -F takes it as plain text") from error


def _limited(found: Iterator[Found], limit: int) -> Iterator[Found]:
    hits = 0
    for one in found:
        yield one
        hits += one.hit
        if limit and hits >= limit:
            return


def _print_files(reader: IndexReader, found: Iterator[Found]) -> int:
    """Print where the hits were read from, each place once; gives how many there are."""
    told: set[str] = set()
    for one in found:
        row = reader.row(one.event, events=True)
        path = (row.source.path or row.source.input or "-") if isinstance(row, Record) else "-"
        if path not in told:
            told.add(path)
            click.echo(visible(path))
    return len(told)


def _print(printer: _Printer, found: Iterator[Found], before: int, after: int) -> int:
    """Print the hits with what is around them; gives the number of hits."""
    total = 0
    held: deque[Found] = deque(maxlen=before)
    last = owed = 0
    for place, one in enumerate(found, 1):
        if one.hit:
            total += 1
            if last and (before or after) and place - len(held) > last + 1:
                printer.part()
            for earlier in held:
                printer.write(earlier)
            held.clear()
            printer.write(one)
            last, owed = place, after
        elif owed:
            owed -= 1
            last = place
            printer.write(one)
        else:
            held.append(one)
    return total


class _Form:
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


class _Printer:
    """Prints events in the form that was asked for."""

    def __init__(self, reader: IndexReader, wanted: Wanted, form: _Form, only: bool, invert: bool) -> None:
        self._reader, self._wanted, self._form = reader, wanted, form
        self._only, self._marked, self._colour = only, not invert, coloured()

    def part(self) -> None:
        """What stands between hits that are not neighbours."""
        if self._form.name == "raw" and not self._only:
            click.echo("--")

    def write(self, one: Found) -> None:
        if self._only:
            text = self._text(one)
            for begin, end in places(self._wanted, text) if one.hit and self._marked else ():
                if begin < end:
                    click.echo(visible(text[begin:end]))
        elif self._form.name == "raw":
            click.echo(self._line(self._text(one), one.hit))
        else:
            self._form.write(self._reader.row(one.event, events=True))

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
