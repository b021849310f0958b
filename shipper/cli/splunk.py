"""``connlog splunk``: writes the add-on, sets Splunk up for connlog, and checks what Splunk holds."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

import click

from shipper.cli.talk import say
from shipper.errors import UsageError


@click.group()
def command() -> None:
    """Set Splunk up, install the add-on, and check what Splunk holds."""


@command.command("app")
@click.option(
    "-o", "--output", "path", required=True, type=click.Path(path_type=Path), help="The file to write: .tgz or .spl."
)
def app_command(path: Path) -> None:
    """Write the Splunk add-on TA_coder_connlog as a package, the same bytes for the same version.

    Install it in Splunk under Apps, Manage Apps, Install app from file; or with 'connlog splunk setup'.
    """
    from shipper.splunk.addon import APP, ENDINGS, addon_version, pack

    if not path.name.endswith(ENDINGS):
        raise UsageError(f"-o {path}: Splunk takes packages named *.tgz, *.tar.gz or *.spl; name it so")
    package = pack()
    write_whole(path, package, 0o644)
    say(f"{path}: {APP} {addon_version()}, {len(package)} bytes")


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole or not at all, with ``mode``. Raises OSError, and then nothing has changed."""
    handle, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
