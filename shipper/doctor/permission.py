"""The permissions: which files the service's user may read, by their modes, owners and access lists on the whole way to them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shipper.config import Config, FileInput, SplunkHecOutput
from shipper.doctor.account import ENTER, READ, Account, shown
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.errors import AccessError, AccessMissing, AccessUnknown
from shipper.inputs.discovery import base_folder, discover

CHECK = "permissions"
FILES_MAX_COUNT = 5000
SHOWN_MAX_COUNT = 10
"""Files of one pattern that are named."""


def examine(case: Case) -> Iterator[Finding]:
    """For each input, and for the files of the configuration."""
    config, account = case.config, case.account
    if config is None:
        return
    for number, source in enumerate(config.inputs, start=1):
        if isinstance(source, FileInput):
            for place, pattern in enumerate(source.paths, start=1):
                yield from of_pattern(f"input[{number}].paths[{place}]", source, pattern, account)
    yield from _of_config(config, account)


def of_pattern(key: str, source: FileInput, pattern: str, account: Account) -> Iterator[Finding]:
    """What stands between an account and the files that a pattern names."""
    folder = base_folder(pattern)
    try:
        account.require(folder, READ | ENTER)
    except AccessMissing as error:
        advice = "check the path; once coderd writes there, it is read"
        yield warning(CHECK, key, f"{error}, so nothing of {pattern} is found", advice)
        return
    except AccessUnknown as error:
        yield note(CHECK, key, str(error), "run the doctor as root to know")
        return
    except AccessError as error:
        yield problem(CHECK, key, f"{error}, so nothing of {pattern} is found", _advice(account, folder))
        return
    found, troubles = discover([msgspec.structs.replace(source, paths=(pattern,))])
    closed: list[str] = []
    unseen: list[str] = []
    for one in list(found.values())[:FILES_MAX_COUNT]:
        try:
            account.require(one.path, READ)
        except AccessUnknown as error:
            unseen.append(str(error))
        except AccessError as error:
            closed.append(str(error))
    for text in closed[:SHOWN_MAX_COUNT]:
        yield problem(CHECK, key, text, _advice(account, folder))
    if len(closed) > SHOWN_MAX_COUNT:
        yield problem(
            CHECK, key, f"and {len(closed) - SHOWN_MAX_COUNT} more that may not be read", _advice(account, folder)
        )
    for text in [*troubles.values()][:SHOWN_MAX_COUNT]:
        yield warning(CHECK, key, text, "mend it, or leave it out by 'exclude'")
    for text in unseen[:SHOWN_MAX_COUNT]:
        yield note(CHECK, key, text, "run the doctor as root to know")
    if not found and not troubles:
        advice = "files that appear later are picked up; check the path if coderd writes already"
        yield warning(CHECK, key, f"{pattern} matches no file now", advice)
    elif not closed and not unseen and found:
        yield ok(CHECK, key, f"{account.name} may read the {len(found)} file{'s' * (len(found) != 1)} of {pattern}")


def _advice(account: Account, folder: str) -> str:
    return (
        f"give {account.name} the group that may read it, by a drop-in with SupplementaryGroups= (docs/operations.md), or "
        f"an access list: setfacl -m u:{account.name}:rX {folder} and for its files, also as default (-d)"
    )


def _of_config(config: Config, account: Account) -> Iterator[Finding]:
    named: list[tuple[str, Path]] = [] if config.path is None else [("configuration", config.path.absolute())]
    for number, output in enumerate(config.outputs, start=1):
        if isinstance(output, SplunkHecOutput):
            for key in ("ca_file", "client_cert_file", "client_key_file", "proxy_auth_file"):
                path = getattr(output, key)
                if path is not None:
                    named.append((f"output[{number}].{key}", path))
    if config.coder.ca_file is not None:
        named.append(("coder.ca_file", config.coder.ca_file))
    for key, path in named:
        try:
            found = account.require(path, READ)
        except AccessUnknown as error:
            yield note(CHECK, key, str(error), "run the doctor as root to know")
            continue
        except AccessError as error:
            yield problem(CHECK, key, str(error), f"let {account.name} read it")
            continue
        if found.st_mode & stat.S_IWOTH:
            text = f"{shown(str(path), found)} may be changed by everyone on this machine"
            yield problem(CHECK, key, text, f"chmod o-w {path}")
        elif key == "configuration":
            yield ok(CHECK, key, f"{account.name} may read {path}")
