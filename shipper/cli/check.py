"""``connlog check``: tells whether the daemon would start with a configuration, and what to look at if so.

Problems are the configuration's own words, all at once, with exit code 3. What may be wrong but may be meant,
such as a pattern that matches nothing yet, is a warning on stderr and exits 0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec.structs import replace

from shipper.cli.talk import printable, warn
from shipper.config import (
    Coder,
    CoderApiInput,
    Config,
    FileInput,
    JournaldInput,
    Output,
    SplunkHecOutput,
    StdinInput,
    load_config,
)
from shipper.config.address import is_local
from shipper.config.quantity import duration_text, size_text
from shipper.config.secret import exposed, find_secret
from shipper.errors import ConfigError, InputError, SecretError, UsageError
from shipper.inputs.content import PlainContent
from shipper.inputs.discovery import discover
from shipper.inputs.journalctl import matches_of, refusals
from shipper.service.mirror import refuse_own_log

REFUSED_MAX = 20
"""Most files and folders named for one pattern that are not read."""


@click.command("check")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--connect", is_flag=True, help="Also try every input and output for real, without sending an event.")
@click.option("--send-event", "send", is_flag=True, help="With --connect: send Splunk one event, to try the index.")
def command(path: Path | None, connect: bool, send: bool) -> int:
    """Validate the configuration.

    Prints what the daemon would do with it, or every problem at once with its line, and then exits 3. With --connect it
    exits 1 where an input could not be read or an output would not take events.
    Without -c it is $CONNLOG_CONFIG, /etc/connlog/connlog.toml if it exists, or the built-in defaults.
    """
    if send and not connect:
        raise UsageError("--send-event goes with --connect only")
    config = load_config(path)
    refuse_own_log(config, by_file=False)
    from shipper.service.outlet import unusable

    if problems := unusable(config.outputs):
        raise ConfigError([f"{config.path}: {problem}" for problem in problems])
    warnings = list(state_warnings(config.state.dir))
    for label, text in _summary(config, warnings):
        click.echo(f"{label:<14} {printable(text)}")
    for warning in warnings:
        warn(warning)
    if connect and (refused := _tried(config, send=send)):
        warn(f"{refused} thing{'s' if refused > 1 else ''} would not work, as told above")
        return 1
    counted = f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}"
    click.echo(f"OK, {counted}" if warnings else "OK")
    return 0


def _tried(config: Config, *, send: bool) -> int:
    """Try each input and output, and tell; returns how many would not work."""
    # Imported here: only who asks for it needs it.
    from shipper.doctor.case import open_case
    from shipper.doctor.connection import connections
    from shipper.doctor.finding import OK, PROBLEM

    refused = 0
    for finding in connections(open_case(config.path), config, send=send):
        refused += finding.severity == PROBLEM
        word = "" if finding.severity == OK else f"{finding.severity}: "
        advice = f"; {finding.advice}" if finding.advice else ""
        click.echo(f"{'connect':<14} {printable(f'{word}{finding.where}: {finding.what}{advice}')}")
    return refused


def _summary(config: Config, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """What the daemon would do, line by line; warnings found on the way are added to ``warnings``."""
    yield "configuration", str(config.path) if config.path is not None else "built-in defaults"
    yield "state", f"{config.state.dir}, journal up to {size_text(config.state.journal_max_bytes)}"
    if not config.inputs:
        warnings.append("input: none is given, so nothing will be read; add an [[input]]")
    for number, source in enumerate(config.inputs, start=1):
        if isinstance(source, StdinInput):
            yield f"input[{number}]", "stdin, what is piped into connlog run"
            continue
        if isinstance(source, CoderApiInput):
            yield (
                f"input[{number}]",
                f"coder_api {config.coder.url}, every {duration_text(round(source.poll_seconds * 1000))}",
            )
            continue
        if isinstance(source, JournaldInput):
            followed = matches_of(source)
            yield f"input[{number}]", f"journald {' '.join(match.name for match in followed)}"
            warnings += [f"input[{number}]: {why}" for why in refusals(source)]
            continue
        files = 0
        for place, pattern in enumerate(source.paths, start=1):
            files += readable(f"input[{number}].paths[{place}]", replace(source, paths=(pattern,)), warnings)
        yield f"input[{number}]", f"{source.type} {' '.join(source.paths)}, {files} file{'' if files == 1 else 's'} now"
    if config.coder.url:
        yield "coder", f"{config.coder.url}, names asked for every {duration_text(config.coder.refresh_seconds * 1000)}"
        warnings += coder_warnings(config.coder)
    if not config.outputs:
        warnings.append("output: none is given, so events stay in the journal until it is full; add an [[output]]")
    for number, output in enumerate(config.outputs, start=1):
        yield f"output[{number}]", _told(output)
        if isinstance(output, SplunkHecOutput):
            warnings += _hec_warnings(f"output[{number}]", output)
            warnings += _filter_warnings(f"output[{number}]", output, asks_coder=bool(config.coder.url))


def _told(output: Output) -> str:
    """What an output would do."""
    if isinstance(output, SplunkHecOutput):
        what = f", filter {output.filter}" if output.filter.strip() else ""
        return f"{output.type} {output.name}: {' '.join(output.endpoints)}, ack {output.ack}{what}"
    kept = output.retention_seconds
    return f"{output.type}, events kept {'forever' if kept is None else duration_text(kept * 1000)}"


def _hec_warnings(key: str, output: SplunkHecOutput) -> Iterator[str]:
    """What may be wrong with an output to Splunk."""
    from shipper.config.secret import exposed, read_secret

    try:
        read_secret(output.token_file)
    except SecretError as error:
        yield f"{key}.token_file: {error}"
    if exposed(output.token_file):
        yield f"{key}.token_file: {output.token_file} may be read by everyone on this machine; chmod 0600 it"
    if not output.tls_verify:
        yield f"{key}.tls_verify: certificates are not checked, so anyone on the way can take the token; give ca_file"
    for url in output.endpoints:
        if url.startswith("http:") and not is_local(url):
            yield f"{key}.endpoints: {url} is not encrypted, so the token and the events can be read on the way"


def _filter_warnings(key: str, output: SplunkHecOutput, *, asks_coder: bool) -> Iterator[str]:
    """What a filter by names needs to hold."""
    from shipper.service.outlet import read_filter

    sieve = read_filter(output)
    if sieve is None or not sieve.asks_names:
        return
    if not asks_coder:
        yield (
            f"{key}.filter: goes by names, and no coder.url is given: only names from 'connlog names import' count, and "
            "before the first of them every event goes out"
        )
    elif not output.names_wait_seconds:
        yield (
            f"{key}.filter: goes by names, and names_wait is 0: an event of somebody who is not known yet goes out "
            'whatever the filter says; give names_wait = "30s"'
        )


def coder_warnings(coder: Coder) -> Iterator[str]:
    """What stands in the way of asking Coder, or of keeping its token a secret."""
    try:
        _, place = find_secret(coder.token_file, "coder-token", "CODER_SESSION_TOKEN")
    except SecretError as error:
        yield f"coder.token_file: {error}"
    else:
        if exposed(Path(place)):
            yield f"coder.token_file: {place} may be read by anyone on this machine; chmod it to 0600"
    if coder.ca_file is not None and not coder.ca_file.is_file():
        yield f"coder.ca_file: {coder.ca_file}: there is no such file"
    if coder.url.startswith("http:") and not is_local(coder.url):
        yield "coder.url: is not encrypted: the token and all names can be read on the way; write https"


def readable(key: str, source: FileInput, warnings: list[str]) -> int:
    """How many files the daemon would follow for one pattern now; what stands in the way goes to ``warnings``."""
    found, troubles = discover([source])
    if not found and not troubles:
        warnings.append(f"{key}: {source.paths[0]} matches no file now; files that appear later are picked up")
    refused = list(troubles.values()) + [why for one in found.values() if (why := _refusal(one.path))]
    warnings += [f"{key}: {why}" for why in refused[:REFUSED_MAX]]
    if len(refused) > REFUSED_MAX:
        warnings.append(f"{key}: and {len(refused) - REFUSED_MAX} more that are not read")
    return len(found) - (len(refused) - len(troubles))


def _refusal(path: str) -> str | None:
    """Why the daemon would not follow the file, or None."""
    if not os.access(path, os.R_OK):
        return f"{path} may not be read by this user; add the user to the file's group, such as adm"
    try:
        content = PlainContent(path)
    except InputError as error:
        return str(error)
    try:
        content.pread(0, 8)
    except InputError as error:
        return str(error)
    finally:
        content.close()
    return None


def state_warnings(folder: Path) -> Iterator[str]:
    """What stands in the way of writing to the state folder, which need not be there yet."""
    # os.access, not Path.exists: that one raises where a folder on the way may not be entered.
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    if not there.is_dir():
        yield f"state.dir: {there} is no folder; move it away or choose another"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield f"state.dir: {there} may not be written by this user; the daemon's user must own {folder}"
