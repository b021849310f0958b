"""The command ``names``: the directory of users, organizations and workspaces behind the ids of the log."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from shipper.cli import question
from shipper.cli.output import safe_cell, write_json
from shipper.cli.remote import coder_settings
from shipper.cli.table import visible
from shipper.cli.talk import say, warn
from shipper.directory.lookup import Directory
from shipper.directory.sighting import ORGANIZATION, USER, WORKSPACE
from shipper.errors import StateError, UsageError
from shipper.index import IndexReader
from shipper.text import counted
from shipper.timestamp import from_ns

if TYPE_CHECKING:
    from shipper.index.names import NamesKeeper

KINDS = (USER, ORGANIZATION, WORKSPACE)
FORMATS = ("table", "ndjson", "json", "csv")
_TITLES = {USER: ("username", "email"), ORGANIZATION: ("name", "display_name"), WORKSPACE: ("name", "template")}


class Named(Struct, frozen=True):
    """One value of one of the directory's entries; the order of the fields is the order of the keys.

    ``current`` is False for a value that another one followed. ``source`` is coder_api, connection_log, file or log."""

    kind: str
    id: str
    name: str | None
    detail: str | None
    status: str | None
    first_seen: str
    last_seen: str
    source: str
    current: bool


@click.group()
def command() -> None:
    """Show and fill the directory of names."""


@command.command("ls")
@click.argument("part", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Only users, organizations or workspaces.")
@click.option("--history", is_flag=True, help="Former names too, with the time each was seen.")
@click.option("--output", type=click.Choice(FORMATS), default="table", show_default=True)
@question.place_options
def ls_command(
    part: str | None, kind: str | None, history: bool, output: str, index: Path | None, config: Path | None
) -> int:
    """List the names that are known, those that hold PART where it is given.

    Workspaces of which only the log itself tells are listed too. Exits 1 when nothing is found.
    """
    reader = question.open_index(index, config)
    try:
        entries = _entries(reader, (kind,) if kind else KINDS, history, (part or "").lower())
        found = list(reader.guarded(entries))
    finally:
        reader.close()
    if part is not None:
        wanted = part.lower()
        found = [one for one in found if any(wanted in (text or "").lower() for text in (one.name, one.detail, one.id))]
    _write(found, output)
    if not found and output == "table":
        what = "no name is known" if part is None else "nothing found"
        say(f"{what}; 'connlog names sync' asks Coder, 'connlog names import' reads a file")
    return 0 if found else 1


@command.command("sync")
@click.option(
    "--recent", is_flag=True, help="Only who was there and what was used since the last time, as the daemon does."
)
@question.place_options
def sync_command(recent: bool, index: Path | None, config: Path | None) -> int:
    """Ask Coder for all names the token may see.

    Users, organizations and workspaces, and the names in the connection log. Coder is coder.url of the configuration,
    else $CODER_URL; the token is coder.token_file, else the credential coder-token, else $CODER_SESSION_TOKEN. With
    --recent all is read only where that was not done for coder.refresh_all.
    """
    from shipper.coder.client import CoderClient
    from shipper.directory.sync import sync

    settings = coder_settings(config)
    with CoderClient(settings, tell=say) as client, _keeper(question.find_index(index, config)) as keeper:
        every_ns = settings.refresh_all_seconds * 1_000_000_000 if recent else None
        done = sync(client, keeper, time.time_ns(), whole_every_ns=every_ns)
    roles = f", {' and '.join(done.roles)}" if done.roles else ", without a site role"
    click.echo(visible(f"{client.url}  Coder {done.version or 'of an unknown version'}, asked as {done.me}{roles}"))
    click.echo(
        f"{done.users} users, {done.organizations} organizations, {done.workspaces} workspaces, "
        f"{done.rows} rows of the connection log{'' if done.whole else ', all of late'}: {done.new} told something new"
    )
    if done.deleted:
        click.echo(f"{done.deleted} users are deleted; their names are kept")
    for note in done.notes:
        warn(note)
    return 0


@command.command("import")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--me", metavar="USERNAME", help='Whom "me" stands for in a query.')
@question.place_options
def import_command(paths: Sequence[Path], me: str | None, index: Path | None, config: Path | None) -> int:
    """Read names from CSV or JSON files.

    Columns or keys: kind (user, organization, workspace), id, username, email, name, status, display_name, owner_id,
    organization_id, template, and seen: the time at which it was so. What Coder's API answers is read as it is. A
    file with a mistake is refused whole.
    """
    from shipper.directory.table import read_table

    now_ns = time.time_ns()
    read = [read_table(path, now_ns) for path in paths]
    with _keeper(question.find_index(index, config)) as keeper:
        for name, sightings in zip(paths, read, strict=True):
            new = keeper.learn(sightings)
            click.echo(visible(f"{name}: {counted(len(sightings), 'entry', 'entries')}, {new} told something new"))
        if me is not None:
            keeper.refresh()
            ids = dict.fromkeys(match.id for match in keeper.directory.matches(USER, "username", [me.lower()]))
            if len(ids) != 1:
                raise UsageError(f"--me {me}: {len(ids) or 'no'} users have or had this name; import one first")
            keeper.set_fact("me", next(iter(ids)))
            keeper.set_fact("me_by", "import")
    return 0


@contextmanager
def _keeper(path: Path) -> Iterator[NamesKeeper]:
    """The directory to write to; index and folder are made where they are missing, as the daemon would."""
    from shipper.index.names import NamesKeeper

    fresh = not path.exists()
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o750)
    except OSError as error:
        raise StateError(
            f"{path.parent}: {error.strerror}; run this as the service's user, or name another index with --index"
        ) from error
    keeper = NamesKeeper(path)
    try:
        _give_to_the_service(path, fresh)
        yield keeper
    finally:
        keeper.close()


def _give_to_the_service(path: Path, fresh: bool) -> None:
    """An index that root has just made belongs to whom the folder belongs to."""
    if fresh and os.geteuid() == 0:
        folder = path.parent.stat()
        for ending in ("", "-wal", "-shm"):
            one = path.with_name(path.name + ending)
            if one.exists():
                os.chown(one, folder.st_uid, folder.st_gid)


def _entries(reader: IndexReader, kinds: Sequence[str], history: bool, part: str) -> Iterator[Named]:
    from shipper.index.names import logged_workspaces

    database = reader.view()
    directory = reader.directory
    for kind in kinds:
        listed: set[str] = set()
        entries: list[Named] = []
        for id_ in directory.ids(kind, part):
            listed.add(id_)
            entries += _of(directory, kind, id_, history)
        if kind == WORKSPACE:
            for id_, name, _, used_ns in logged_workspaces(database):
                if id_ not in listed and not directory.history(kind, id_):
                    entries.append(Named(kind, id_, name, None, None, from_ns(used_ns), from_ns(used_ns), "log", True))
        yield from sorted(entries, key=lambda one: ((one.name or "").lower(), one.id, one.first_seen))


def _of(directory: Directory, kind: str, id_: str, history: bool) -> Iterator[Named]:
    known = directory.history(kind, id_)
    first, second = _TITLES[kind]
    status = known["status"][-1].value if "status" in known else None
    names = known.get(first, [])
    details = known.get(second, [])
    for number, span in enumerate(names if history else names[-1:]):
        current = not history or number == len(names) - 1
        detail = directory.value(kind, id_, second, span.last_ns) if details else None
        yield Named(
            kind, id_, span.value, detail, status if current else None, from_ns(span.first_ns), from_ns(span.last_ns),
            span.source, current,
        )  # fmt: skip
    if not names:
        every = [span for spans in known.values() for span in spans]
        first_ns, last_ns = min(span.first_ns for span in every), max(span.last_ns for span in every)
        detail = details[-1].value if details else None
        yield Named(kind, id_, None, detail, status, from_ns(first_ns), from_ns(last_ns), every[0].source, True)


def _write(found: Sequence[Named], output: str) -> None:
    titles = Named.__struct_fields__
    if output == "ndjson":
        for one in found:
            write_json(one)
    elif output == "json":
        write_json({"names": found, "count": len(found)})
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(titles)
        writer.writerows([safe_cell(getattr(one, title)) for title in titles] for one in found)
    elif found:
        lines = [("KIND", "NAME", "DETAIL", "STATUS", "FIRST SEEN", "LAST SEEN", "SOURCE", "ID")]
        lines += [
            (
                one.kind, visible(one.name or ""), visible(one.detail or ""),
                visible(one.status or "") if one.current else "former", one.first_seen[:16].replace("T", " "),
                one.last_seen[:16].replace("T", " "), one.source, one.id,
            )
            for one in found
        ]  # fmt: skip
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        for cells in lines:
            click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
