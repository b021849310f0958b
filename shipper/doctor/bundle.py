"""The bundle: one archive for whoever is asked for help, made of facts about connlog and of nothing that it read.

It holds no line of a log, no event and no token: the configuration is blanked where a secret may stand, names that
came from logs are taken out, databases are told by size and owner only.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import platform
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from shipper.config import FileInput, SplunkHecOutput
from shipper.config.secret import read_secret
from shipper.doctor.account import shown
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding
from shipper.doctor.page import page
from shipper.doctor.redaction import of_metrics, of_own_log, of_settings, without_secrets
from shipper.doctor.secret import places
from shipper.doctor.unit import ask
from shipper.errors import ConnlogError, SecretError, StateError
from shipper.inputs.discovery import base_folder
from shipper.service.installation import UNIT

MEMBER_MAX_BYTES = 8 << 20
"""What one part may hold; the rest of it is cut."""
LINES_COUNT = 1000
"""Of connlog's own log, the last."""
NAMES_MAX_COUNT = 500
"""Of one folder."""
CONFIG_MAX_BYTES = 1 << 20
METRICS_SECONDS = 3.0
_ABOUT = """What connlog's doctor found, for whoever is asked for help.

findings.txt, findings.json   what is wrong and what to do
configuration.toml            the configuration, with everything blanked that may be a secret
status.json                   what the daemon said last: names of files, counts, times
metrics.txt                   its metrics, where it could be asked
unit.txt                      what systemd knows of the service, with its drop-ins
log.txt                       the last lines of connlog's own log, which never has a line of another log
folders.txt                   names, sizes, owners and modes of files, never what is in them
versions.txt                  of connlog, Python, SQLite, the system and the libraries

Nothing in it is a line of a log, an event or a token. Names of hosts, files, users of this machine and addresses of
servers are in it: read it before you give it away.
"""


def write_bundle(path: Path, case: Case, findings: list[Finding]) -> list[str]:
    """Make the archive, mode 0600, where no file is yet; returns the names of its parts. Raises StateError."""
    secrets = list(_secrets(case))
    parts = {name: without_secrets(text, secrets) for name, text in _parts(case, findings)}
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StateError(f"{path}: is there already, and nothing is overwritten; name another file") from None
    except OSError as error:
        raise StateError(f"{path}: can't be made: {error.strerror}; name another file") from error
    try:
        with os.fdopen(fd, "wb") as file, tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
            for name, text in parts.items():
                body = text.encode("utf-8", "backslashreplace")[:MEMBER_MAX_BYTES]
                member = tarfile.TarInfo(f"connlog-doctor/{name}")
                member.size, member.mode, member.mtime = len(body), 0o600, int(time.time())
                archive.addfile(member, io.BytesIO(body))
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise StateError(f"{path}: can't be written: {error.strerror}; make room, or name another file") from error
    return list(parts)


def _parts(case: Case, findings: list[Finding]) -> Iterator[tuple[str, str]]:
    makers: dict[str, Callable[[], str]] = {
        "README.txt": lambda: _ABOUT,
        "findings.txt": lambda: "\n".join(page(findings)) + "\n",
        "findings.json": lambda: msgspec.json.format(msgspec.json.encode(findings), indent=1).decode() + "\n",
        "configuration.toml": lambda: _configuration(case),
        "status.json": lambda: _status(case),
        "metrics.txt": lambda: _metrics(case),
        "unit.txt": lambda: _unit(case),
        "log.txt": _own_log,
        "folders.txt": lambda: "\n".join(_folders(case)) + "\n",
        "versions.txt": lambda: "\n".join(_versions()) + "\n",
    }
    for name, make in makers.items():
        try:
            yield name, make()
        except (ConnlogError, OSError, ValueError) as error:
            yield name, f"could not be had: {error}\n"


def _secrets(case: Case) -> Iterator[str]:
    """Every secret that whoever looks can read, so that none can be in the archive by accident."""
    if case.config is None:
        return
    paths = [place.path for place in places(case.config, case.unit)]
    for output in case.config.outputs:
        if isinstance(output, SplunkHecOutput):
            paths += [path for path in (output.token_file, output.proxy_auth_file) if path is not None]
    for path in paths:
        with suppress(SecretError):
            found = read_secret(path)
            yield found
            # Of user:password the password alone too.
            yield found.partition(":")[2]
    yield os.environ.get("CODER_SESSION_TOKEN", "").strip()


def _configuration(case: Case) -> str:
    path = case.path
    if path is None:
        return "# built-in defaults: there is no file\n"
    with path.open("rb") as file:
        return of_settings(file.read(CONFIG_MAX_BYTES).decode("utf-8", "replace"))


def _status(case: Case) -> str:
    if case.status is None:
        return "null\n"
    # Names of unknown keys are an attacker's words.
    drift = [
        msgspec.structs.replace(one, name=f"{one.name.partition(':')[0]}:{len(one.name.partition(':')[2])} characters")
        for one in case.status.drift
    ]
    safe = msgspec.structs.replace(case.status, drift=drift)
    return json.dumps(msgspec.to_builtins(safe), indent=1) + "\n"


def _metrics(case: Case) -> str:
    if case.status is None or case.status.metrics is None or not case.alive:
        return "no daemon answers\n"
    # The status is the daemon's to write, and root may ask: an address of it is followed by http alone, and no further.
    place = urlsplit(case.status.metrics)
    if place.scheme != "http" or not place.hostname:
        return "no address of http\n"
    asked = http.client.HTTPConnection(place.hostname, place.port or 80, timeout=METRICS_SECONDS)
    try:
        asked.request("GET", "/metrics")
        text = asked.getresponse().read(MEMBER_MAX_BYTES).decode("utf-8", "replace")
    except http.client.HTTPException as error:
        return f"no answer of a daemon: {type(error).__name__}\n"
    finally:
        asked.close()
    return of_metrics(text)


def _unit(case: Case) -> str:
    shown_ = [] if case.unit is None else [f"{key}={value}" for key, value in sorted(case.unit.facts.items())]
    said = ask("systemctl", "cat", UNIT)
    return of_settings("\n".join([*shown_, "", said.out if not said.code else said.err.strip(), ""]))


def _own_log() -> str:
    said = ask("journalctl", "--no-pager", "--output=short-iso", f"--lines={LINES_COUNT}", f"--unit={UNIT}")
    return of_own_log(said.out if not said.code else said.err)


def _folders(case: Case) -> Iterator[str]:
    folders = [Path("/etc/connlog"), Path("/etc/credstore")]
    if case.config is not None:
        folders.append(case.config.state.dir)
        for source in case.config.inputs:
            if isinstance(source, FileInput):
                folders += [Path(base_folder(pattern)) for pattern in source.paths]
    for folder in dict.fromkeys(folders):
        yield from _listed(folder)
        yield ""


def _listed(folder: Path) -> Iterator[str]:
    try:
        yield shown(str(folder), folder.stat())
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, not paths
    except OSError as error:
        yield f"{folder}: {error.strerror}"
        return
    for name in names[:NAMES_MAX_COUNT]:
        path = folder / name
        try:
            facts = path.lstat()
        except OSError:
            continue
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(facts.st_mtime))
        safe = shown(name, facts).encode("unicode_escape").decode()
        yield f"  {facts.st_size:>14}  {stamp}  {safe}"
    if len(names) > NAMES_MAX_COUNT:
        yield f"  and {len(names) - NAMES_MAX_COUNT} more"


def _versions() -> Iterator[str]:
    import sqlite3
    import sys

    from shipper import __version__

    yield f"connlog {__version__}"
    yield f"Python {sys.version}"
    yield f"SQLite {sqlite3.sqlite_version}"
    yield f"{platform.platform()}"
    with suppress(OSError):
        yield platform.freedesktop_os_release().get("PRETTY_NAME", "")
    with suppress(ConnlogError):
        yield next(iter(ask("systemctl", "--version").out.splitlines()), "")
    yield ""
    yield from sorted({f"{one.metadata['Name']} {one.version}" for one in distributions() if one.metadata["Name"]})
