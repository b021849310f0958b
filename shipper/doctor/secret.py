"""The secrets: whether each token is there, is one, and is nobody else's to read; never what it is."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from shipper.coder.client import CREDENTIAL
from shipper.config import Config, SplunkHecOutput
from shipper.config.secret import find_secret, read_secret
from shipper.doctor.account import READ, shown
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.doctor.unit import Unit
from shipper.errors import AccessError, AccessUnknown, SecretError

CHECK = "secrets"
HANDED = Path("/run/credentials")
"""Where systemd puts what a running service gets, each in a folder of the unit's name."""


class Place(Struct, frozen=True):
    """Where a token is: the file to read, and by which name systemd hands it over, empty where it doesn't."""

    key: str
    path: Path
    credential: str = ""


def places(config: Config, unit: Unit | None) -> list[Place]:
    """Where the service gets each token of a configuration from."""
    handed = unit.credentials() if unit is not None else {}
    found: list[Place] = []

    def add(key: str, path: Path) -> None:
        # A relative name is looked for among the credentials first, and beside the configuration else.
        beside = config.path is not None and path.parent == config.path.absolute().parent
        source = handed.get(path.name) if beside else None
        if source is not None and _is_there(source):
            found.append(Place(key, source, path.name))
        else:
            found.append(Place(key, path))

    for number, output in enumerate(config.outputs, start=1):
        if isinstance(output, SplunkHecOutput):
            add(f"output[{number}].token_file", output.token_file)
            if output.proxy_auth_file is not None:
                add(f"output[{number}].proxy_auth_file", output.proxy_auth_file)
    if config.coder.url:
        if config.coder.token_file is not None:
            add("coder.token_file", config.coder.token_file)
        elif CREDENTIAL in handed:
            found.append(Place("coder.token_file", handed[CREDENTIAL], CREDENTIAL))
    return found


def token_of(config: Config, unit: Unit | None, key: str, default: Path | None) -> Path | None:
    """The file from which who looks can read the token of an option."""
    return next((place.path for place in places(config, unit) if place.key == key), default)


def examine(case: Case) -> Iterator[Finding]:
    """Each token's file."""
    if case.config is None:
        return
    known = places(case.config, case.unit)
    for place in known:
        yield from _of_place(place, case)
    if case.config.coder.url and not any(place.key.startswith("coder") for place in known):
        try:
            _, where = find_secret(None, CREDENTIAL, "CODER_SESSION_TOKEN")
        except SecretError as error:
            yield problem(
                CHECK, "coder.token_file", str(error), "put the token into its file, 0600 (docs/operations.md)"
            )
        else:
            yield ok(CHECK, "coder.token_file", f"the token is there ({where})")


def _of_place(place: Place, case: Case) -> Iterator[Finding]:
    name = str(place.path)
    try:
        # What systemd hands over, root alone must be able to read.
        found = place.path.stat() if place.credential else case.account.require(place.path, READ)
    except AccessUnknown as error:
        yield note(CHECK, place.key, str(error), "run the doctor as root to know")
        return
    except AccessError as error:
        advice = f"write the token into it, chmod 0600, owned by {case.account.name}"
        if case.unit is not None:
            advice = "put it into /etc/credstore as docs/operations.md says, and restart the service"
        yield problem(CHECK, place.key, str(error), advice)
        return
    except OSError as error:
        yield note(CHECK, place.key, f"{name} can't be looked at: {error.strerror}", "run the doctor as root to know")
        return
    if not stat.S_ISREG(found.st_mode):
        yield problem(CHECK, place.key, f"{name} is no regular file", "write the token into a file")
        return
    if found.st_mode & stat.S_IRWXO:
        text = f"{shown(name, found)} is open to everyone on this machine"
        yield problem(CHECK, place.key, text, f"chmod 0600 {name}; whoever could read the token has it: make a new one")
    elif found.st_mode & stat.S_IRWXG and place.credential:
        yield warning(CHECK, place.key, f"{shown(name, found)} is open to a group", f"chmod 0600 {name}")
    try:
        token = read_secret(place.path)
    except SecretError as error:
        if isinstance(error.__cause__, PermissionError):
            yield note(
                CHECK, place.key, f"{name} is there; who looks may not read it", "run the doctor as root to know more"
            )
        else:
            yield problem(CHECK, place.key, str(error), "write the token alone into its first line")
        return
    stale = _is_stale(place, case.unit, token)
    if stale:
        text = f"{name} was replaced since the service started, which still has the former token"
        yield warning(CHECK, place.key, text, "systemctl restart connlog")
    else:
        yield ok(CHECK, place.key, f"the token is there ({name})")


def _is_stale(place: Place, unit: Unit | None, token: str) -> bool:
    if unit is None or not unit.active or not place.credential:
        return False
    try:
        used = read_secret(HANDED / unit.name / place.credential)
    except SecretError:
        return False
    return used != token


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # closed to who looks, and perhaps there
    return True
