"""The command ``reconcile``: holds the log against Coder's own record, hour by hour, and adds what only Coder has."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli import question
from shipper.cli.output import write_json
from shipper.cli.remote import coder_settings
from shipper.cli.table import visible
from shipper.cli.talk import say, warn
from shipper.errors import UsageError

if TYPE_CHECKING:
    from shipper.journal import Piece
    from shipper.reconciliation.finding import Finding, Report
    from shipper.reconciliation.reconcile import Missing

PIECE_EVENTS = 500
BAD_NEWS = 1
REASONS_SHOWN = 3
FINDINGS_SHOWN = 1000


@click.command("reconcile")
@click.option(
    "--since", metavar="TIME", required=True, help="From this time on: 2h, 3d, yesterday, 2025-07-03 or RFC 3339."
)
@click.option("--until", metavar="TIME", help="Up to this time, in the same forms; default: a minute ago.")
@click.option("--backfill", is_flag=True, help="Add what only the API has to the journal, marked as from there.")
@click.option("--details", is_flag=True, help="Show each difference, not only the hours.")
@click.option("--output", type=click.Choice(("table", "ndjson", "json")), default="table", show_default=True)
@click.option("-c", "--config", type=click.Path(path_type=Path), help="The configuration file.")
def command(since: str, until: str | None, backfill: bool, details: bool, output: str, config: Path | None) -> int:
    """Hold the log against Coder's API.

    Both are a record of the same connections: what only the log has, Coder's database lost; of what only the API has,
    the log line was lost or never read. Each hour is shown with the likely reasons. --backfill adds what only the API
    has to the configured outputs, with log.format "api", and changes nothing that is there; again it adds nothing. It
    needs an Auditor's or Owner's token, or sees an organization's part with that of its Admin or Auditor. Exits 1 when the two differ.
    """
    from shipper.coder.client import CoderClient
    from shipper.coder.right import OWN, SOME, rights
    from shipper.config import load_config
    from shipper.reconciliation.event import ApiEvents
    from shipper.reconciliation.reconcile import SETTLE_NS, Reconciler, exhausted

    settings, whole = coder_settings(config), load_config(config)
    now_ns = question.now()
    since_ns, asked_ns = question.read_range(since, until, now_ns)
    until_ns = min(asked_ns or now_ns, now_ns - SETTLE_NS)
    if since_ns is None or since_ns > until_ns:
        raise UsageError("--since: is after --until, or less than a minute ago, when Coder may not have written it yet")
    path = whole.state.dir / "index.db"
    with CoderClient(settings, tell=say) as client:
        run = Reconciler(client, path, ApiEvents(socket.gethostname(), client.url))
        missing = run.run(since_ns, until_ns)
        added = None
        if backfill:
            from shipper.config import FileInput
            from shipper.service.backfill import Backfill

            filling = Backfill(whole, [], FileInput(paths=()), lambda _: None)
            progress = filling.take(_pieces(missing, client.url))
            added = progress.events
        else:
            exhausted(missing)
        right = rights(client.my_roles())["connection log"]
    report = run.report(since_ns, until_ns)
    report.backfilled = added
    if right.scope == SOME:
        report.notes.append(
            "the token reads only what is of its organizations; of others, rows only seem to be missing"
        )
    elif right.scope == OWN:
        report.notes.append(
            "the token has neither the role Auditor nor Owner, nor one in an organization: rows only seem to be missing"
        )
    _write(report, output, details)
    if added is not None:
        _say_added(added, run.missing_count)
    for note in report.notes:
        warn(note)
    if report.equal and output == "table":
        say("log and API tell the same")
    return 0 if report.equal else BAD_NEWS


def _pieces(missing: Iterator[Missing], url: str) -> Iterator[Piece]:
    """What only the API has, as pieces for the journal; its JSON stands for the original line."""
    from shipper.journal import Piece
    from shipper.record import encoded

    piece = Piece(f"coder_api:{url}")
    for row, records in missing:
        piece.encoded += [encoded(record) for record in records]
        piece.originals += [row.raw] * len(records)
        piece.entries += len(records)
        piece.lines += 1
        piece.bytes += len(row.raw)
        if piece.entries >= PIECE_EVENTS:
            yield piece
            piece = Piece(piece.source)
    if piece.entries:
        yield piece


def _write(report: Report, output: str, details: bool) -> None:
    if output == "json":
        write_json(report)
    elif output == "ndjson":
        for one in report.findings if details else report.hours:
            write_json(one)
    else:
        _write_table(report)
        if details and report.findings:
            click.echo()
            _write_findings(report.findings)


def _say_added(added: int, missing: int) -> None:
    """What was added, beside the counts, which are those of the comparison; and what was not."""
    if added == 1:
        say("1 event was added from the API; the counts are those from before; the next run finds it on both sides")
    elif added:
        say(
            f"{added} events were added from the API; the counts are those from before; the next run finds them on both sides"
        )
    else:
        say("0 events were added from the API")
    if missing > added:
        left = missing - added
        say(
            f"{left} {'event' if left == 1 else 'events'} had been delivered before and {'is' if left == 1 else 'are'} "
            "missing in this index: deleted by its retention, or with an index file; 'connlog index rebuild' with the "
            "log files brings back what they hold"
        )


def _write_table(report: Report) -> None:
    lines: list[tuple[str, ...]] = [("HOUR (UTC)", "BOTH", "ONLY LOG", "ONLY API", "DIFFER", "LIKELY")]
    for hour in report.hours:
        most = sorted(hour.reasons.items(), key=lambda item: (-item[1], item[0]))[:REASONS_SHOWN]
        likely = "; ".join(f"{count}: {reason}" for reason, count in most)
        counts = (hour.both, hour.only_log, hour.only_api, hour.differing)
        lines.append((hour.start[:16].replace("T", " "), *map(str, counts), likely))
    sums = [sum(getattr(hour, name) for hour in report.hours) for name in ("both", "only_log", "only_api", "differing")]
    lines.append(("all", *map(str, sums), ""))
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for cells in lines:
        shown = [
            f"{cells[0]:<{widths[0]}}",
            *(f"{cell:>{width}}" for cell, width in zip(cells[1:5], widths[1:5], strict=True)),
        ]
        click.echo("  ".join((*shown, visible(cells[5]))).rstrip())


def _write_findings(findings: Sequence[Finding]) -> None:
    for one in findings[:FINDINGS_SHOWN]:
        what = "  ".join(text for text in (one.type, one.workspace_name, one.agent_name) if text)
        click.echo(visible(f"{one.time[:19]}  {one.kind:<8}  {one.id}  {what}"))
        click.echo(visible(f"    {one.reason}"))
        for name, (log, api) in one.fields.items():
            click.echo(visible(f"    {name}: {log} in the log, {api} in the API"))
    if len(findings) > FINDINGS_SHOWN:
        say(f"{len(findings) - FINDINGS_SHOWN} more: --output ndjson shows all")
