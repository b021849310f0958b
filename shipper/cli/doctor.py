"""``connlog doctor``: what is wrong around this installation, or will be, and what to do about each.

It needs no daemon, changes nothing, and ends: each check has a limit of time. As root it looks as the service's user;
anyone else learns what he may look at.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from shipper.cli.talk import printable, say, warn

BAD_NEWS, INVALID = 1, 3


@click.command("doctor")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--user", metavar="NAME", help="Look at permissions as this user, instead of the service's or oneself.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("-q", "--quiet", is_flag=True, help="Leave out what is well.")
@click.option("--output", "form", type=click.Choice(["table", "json"]), default="table", help="The form of the answer.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write an archive (.tar.gz) for whoever is asked for help: no log lines, no events, no tokens.",
)
def command(path: Path | None, user: str | None, strict: bool, quiet: bool, form: str, bundle: Path | None) -> int:
    """Find what is wrong and say what to do.

    Looks at the service, permissions, the sandbox, room on the disk, rotation and rate limits, tokens, Splunk, Coder,
    clock and versions; sends no event and changes nothing. Exits 0 without a problem, 1 with one, 3 where the
    configuration is invalid.
    """
    # Imported here: --help needs none of it.
    import msgspec

    from shipper import __version__
    from shipper.doctor.case import open_case
    from shipper.doctor.examination import examine
    from shipper.doctor.finding import PROBLEM, WARNING, by_gravity, worst
    from shipper.doctor.page import page

    case = open_case(path, user)
    findings = examine(case)
    if form == "json":
        facts = {
            "schema": 1,
            "connlog": __version__,
            "configuration": None if case.path is None else str(case.path),
            "account": case.account.name,
            "worst": worst(findings),
            "findings": by_gravity(findings),
        }
        sys.stdout.write(msgspec.json.encode(facts).decode() + "\n")
    else:
        for line in page(findings, quiet=quiet):
            click.echo(printable(line))
    if bundle is not None:
        from shipper.doctor.bundle import write_bundle

        write_bundle(bundle, case, findings)
        say(f"wrote {bundle}, which only you may read: look at it before you give it away")
    if case.problems:
        warn("the configuration is invalid, so most could not be looked at")
        return INVALID
    bad = (PROBLEM, WARNING) if strict else (PROBLEM,)
    return BAD_NEWS if worst(findings) in bad else 0
