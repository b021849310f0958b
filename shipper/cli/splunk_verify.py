"""``connlog splunk verify``: says whether Splunk holds what was delivered to it, each event once."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from shipper.cli.splunk_server import find_configured, open_management, server_options
from shipper.cli.talk import printable, say, warn
from shipper.errors import RemoteError, UsageError
from shipper.timestamp import from_ns

if TYPE_CHECKING:
    from shipper.config import Config, SplunkHecOutput
    from shipper.journal import DeliveredLedger, LedgerSummary
    from shipper.splunk.inventory import Place
    from shipper.splunk.verification import Result

BAD_NEWS = 1
RANGE_MAX_SECONDS = 366 * 86_400
_SECOND_NS = 1_000_000_000


@click.command("verify")
@server_options
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--name", help="The output, where there are several.")
@click.option(
    "--since", default="24h", show_default=True, metavar="TIME", help="From this time on, by the events' times."
)
@click.option("--until", metavar="TIME", help="Up to this time; default: as long ago as --settle says.")
@click.option(
    "--settle",
    default="5m",
    show_default=True,
    metavar="DURATION",
    help="How long it may take until an event that was taken can be found.",
)
@click.option("--index", "indexes", multiple=True, help="Where to look; default: the output's indexes, else all.")
@click.option("--sourcetype", "sourcetypes", multiple=True, help="Default: the output's source types.")
@click.option("--host", "hosts", multiple=True, help="Only events of this host: where several connlog share an index.")
@click.option("--resend", is_flag=True, help="Put missing events back into the output's queue, from the local index.")
@click.option(
    "--output",
    "form",
    type=click.Choice(["table", "ndjson", "json"]),
    default="table",
    show_default=True,
    help="The form of the result.",
)
def verify_command(
    url: str,
    auth_token_file: Path | None,
    ca_file: Path | None,
    insecure: bool,
    timeout: str,
    path: Path | None,
    name: str | None,
    since: str,
    until: str | None,
    settle: str,
    indexes: tuple[str, ...],
    sourcetypes: tuple[str, ...],
    hosts: tuple[str, ...],
    resend: bool,
    form: str,
) -> int:
    """Compare what Splunk holds with what was delivered to it.

    By count for each hour, and by id where an hour differs. Tells what is missing, what is there more than
    once, and what is there and was not delivered. Exits 1 where there is any of it.
    """
    from shipper.config import load_config
    from shipper.journal import DeliveredLedger
    from shipper.splunk.inventory import Inventory
    from shipper.splunk.verification import Verification

    config = load_config(path)
    settled_ns = read_settled(settle)
    first, last = read_range(since, until, settled_ns)
    with closing(
        DeliveredLedger(config.state.dir / "journal.db", journal_max_bytes=config.state.journal_max_bytes)
    ) as ledger:
        output = find_output(ledger, name)
        if output.since_ns is None:
            waiting = f"; {output.waiting} events wait for their acknowledgement" if output.waiting else ""
            say(f"{output.output} has delivered nothing yet, as far as is known: nothing can be compared{waiting}")
            return BAD_NEWS
        place = find_place(find_configured(config, output.output), indexes, sourcetypes, hosts)
        splunk = open_management(url, auth_token_file, ca_file, insecure, timeout)
        try:
            inventory = Inventory(splunk, place)
        except ValueError as error:
            raise UsageError(str(error)) from error
        result = Verification(
            lambda low, high: ledger.events(output.output, low, high),
            inventory,
            output.since_ns,
            settled_ns,
        ).run(first, last)
        _write(result, form)
        _say_beside(result, output, inventory.warnings, first)
        if resend and result.missing:
            _resend(result, ledger, output.output, config, inventory.warnings)
    return 0 if result.good else BAD_NEWS


def read_settled(settle: str) -> int:
    """The Unix time in ns from which on what was taken need not be searchable yet. Raises UsageError."""
    from shipper.config.quantity import parse_duration

    try:
        return time.time_ns() - parse_duration(settle) * 1_000_000
    except ValueError as error:
        raise UsageError(f"--settle {settle}: {error}") from error


def read_range(since: str, until: str | None, settled_ns: int) -> tuple[int, int]:
    """The range in seconds since 1970, its end not in it. Raises UsageError."""
    from shipper.cli.question import now, read_range

    now_ns = now()
    low, until_ns = read_range(since, until, now_ns)
    high = until_ns if until else min(now_ns, settled_ns)
    assert low is not None
    assert high is not None
    first, last = low // _SECOND_NS, high // _SECOND_NS
    if not 0 <= first < last:
        raise UsageError(
            "--since: must lie before --until, which is some minutes ago by default (--settle), and not before 1970"
        )
    if last - first > RANGE_MAX_SECONDS:
        raise UsageError("--since: a year at most can be compared at once")
    return first, last


def find_output(ledger: DeliveredLedger, name: str | None) -> LedgerSummary:
    """The output that is meant: the named one, else the only one that has delivered something to Splunk."""
    outputs = [one for one in ledger.outputs() if one.output != "index"]
    if name is not None:
        outputs = [one for one in outputs if one.output == name]
    elif len(outputs) > 1:
        outputs = [one for one in outputs if one.delivered or one.waiting] or outputs
    if len(outputs) == 1:
        return outputs[0]
    known = ", ".join(one.output for one in ledger.outputs() if one.output != "index")
    if not known:
        raise UsageError("the journal knows no output to Splunk; add an [[output]] of type splunk_hec and run connlog")
    what = f"--name {name}: is none of them" if name is not None else "there are several outputs"
    raise UsageError(f"{what}; give --name with one of: {known}")


def find_place(
    output: SplunkHecOutput | None, indexes: tuple[str, ...], sourcetypes: tuple[str, ...], hosts: tuple[str, ...]
) -> Place:
    """Where the output's events are: as asked, else as the configuration says, else anywhere."""
    from shipper.splunk.inventory import Place
    from shipper.splunk.setup import SOURCETYPE

    routes = () if output is None else output.route
    if output is not None and output.index:
        indexes = indexes or (output.index, *(route.index for route in routes if route.index))
    if output is not None:
        sourcetypes = sourcetypes or (output.sourcetype, *(route.sourcetype for route in routes if route.sourcetype))
    return Place(tuple(dict.fromkeys(indexes)) or ("*",), tuple(dict.fromkeys(sourcetypes)) or (SOURCETYPE,), hosts)


def _resend(result: Result, ledger: DeliveredLedger, output: str, config: Config, warnings: list[str]) -> None:
    """Put the missing events back. Raises RemoteError where it is not sure that they are missing."""
    from shipper.index import IndexReader
    from shipper.record import decode_record
    from shipper.splunk.resend import lines_of

    if warnings:
        raise RemoteError(
            "nothing is sent again: Splunk warned that its answers may not be whole; see above, and try later"
        )
    waiting = {decode_record(line).id for line in ledger.queued(output)}
    wanted = [one.id for one in result.missing if one.id not in waiting]
    lost: list[str] = []
    with closing(IndexReader(config.state.dir / "index.db")) as reader:
        put = ledger.put_back(output, lines_of(wanted, reader, lost))
    say(f"{put} missing events were put back into the queue of {output}; the daemon sends them, and then verify anew")
    if len(wanted) < len(result.missing):
        say(f"{len(result.missing) - len(wanted)} wait there already, from an earlier --resend")
    if lost:
        say(
            f"{len(lost)} are not in the local index any more: 'connlog backfill' reads them from logs that still have them"
        )


def _say_beside(result: Result, output: LedgerSummary, warnings: list[str], first: int) -> None:
    for warning in warnings:
        warn(f"Splunk says: {warning}")
    if output.since_ns is not None and output.since_ns > first * _SECOND_NS:
        say(f"what was delivered is known since {from_ns(output.since_ns)}")
    if result.earlier:
        say(f"{result.earlier} events were indexed before that, and nothing can be said of them")
    if result.recent:
        say(
            f"{result.recent} events are not there and were taken so lately (--settle) that they need not be searchable yet; "
            "verify later"
        )
    if output.waiting:
        say(
            f"{output.waiting} events wait for their acknowledgement: where Splunk has them they are counted as unknown"
        )


def _write(result: Result, form: str) -> None:
    if form == "json":
        click.echo(msgspec.json.encode(result))
        return
    if form == "ndjson":
        for kind, rows in (("hour", result.hours), ("missing", result.missing), ("doubled", result.doubled)):
            for row in rows:
                click.echo(msgspec.json.encode({"kind": kind, **msgspec.to_builtins(row)}))
        for id_ in result.unknown:
            click.echo(msgspec.json.encode({"kind": "unknown", "id": id_}))
        return
    for hour in result.hours:
        if hour.compared:
            stamp = from_ns(hour.hour * _SECOND_NS)[:16].replace("T", " ")
            click.echo(f"{stamp} UTC  delivered {hour.sent}, in Splunk {hour.held}")
    for missing in result.missing:
        click.echo(f"missing  {missing.id}  {from_ns(missing.time_ns)}, delivered {from_ns(missing.delivered_ns)}")
    for doubled in result.doubled:
        click.echo(f"double   {doubled.id}  {doubled.count} times, delivered {doubled.sent} times")
    for id_ in result.unknown:
        click.echo(f"unknown  {printable(id_)}")
    click.echo(
        f"{'OK' if result.good else 'DIFFERENT' if result.different else 'NOT YET'}: delivered {result.sent}, in Splunk {result.held}; missing "
        f"{len(result.missing)}, double {len(result.doubled)}, unknown {len(result.unknown)}"
    )
