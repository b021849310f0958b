"""The question on a command line: its words, its options, where the index is, and what to say beside the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import click

from shipper.cli.talk import say
from shipper.errors import ConfigError, ConnlogError, QueryError, UsageError
from shipper.index import Answer, IndexReader
from shipper.query import Filter, parse_moment, parse_query

# A minus and more letters is an option with its value only for the likes of -n20; all else excludes.
_match_excluding = re.compile(r'-(?!-)(?:[^\W\d_][^\s]|["/]|\w+:).*', re.DOTALL).fullmatch
_short_options = re.compile(r"-[fh]*n?\d+|-[fh]+n?")


class QuestionCommand(click.Command):
    """A command whose arguments are a query: ``-key:value`` and ``-word`` are parts of it, never short options.

    What ``short_options`` matches is taken for options nevertheless.
    """

    short_options: ClassVar[re.Pattern[str]] = _short_options

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        options: list[str] = []
        words: list[str] = []
        for arg in args[:end]:
            excluding = _match_excluding(arg) and not self.short_options.fullmatch(arg)
            (words if excluding else options).append(arg)
        return super().parse_args(ctx, [*options, "--", *words, *args[end + 1 :]])


def read_query(words: Sequence[str], now_ns: int) -> Filter:
    """The filter that the words ask for; a QueryError shows the place under the query."""
    query = " ".join(words)
    try:
        return parse_query(query, now_ns)
    except QueryError as error:
        if error.column is None or not query.isprintable():
            raise
        mark = " " * (error.column - 1) + "^"
        raise QueryError(error.field, f"{error}\n  {query}\n  {mark}", error.column) from error


def read_bound(option: str, text: str | None, now_ns: int) -> int | None:
    """The time that ``--since`` or ``--until`` names, in ns; raises UsageError with what can be written."""
    if text is None:
        return None
    try:
        return parse_moment(text, now_ns)
    except ValueError as error:
        raise UsageError(f"{option}: {error}; write 2h, 3d, yesterday, 2025-07-03 or 2025-07-03T06:57:16Z") from error


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
    if answer.gaps:
        say(f"{_count(answer.gaps, 'gap')} of the log in this range: the answer may not be complete")
    if answer.quarantined:
        say(
            f"{_count(answer.quarantined, 'malformed line')} in this range could not be read: 'connlog quarantine ls' shows them"
        )
    if answer.cut:
        say(f"only the first {len(answer.rows)} are shown; --limit 0 shows all")


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


def complete_query(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """What a shell may put in place of the word of a query that is being typed."""
    from shipper.cli.suggestion import suggest

    try:
        index = find_index(context.params.get("index"), context.params.get("config"))
    except ConnlogError:
        index = None
    return suggest(incomplete, index)
