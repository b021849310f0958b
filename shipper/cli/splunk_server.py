"""The Splunk that ``connlog splunk setup`` and ``verify`` ask: its options, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipper.cli.talk import warn
from shipper.errors import UsageError

if TYPE_CHECKING:
    from shipper.config import Config, SplunkHecOutput
    from shipper.splunk.management import Management


def find_configured(config: Config, name: str | None) -> SplunkHecOutput | None:
    """The output to Splunk of this name, or the only one; None where there is none such. Raises UsageError."""
    from shipper.config import SplunkHecOutput

    outputs = [one for one in config.outputs if isinstance(one, SplunkHecOutput)]
    if name is not None:
        outputs = [one for one in outputs if one.name == name]
    if len(outputs) > 1:
        raise UsageError(
            f"there are several outputs to Splunk; give --name with one of: {', '.join(one.name for one in outputs)}"
        )
    return outputs[0] if outputs else None


def server_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which Splunk is asked and how; they come as url, auth_token_file, ca_file, insecure and
    timeout."""
    for option in (
        click.option("--timeout", default="60s", show_default=True, metavar="DURATION", help="For one whole answer."),
        click.option(
            "--insecure", is_flag=True, help="Take any certificate: whoever is on the way can read the token."
        ),
        click.option("--ca-file", type=click.Path(path_type=Path), help="Certificates to check Splunk's with, PEM."),
        click.option(
            "--auth-token-file",
            type=click.Path(path_type=Path),
            help="The file of the token to log in with; else the credential splunk-token, else $CONNLOG_SPLUNK_TOKEN.",
        ),
        click.option(
            "--url",
            envvar="CONNLOG_SPLUNK_URL",
            required=True,
            show_envvar=True,
            help="Splunk's management port, such as https://splunk.example.com:8089.",
        ),
    ):
        command = option(command)
    return command


def open_management(
    url: str, auth_token_file: Path | None, ca_file: Path | None, insecure: bool, timeout: str
) -> Management:
    """The Splunk that the options name. Raises UsageError, SecretError."""
    from shipper.config.address import read_web_address
    from shipper.config.quantity import parse_duration
    from shipper.config.secret import exposed, find_secret
    from shipper.splunk.management import Management
    from shipper.splunk.transport import read_server

    try:
        address = read_web_address(url)
    except ValueError as error:
        raise UsageError(f"--url {error}".replace("coder.example.com", "splunk.example.com:8089")) from error
    try:
        seconds = parse_duration(timeout) / 1000
    except ValueError as error:
        raise UsageError(f"--timeout {timeout}: {error}") from error
    if not 0 < seconds <= 3600:
        raise UsageError(f"--timeout {timeout}: write something between 1ms and 1h")
    token, place = find_secret(auth_token_file, "splunk-token", "CONNLOG_SPLUNK_TOKEN", option="--auth-token-file")
    if auth_token_file is not None and exposed(auth_token_file):
        warn(f"{place} may be read by anyone on this machine; chmod 600 it")
    server = read_server(address, ca_file, insecure, seconds)
    if server.scheme == "http":
        warn(f"{server.shown} is not encrypted: whoever is on the way can read the token")
    elif insecure:
        warn(f"the certificate of {server.shown} is NOT checked: whoever is on the way can read the token")
    return Management(server, token)
