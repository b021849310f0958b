"""``connlog splunk``: writes the add-on, sets Splunk up for connlog, and checks what Splunk holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli.splunk_server import find_configured, open_management, server_options
from shipper.cli.splunk_verify import verify_command
from shipper.cli.talk import printable, say
from shipper.errors import StateError, UsageError

if TYPE_CHECKING:
    from shipper.splunk.setup import Wanted

BAD_NEWS = 1
CREDENTIALS = Path("/etc/credstore")
_match_index = re.compile(r"(?!.*kvstore)[a-z0-9][a-z0-9_-]{0,79}").fullmatch
_match_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}").fullmatch


@click.group()
def command() -> None:
    """Set Splunk up, install the add-on, and check what Splunk holds."""


command.add_command(verify_command)


@command.command("app")
@click.option(
    "-o", "--output", "path", required=True, type=click.Path(path_type=Path), help="The file to write: .tgz or .spl."
)
def app_command(path: Path) -> None:
    """Write the Splunk add-on TA_coder_connlog as a package, the same bytes for the same version.

    Install it in Splunk under Apps, Manage Apps, Install app from file; or with 'connlog splunk setup'.
    """
    from shipper.splunk.addon import APP, ENDINGS, addon_version, pack
    from shipper.splunk.file import write_whole

    if not path.name.endswith(ENDINGS):
        raise UsageError(f"-o {path}: Splunk takes packages named *.tgz, *.tar.gz or *.spl; name it so")
    package = pack()
    try:
        write_whole(path, package, 0o644)
    except OSError as error:
        # What it names is not the file that was asked for.
        raise StateError(
            f"-o {path}: can't be written: {error.strerror}; name a folder that is there and yours"
        ) from error
    say(f"{path}: {APP} {addon_version()}, {len(package)} bytes")


@command.command("setup")
@server_options
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--name", help="The output, where the configuration has several to Splunk.")
@click.option("--index", help="The index for the events, made where it is missing; default: the output's.")
@click.option("--retention", metavar="DURATION", help="How long the index keeps events, such as 365d.")
@click.option("--index-max", metavar="SIZE", help="How large the index may grow, such as 500GiB.")
@click.option("--token-name", default="connlog", show_default=True, help="The name of the collector's token.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Where the token is put, mode 0600; default: the output's token_file.",
)
@click.option("--overwrite", is_flag=True, help="Replace another token in that file.")
@click.option(
    "--allow",
    multiple=True,
    metavar="INDEX",
    help="An index that the token may write to; default: those of the output.",
)
@click.option(
    "--ack/--no-ack",
    default=None,
    help="Whether the token has indexer acknowledgement; default: where the output requires it.",
)
@click.option(
    "--addon",
    metavar="PLACE",
    help="The add-on's package: a path on Splunk's own machine, or a URL for Splunk to fetch.",
)
@click.option("--no-addon", is_flag=True, help="Leave the add-on and its macro alone.")
@click.option("--dry-run", is_flag=True, help="Only look, and tell each step.")
def setup_command(
    url: str,
    auth_token_file: Path | None,
    ca_file: Path | None,
    insecure: bool,
    timeout: str,
    dry_run: bool,
    **options: object,
) -> int:
    """Make Splunk ready: the index, the HTTP Event Collector, its token, the token's file, the add-on.

    It can be run again at any time: what is as it should be is left alone. Index, token file and whether there
    are acknowledgements come from the configuration's output of type splunk_hec, where there is one and options
    don't say otherwise. Exits 1 where something is left to do by hand.
    """
    from shipper.splunk.setup import BY_HAND, Setup

    wanted = read_wanted(**options)  # type: ignore[arg-type]  # click gives them by these names
    splunk = open_management(url, auth_token_file, ca_file, insecure, timeout)
    left = 0
    setup = Setup(splunk, wanted, dry_run=dry_run)
    for step in setup.steps():
        click.echo(f"{step.state:<8} {step.name:<11} {printable(step.says)}")
        left += step.state == BY_HAND
    if left:
        say(f"{left} {'step is' if left == 1 else 'steps are'} left to do by hand; then run this again")
        return BAD_NEWS
    if dry_run:
        say("nothing was changed")
    elif options["path"] is None and setup.endpoint is not None:
        # A name alone where the shipped unit hands the file over as a credential of that name.
        token = wanted.token_file
        shown = token.name.removeprefix("connlog.") if token is not None and token.parent == CREDENTIALS else token
        say(
            "for the configuration, if it is not there yet:",
            "[[output]]",
            'type = "splunk_hec"',
            f'endpoints = ["{setup.endpoint}"]',
            f'token_file = "{shown or "hec-token"}"',
            f'index = "{wanted.index}"',
        )
    return 0


def read_wanted(
    *,
    path: Path | None,
    name: str | None,
    index: str | None,
    retention: str | None,
    index_max: str | None,
    token_name: str,
    token_file: Path | None,
    overwrite: bool,
    allow: tuple[str, ...],
    ack: bool | None,
    addon: str | None,
    no_addon: bool,
) -> Wanted:
    """What the options and the configuration ask for. Raises UsageError, ConfigError."""
    from shipper.config.quantity import parse_duration, parse_size
    from shipper.splunk.setup import Wanted

    output = None
    if path is not None or name is not None or index is None:
        from shipper.config import load_config

        output = find_configured(load_config(path), name)
        if output is None and (path is not None or name is not None):
            raise UsageError(
                f"the configuration has no output to Splunk{f' named {name}' if name else ''}; add one, or leave out -c"
            )
    index = index or (output.index if output is not None else "")
    if not index:
        raise UsageError("--index: name the index for the events, such as --index coder, or set it for the output")
    routed = () if output is None else tuple(route.index for route in output.route if route.index)
    for one in (index, *routed, *allow):
        if not _match_index(one):
            raise UsageError(
                f"{one!r} is no name of an index; use small letters, digits, _ and -, not _ or - first, not 'kvstore'"
            )
    for one in (index, *routed):
        if allow and one not in allow:
            raise UsageError(f"--allow: the token must be allowed to write to {one} too; add --allow {one}")
    if not _match_name(token_name):
        raise UsageError(f"--token-name {token_name!r}: use letters, digits, _, . and -")
    if addon is not None and no_addon:
        raise UsageError("--addon and --no-addon exclude each other; give one of them")
    return Wanted(
        index=index,
        routed=routed,
        token_name=token_name,
        token_file=token_file or (output.token_file if output is not None else None),
        overwrite=overwrite,
        allowed=allow or None,
        ack=True if ack is None and output is not None and output.ack == "required" else ack,
        retention_seconds=_quantity("--retention", retention, parse_duration, 1000),
        index_max_bytes=_quantity("--index-max", index_max, parse_size, 1),
        addon=None if no_addon else addon or "",
    )


def _quantity(option: str, text: str | None, parse: Callable[[str], int], divisor: int) -> int | None:
    if text is None:
        return None
    try:
        value = parse(text) // divisor
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error
    if value < 1:
        raise UsageError(f"{option} {text}: is too little")
    return value
