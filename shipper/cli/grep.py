"""The command ``grep``: finds a pattern in the events of the local index, with the flags and exit codes of grep."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import click

from shipper.cli import question
from shipper.cli.column import read_names, read_zone
from shipper.cli.hit import Form, Place, Printer, path_of
from shipper.cli.talk import coloured, say, visible
from shipper.errors import UsageError
from shipper.index import IndexReader
from shipper.index.search import Found, Wanted, compile_wanted, count_lines, find_lines
from shipper.query.filter import Filter, Pattern

CONTEXT_MAX = 1000
CONTEXT = click.IntRange(0, CONTEXT_MAX)
FORMATS = ("raw", "table", "ndjson", "csv")
_find_basic = re.compile(r"(?<!\\)\\[|(){}+?<>]").search
_find_perl = re.compile(r"\(\?(?:[=!>#|]|<[=!])|\\[1-9kKGRXZh]|[+*?}]\+").search


class GrepCommand(question.QuestionCommand):
    """Short options may be written together, as in ``-iv`` or ``-A3``."""

    short_options: ClassVar[re.Pattern[str]] = re.compile(r"-[ivcFoqwxElPrRnbH]*(?:[ABCm]\d*|e)?")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``--color`` alone is a flag, as grep has it: what follows is the pattern."""
        ends = args.index("--") if "--" in args else len(args)
        flags = [f"{arg}=auto" if arg in {"--color", "--colour"} else arg for arg in args[:ends]]
        return super().parse_args(ctx, [*flags, *args[ends:]])


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
@click.option(
    "-P",
    "--perl-regexp",
    "perl",
    is_flag=True,
    help="As it is without: RE2 reads Perl's syntax, but for looking around and back references.",
)
@click.option(
    "-r", "-R", "--recursive", is_flag=True, expose_value=False, help="As it is without: the index has all files."
)
@click.option("-H", "--with-filename", "path", is_flag=True, help="Before each line, the file that it was read from.")
@click.option(
    "-b", "--byte-offset", "offset", is_flag=True, help="Before each line, the byte at which it begins there."
)
@click.option("-n", "--line-number", "numbered", is_flag=True, hidden=True)
@click.option(
    "--color",
    "--colour",
    "colour",
    type=click.Choice(("auto", "always", "never")),
    default="auto",
    help="Mark hits: on a terminal, always, never.",
)
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
    perl: bool,
    path: bool,
    offset: bool,
    numbered: bool,
    colour: str,
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
    if numbered:
        raise UsageError(
            "-n: an event has no line number, since the index keeps events and not the lines between them; -b shows the "
            "byte at which it begins in its file, -H the file"
        )
    now_ns = question.now()
    wanted = _compile(patterns, fold=fold, fixed=fixed, perl=perl, word=word, whole=whole)
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
                marks = colour == "always" or (colour == "auto" and coloured())
                place = Place(path, offset)
                form = Form(output, names, view)
                printer = Printer(reader, wanted, form, only=only, invert=invert, place=place, colour=marks)
                total = _print(printer, found, before_, after_)
        if not quiet:
            if not total and not fixed:
                _say_plain(patterns)
            question.say_missing(missing)
        return 0 if total else 1
    finally:
        reader.close()


def _say_plain(patterns: Sequence[str]) -> None:
    """Tell of what grep without -E reads as an operator, where nothing was found."""
    found = next((found[0] for one in patterns if (found := _find_basic(one))), None)
    if found is not None:
        meant = "\\b" if found[1] in "<>" else found[1]
        say(f'"{found}" is a plain "{found[1]}" here, as with grep -E; write {meant} for what grep means by it')


def _compile(patterns: Sequence[str], *, fold: bool, fixed: bool, perl: bool, word: bool, whole: bool) -> Wanted:
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
        told = f"the pattern can't be used: {error}; "
        if perl or _find_perl("".join(patterns)):
            told += "RE2, which takes the same time for each line, knows neither looking around nor back references; "
        raise UsageError(f"{told}-F takes it as plain text") from error


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
        path = path_of(reader.row(one.event, events=True))
        if path not in told:
            told.add(path)
            click.echo(visible(path))
    return len(told)


def _print(printer: Printer, found: Iterator[Found], before: int, after: int) -> int:
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
