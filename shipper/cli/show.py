"""The command ``show``: one connection told in full: its events, what lies around it, and the original lines."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
from msgspec import UNSET, Struct

from shipper import timestamp
from shipper.attribution import Attribution
from shipper.cli import question
from shipper.cli.column import View, lasted, read_zone, usual
from shipper.cli.output import write_json, write_originals
from shipper.cli.table import fitted_lines, plain_lines, visible, visible_lines
from shipper.cli.talk import say
from shipper.errors import UsageError
from shipper.index import Connection, IndexReader
from shipper.index.evidence import Witness
from shipper.index.lookup import find_connections
from shipper.query import Filter
from shipper.query.filter import Ids, Names, Term, Text
from shipper.record import Record
from shipper.text import decode

CONNECTIONS_MAX = 20
"""Connections that one id, or its first digits, may mean before it is too few digits."""
EVENTS_MAX = 1000
FORMS = ("text", "ndjson", "json", "raw")
AROUND_MAX = 10
AROUND_NS = 3_600_000_000_000


class Told(Struct, frozen=True):
    """What is told of one connection; the order of the fields is the order of the keys."""

    connection: Connection
    events: list[Record]
    originals: list[str]
    around: list[Connection]
    attribution: Attribution | None = None
    """Who was behind a session that an agent reported; None where the event names its user."""


@click.command()
@click.argument("id")
@click.option(
    "--output", type=click.Choice(FORMS), default="text", show_default=True, help="raw: only the original lines."
)
@question.zone_option
@question.place_options
def command(id: str, output: str, tz: str | None, index: Path | None, config: Path | None) -> int:
    """Show all that is known of one connection or event.

    ID is that of an event, a connection, a client's session or a request; of the first two its first eight digits are
    enough. Told are both events, the names, what else the same user or workspace did within an hour, and the
    original lines. Exits 1 when nothing is found.
    """
    if not id.strip():
        raise UsageError("the ID is empty; 'connlog search --output ndjson' prints those of what it finds")
    view = read_zone(tz)
    path = question.find_index(index, config)
    reader = question.open_index(path, None)
    witness: Witness | None = None
    try:
        found = find_connections(reader, path, id, CONNECTIONS_MAX + 1)
        if len(found) > CONNECTIONS_MAX:
            raise UsageError(f"more than {CONNECTIONS_MAX} connections have an id that begins so; give more of it")
        witness = Witness(path)
        if output == "json":
            write_json({"found": [_tell(reader, one, witness) for one in found]})
        for number, one in enumerate(found if output != "json" else ()):
            if output == "raw":
                write_originals(one, reader)
            elif output == "ndjson":
                write_json(_tell(reader, one, witness))
            else:
                if number:
                    click.echo()
                _print(_tell(reader, one, witness), view)
        if not found:
            say(f"{id}: no event and no connection has this id; give at least its first eight digits")
        return 0 if found else 1
    finally:
        reader.close()
        if witness is not None:
            witness.close()


def _around(reader: IndexReader, term: Term, at_ns: int) -> list[Connection]:
    answer = reader.search(
        Filter((term,)),
        events=False,
        limit=AROUND_MAX + 1,
        sort="time",
        since_ns=at_ns - AROUND_NS,
        until_ns=at_ns + AROUND_NS,
        now_ns=question.now(),
    )
    return [row for row in answer.rows if isinstance(row, Connection)]


def _tell(reader: IndexReader, one: Connection, witness: Witness) -> Told:
    ids = one.event_ids[:EVENTS_MAX]
    events = [event for event in map(reader.record, ids) if event is not None]
    originals = [decode(line).removesuffix("\n") for line in map(reader.original, ids) if line is not None]
    around: dict[str, Connection] = {}
    at = timestamp.to_ns(one.connect_time)
    terms: list[Term] = []
    if one.workspace_id:
        terms.append(Ids("workspace_id", (one.workspace_id,)))
    elif one.workspace_name:
        terms.append(Text("workspace", (one.workspace_name.lower(),)))
    if one.user_id:
        terms.append(Names("username", (one.user_id,)))
    if at != timestamp.NS_MIN:
        for term in terms:
            around.update((other.id, other) for other in _around(reader, term, at) if other.id != one.id)
    nearest = sorted(around.values(), key=lambda other: other.connect_time)[:AROUND_MAX]
    attribution = witness.of(one)
    if attribution is not None:
        one = witness.named(one, attribution)
    return Told(one, events, originals, nearest, attribution)


def _print(told: Told, view: View) -> None:
    one = told.connection
    names = {} if one.names is UNSET else one.names
    pairs = [
        ("connection", one.connection_id or "none: an event of its own"),
        ("state", one.state + (f" ({one.state_reason})" if one.state_reason else "")),
        ("connected", view.moment(one.connect_time)),
        ("disconnected", view.moment(one.disconnect_time)),
        ("lasted", None if one.duration_seconds is None else lasted(one)),
        ("type", " / ".join(dict.fromkeys(text for text in (one.type, one.method, one.app) if text))),
        ("workspace", _named(one.workspace_name, one.workspace_id)),
        ("agent", _named(one.agent_name, one.agent_id)),
        ("owner", _named(names.get("workspace_owner"), one.workspace_owner_id)),
        ("organization", _named(names.get("organization"), one.organization_id)),
        ("template", names.get("template")),
        ("user", _named(names.get("user"), one.user_id)),
        ("email", names.get("user_email")),
        ("attributed to", _attributed(told)),
        ("evidence", names.get("attribution_evidence")),
        ("address", one.ip),
        ("user agent", one.user_agent),
        ("destination", one.slug_or_port),
        ("code", None if one.code is None else str(one.code)),
        ("reason", one.disconnect_reason),
        ("session", one.client_session_id),
    ]
    for name, value in pairs:
        if value:
            click.echo(f"{name + ':':<14} {visible(value)}")
    click.echo(f"\nEvents ({len(one.event_ids)})")
    for event in told.events:
        request = f"  request {event.request_id}" if event.request_id else ""
        place = event.source.path or event.source.input or ""
        where = f"  {place}:{event.source.offset}" if place else ""
        click.echo(visible(f"  {view.moment(event.time)}  {event.status:<12}  {event.id}{request}{where}"))
    if len(told.events) < len(one.event_ids):
        click.echo(f"  … and {len(one.event_ids) - len(told.events)} more")
    if told.around:
        click.echo("\nThe same workspace or user within an hour")
        columns = usual(False, view)
        lines = plain_lines(told.around, columns)
        if sys.stdout.isatty():
            cells = {title: [read(row) for row in told.around] for title, read in columns}
            lines = iter(fitted_lines(cells, shutil.get_terminal_size().columns - 2)[0])
        for line in lines:
            click.echo(f"  {line}")
    click.echo("\nOriginal lines")
    for line in told.originals:
        click.echo(visible_lines(line))


def _attributed(told: Told) -> str | None:
    """Who it was in the attribution's words."""
    found = told.attribution
    if found is None or told.connection.names is UNSET:
        return None
    who = told.connection.names.get("attribution_candidates") or "nobody"
    if found.grade == "unknown":
        return f"unknown: {found.reason}"
    return f"{who.replace(' ', ' or ')} ({found.grade}: {found.reason})"


def _named(name: str | None, id_: str | None) -> str | None:
    return f"{name} ({id_})" if name and id_ else name or id_
