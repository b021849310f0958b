"""``connlog quarantine``: shows what could not be read, reads it again, or drops it, whether or not the daemon runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from shipper.cli.parse import complaint
from shipper.cli.talk import printable, printable_lines, say
from shipper.config import Config, load_config
from shipper.errors import UsageError
from shipper.journal import Quarantine, Quarantined
from shipper.text import decode
from shipper.timestamp import from_ns

BAD_NEWS = 1
ROWS_TOGETHER = 1000
"""Rows that are measured before the first is written; a longer list is aligned piece by piece."""
_event_id = re.compile(rb'\bID"?\s{0,4}[:=]\s{0,4}"?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b')
_record_id = re.compile(rb'\{"schema":[0-9]+,"id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_controls = re.compile(rb"\x7f|\xc2[\x80-\x9f]")
_HEADS = ("ID", "SEEN (UTC)", "KIND", "CODE", "EVENT", "PLACE", "REASON")


class Listed(Struct, frozen=True):
    """An entry in ``ls``. ``kind`` is malformed or refused, then with the output's name and its code.

    ``event_id`` is the record's, or what a line names as such; ``bytes`` is how much of the ``length`` is kept.
    """

    id: int
    seen: str
    kind: str
    output: str | None
    code: int | None
    event_id: str | None
    host: str | None
    input: str | None
    path: str | None
    line: int
    column: int
    offset: int | None
    length: int
    bytes: int
    textless: bool
    time: str | None
    reason: str


_config_option = click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
_all_option = click.option("--all", "every", is_flag=True, help="All entries.")
_ids_argument = click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]...")


@click.group("quarantine")
def command() -> None:
    """Show and mend what could not be read.

    Entries of coderd's log that are connection events and can't be read are kept here whole, with place and
    reason, and so are events that an output refused. All of this works while the daemon runs and when it is
    stopped, as the user that it runs as.
    """


@command.command("ls")
@_config_option
@click.option(
    "--output",
    "form",
    type=click.Choice(["table", "ndjson", "json"]),
    default="table",
    show_default=True,
    help="The form of the list.",
)
def ls(path: Path | None, form: str) -> int:
    """List the entries, oldest first: number, place and reason."""

    def listing(quarantine: Quarantine, _: Config) -> int:
        rows = map(_listed, quarantine)
        if form == "table":
            _write_table(rows)
        elif form == "ndjson":
            for row in rows:
                click.echo(_json(row))
        else:
            # Row by row: the list may be long.
            click.echo(b'{"quarantine":[', nl=False)
            for number, row in enumerate(rows):
                click.echo((b",\n" if number else b"\n") + _json(row), nl=False)
            click.echo(b"\n]," + _json(quarantine.size())[1:])
        return 0

    return _with_quarantine(path, listing)


@command.command("show")
@_config_option
@click.option("--raw", is_flag=True, help="The entry's bytes as they are, and nothing else.")
@click.argument("id_", type=click.IntRange(min=1), metavar="ID")
def show(path: Path | None, raw: bool, id_: int) -> int:
    """Show one entry whole, with the place at fault marked."""

    def showing(quarantine: Quarantine, _: Config) -> int:
        kept = quarantine.get(id_)
        if kept is None:
            return _unknown([id_])
        if raw:
            sys.stdout.buffer.write(kept.entry.raw)
            sys.stdout.buffer.flush()
            return 0
        row = _listed(kept)
        for name in Listed.__struct_fields__:
            value = getattr(row, name)
            # Of what is no line of a file nobody knows where on it something stands.
            known = value is not None and (value != 0 or name not in ("line", "column"))
            if known and name != "reason":
                click.echo(f"{name:<9} {printable(str(value))}")
        if kept.textless:
            click.echo(f"\n{printable(row.reason)}\n\nthe text was left out: the quarantine was full")
            return 0
        if kept.output is None:
            click.echo(f"\n{complaint(kept.entry, row.path or kept.source)}\n")
        else:
            click.echo(f"\n{printable(row.reason)}\n")
        if sys.stdout.isatty():
            click.echo(printable_lines(decode(kept.entry.raw)))
        else:
            click.echo(kept.entry.raw)
        return 0

    return _with_quarantine(path, showing)


@command.command("replay")
@_config_option
@_all_option
@_ids_argument
def replay(path: Path | None, every: bool, ids: tuple[int, ...]) -> int:
    """Read entries again, as after an upgrade.

    What can be read now becomes an event, once, and leaves the quarantine; the rest stays, with today's reason.
    Events that an output refused go back into the queue of that output. Exits 1 when some stay.
    """
    _check_choice(every, ids)
    from shipper.service.replay import Replay

    def replaying(quarantine: Quarantine, config: Config) -> int:
        entries: Iterable[Quarantined] = quarantine
        code = 0
        if not every:
            found = {number: quarantine.get(number) for number in dict.fromkeys(ids)}
            entries = [kept for kept in found.values() if kept is not None]
            missing = [number for number, kept in found.items() if kept is None]
            code = _unknown(missing) if missing else 0
        one = Replay(quarantine, config.inputs)
        try:
            one.run(entries)
        finally:
            done = one.done
            queued = f", {done.queued} queued for the output that refused them" if done.queued else ""
            click.echo(f"{done.stored} replayed, {done.duplicates} known already, {done.kept} still malformed{queued}")
        return BAD_NEWS if done.kept else code

    return _with_quarantine(path, replaying)


@command.command("drop")
@_config_option
@_all_option
@click.option("--yes", is_flag=True, help="Drop all without asking.")
@_ids_argument
def drop(path: Path | None, every: bool, yes: bool, ids: tuple[int, ...]) -> int:
    """Remove entries for good."""
    _check_choice(every, ids)
    if every and not yes:
        raise UsageError("drop --all removes every entry for good; add --yes if that is meant")

    def dropping(quarantine: Quarantine, _: Config) -> int:
        code = 0
        if not every:
            missing = [number for number in dict.fromkeys(ids) if quarantine.get(number) is None]
            code = _unknown(missing) if missing else 0
        click.echo(f"{quarantine.drop(None if every else ids)} dropped")
        return code

    return _with_quarantine(path, dropping)


def _with_quarantine(path: Path | None, work: Callable[[Quarantine, Config], int]) -> int:
    config = load_config(path)
    quarantine = Quarantine(
        config.state.dir / "journal.db",
        journal_max_bytes=config.state.journal_max_bytes,
        quarantine_max_bytes=config.state.quarantine_max_bytes,
    )
    try:
        return work(quarantine, config)
    finally:
        quarantine.close()


def _check_choice(every: bool, ids: tuple[int, ...]) -> None:
    if every == bool(ids):
        raise UsageError("name either entries by their ID, as 'connlog quarantine ls' shows it, or --all")


def _unknown(numbers: list[int]) -> int:
    shown = ", ".join(map(str, numbers[:10])) + (" and more" if len(numbers) > 10 else "")
    say(f"not in the quarantine: {shown}; 'connlog quarantine ls' shows what is")
    return BAD_NEWS


def _listed(kept: Quarantined) -> Listed:
    entry = kept.entry
    # What an output refused is a record, what could not be read is a line of the log.
    found = _event_id.search(entry.raw) if kept.output is None else _record_id.match(entry.raw)
    return Listed(
        id=kept.number,
        seen=from_ns(kept.stored_ns),
        kind="malformed" if kept.output is None else "refused",
        output=kept.output,
        code=kept.code,
        event_id=None if found is None else found[1].decode().lower(),
        host=entry.source.host,
        input=entry.source.input,
        path=entry.source.path,
        line=entry.line,
        column=entry.column,
        offset=entry.source.offset,
        length=entry.length,
        bytes=len(entry.raw),
        textless=kept.textless,
        time=entry.time,
        reason=entry.reason,
    )


def _json(value: object) -> bytes:
    return _controls.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), msgspec.json.encode(value))


def _write_table(rows: Iterable[Listed]) -> None:
    heads: tuple[str, ...] | None = _HEADS
    walk = iter(rows)
    while piece := [_cells(row) for row in islice(walk, ROWS_TOGETHER)]:
        if heads is not None:
            piece.insert(0, heads)
            heads = None
        for line in _aligned(piece):
            click.echo(line)
    if heads is not None:
        say("the quarantine is empty")


def _cells(row: Listed) -> tuple[str, ...]:
    line = f":{row.line}" if row.line else ""
    place = f"{row.path or '<stdin>'}{line}" + (f" @{row.offset}" if row.offset is not None else "")
    return (
        str(row.id),
        f"{row.seen[:10]} {row.seen[11:19]}",
        row.output or row.kind,
        "" if row.code is None else str(row.code),
        row.event_id or "",
        printable(place),
        printable(row.reason + (" (text left out)" if row.textless else "")),
    )


def _aligned(piece: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, cells)) for cells in zip(*piece, strict=True)]
    for cells in piece:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
