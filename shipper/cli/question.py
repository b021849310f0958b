"""The question on a command line: its words, its options, where the index is, and what to say beside the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from shipper.cli.talk import say
from shipper.errors import ConfigError, ConnlogError, QueryError, UsageError
from shipper.index import Answer, IndexReader, Missing
from shipper.query import Filter, parse_moment, parse_query
from shipper.query.filter import STATES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# A minus and more letters is an option with its value only for the likes of -n20; all else excludes.
_match_excluding = re.compile(r'-(?!-)(?:[^\W\d_][^\s]|["/]|\w+:).*', re.DOTALL).fullmatch
_match_number = re.compile(r"\d+", re.ASCII).fullmatch
_match_shown = re.compile(r"(\d{4}-\d\d-\d\d)[ Tt](\d\d?:\d\d)(:\d\d(?:\.\d+)?)?", re.ASCII).fullmatch
_find_operator = re.compile(r"(?<!\S)(and|or|not|&&|\|\|)(?!\S)(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", re.IGNORECASE).search
_find_moment = re.compile(r"(?:connected|started)_(?:after|before):[^\"\s]*:", re.IGNORECASE).search
_OPERATORS_HINT = "all terms have to be met; key:a,b is either of two, and -key:value excludes"
_MOMENT_HINT = (
    """a time needs quotes, and a shell takes them off: write 'connected_after:"2025-07-03T06:57:16Z"', or --since"""
)
_VALUES = {"status": ("ongoing", "completed"), "state": tuple(STATES)}
COUNT_MAX = 2**62
_DIGITS_MAX = 100
_short_options = re.compile(r"-[fh]*n?\d+|-[fh]+n?")


class QuestionCommand(click.Command):
    """A command whose arguments are a query: ``-key:value`` and ``-word`` are parts of it, never short options.

    What ``short_options`` matches is taken for options nevertheless, and so is the value of an option, as in
    ``--sort -time``.
    """

    short_options: ClassVar[re.Pattern[str]] = _short_options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options: list[str] = []
        words: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                break
            if _match_excluding(arg) and not self.short_options.fullmatch(arg):
                self._refuse_attached(arg)
                words.append(arg)
                continue
            options.append(arg)
            if self._wants_value(arg):
                options += islice(rest, 1)
        return super().parse_args(ctx, [*options, "--", *words, *rest])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Behind one minus both options and what is excluded may follow."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-") and not incomplete.startswith("--"):
            for one in self.params:
                if isinstance(one, click.Argument) and one.nargs == -1:
                    found += one.shell_complete(ctx, incomplete)
        return found

    def _wants_value(self, arg: str) -> bool:
        """Whether the argument ends with an option whose value is the next argument."""
        if not arg.startswith("-"):
            return False
        if arg.startswith("--"):
            return bool(self._takes_value(arg))
        for place, letter in enumerate(arg[1:], 2):
            takes = self._takes_value(f"-{letter}")
            if takes is None:
                return False
            if takes:
                return place == len(arg)
        return False

    def _takes_value(self, name: str) -> bool | None:
        """Whether the option of this name takes a value; None where there is none."""
        for one in self.params:
            if isinstance(one, click.Option) and name in one.opts:
                return not one.is_flag and not one.count
        return None

    def _refuse_attached(self, arg: str) -> None:
        """Raise UsageError for ``-cPATH`` where the path is a file: it is meant, and would exclude a word."""
        if self._takes_value(arg[:2]) and Path(arg[2:]).is_file():
            raise UsageError(f"{arg}: write {arg[:2]} {arg[2:]}, or -- {arg} to exclude this word")


class Count(click.IntRange):
    """How many rows are wanted: a whole number, 0 or more. What is larger than any index is as good as all."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(0)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """``value`` as a number; refuses what is none with a message that shows it."""
        text = str(value)
        if not _match_number(text):
            self.fail(f"{text!r} is not a whole number from 0 on", param, ctx)
        return min(int(text[:_DIGITS_MAX]), COUNT_MAX)


def read_query(words: Sequence[str], now_ns: int) -> Filter:
    """The filter that the words ask for; a QueryError shows the place under the query, and tells of a word that is
    meant as an operator."""
    query = " ".join(words)
    operator = _find_operator(query)
    try:
        found = parse_query(query, now_ns)
    except QueryError as error:
        hints = [_OPERATORS_HINT] if operator and "more than once" in str(error) else []
        if "can only contain 1 ':'" in str(error) and _find_moment(query):
            hints.append(_MOMENT_HINT)
        if error.field in _VALUES and "did you mean" not in str(error):
            hints.append(f"{error.field}: is one of {', '.join(_VALUES[error.field])}")
        raise _placed(error, query, error.column, hints) from error
    if operator:
        say(f'"{operator[1]}" is looked for as a word; {_OPERATORS_HINT}')
    return found


@contextmanager
def placing(words: Sequence[str]) -> Iterator[None]:
    """Shows the place under the query also for a value that only the index could tell to be wrong."""
    try:
        yield
    except QueryError as error:
        query = " ".join(words)
        place = re.search(rf"(?<![^\s-]){re.escape(error.field)}:", query, re.IGNORECASE)
        if error.column is not None or place is None:
            raise
        raise _placed(error, query, place.start() + 1, []) from error


def _placed(error: QueryError, query: str, column: int | None, hints: Sequence[str]) -> QueryError:
    lines = [str(error), *hints]
    if column is not None and query.isprintable():
        lines[1:1] = [f"  {query}", f"  {' ' * (column - 1)}^"]
    return QueryError(error.field, "\n".join(lines), column)


def read_bound(option: str, text: str | None, now_ns: int) -> int | None:
    """The time that ``--since`` or ``--until`` names, in ns; raises UsageError with what can be written.

    A time without a zone, as tables show it, is UTC.
    """
    if text is None:
        return None
    shown = _match_shown(text.strip())
    try:
        return parse_moment(f"{shown[1]}T{shown[2]}{shown[3] or ':00'}Z" if shown else text.strip(), now_ns)
    except ValueError as error:
        raise UsageError(
            f'{option}: "{text}" is no time; write 2h, 3d, yesterday, 2025-07-03, "2025-07-03 06:57" (UTC) or '
            "2025-07-03T06:57:16Z"
        ) from error


def read_range(since: str | None, until: str | None, now_ns: int) -> tuple[int | None, int | None]:
    """Both ends of a range in ns; raises UsageError also where it ends before it begins."""
    low, high = read_bound("--since", since, now_ns), read_bound("--until", until, now_ns)
    if low is not None and high is not None and low > high:
        raise UsageError(f"--since {since} is after --until {until}, so nothing lies between; exchange them")
    return low, high


def find_index(index: Path | None, config: Path | None) -> Path:
    """The path of the index: as given, else in the state folder of the configuration."""
    if index is not None:
        return index
    from shipper.config import load_config

    try:
        return load_config(config).state.dir / "index.db"
    except ConfigError as error:
        raise ConfigError(
            [*error.problems, "(a search needs only the index: --index PATH asks one without a configuration)"]
        ) from error


def open_index(index: Path | None, config: Path | None) -> IndexReader:
    """The index that was asked for, opened for reading."""
    return IndexReader(find_index(index, config))


def say_beside(answer: Answer) -> None:
    """Everything that must be known to read the answer rightly: names unknown, gaps, unread lines, and a cut."""
    for note in answer.notes:
        say(note)
    say_missing(Missing(answer.gaps, answer.quarantined))
    if answer.cut:
        say_cut(len(answer.rows))


def say_missing(missing: Missing) -> None:
    """What is known to be missing from the range that was asked for, and where to look."""
    if missing.gaps:
        say(
            f"{_count(missing.gaps, 'gap')} of the log in this range: the answer may not be complete; "
            "'connlog search --gaps' lists them"
        )
    if missing.quarantined:
        say(
            f"{_count(missing.quarantined, 'malformed line')} in this range could not be read: "
            "'connlog quarantine ls' shows them"
        )


def say_cut(shown: int) -> None:
    """That the limit left some out."""
    say(f"only the first {shown} {'is' if shown == 1 else 'are'} shown; --limit 0 shows all")


def now() -> int:
    """The time now, ns since 1970."""
    return time.time_ns()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def place_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which index is asked."""
    command = click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file.")(command)
    return click.option(
        "--index", type=click.Path(path_type=Path), help="The index to ask; default: index.db in the state folder."
    )(command)


def range_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which time is asked for."""
    command = click.option("--until", metavar="TIME", help="Up to this time, in the same forms.")(command)
    return click.option(
        "--since", metavar="TIME", help="From this time on: 2h, 3d, yesterday, 2025-07-03 or RFC 3339."
    )(command)


def zone_option(command: Callable[..., int]) -> Callable[..., int]:
    """The option that says in which zone times are shown."""
    return click.option(
        "--tz",
        metavar="ZONE",
        shell_complete=_complete_zone,
        help="Zone of the times shown: Europe/Berlin, local; default UTC.",
    )(command)


def _complete_zone(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from zoneinfo import available_timezones

    names = ["local", *sorted(available_timezones())]
    return [name for name in names if name.lower().startswith(incomplete.lower())]


def columns_option(command: Callable[..., int]) -> Callable[..., int]:
    """The option that says which columns a table or CSV shows."""
    return click.option(
        "--columns",
        metavar="NAME,…",
        shell_complete=_complete_columns,
        help="What a table or CSV shows: time,workspace,user,ip,user_agent,…",
    )(command)


def _complete_columns(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from shipper.cli.column import View, known_columns

    events = bool(context.params.get("events", context.info_name != "search"))
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in known_columns(events, View()) if name.startswith(begun.lower())]


def complete_query(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a shell may put in place of the word of a query that is being typed."""
    from shipper.cli.suggestion import suggest

    try:
        index = find_index(context.params.get("index"), context.params.get("config"))
    except ConnlogError:
        index = None
    return suggest(incomplete, index)
