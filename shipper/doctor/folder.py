"""The state folder: whether the service's user may work in it, and who else may look into it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from shipper.doctor.account import ENTER, WRITE, Account, shown, user_name
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.errors import AccessError, AccessUnknown

CHECK = "state"
MODES = {"lock": 0o600, "journal.db": 0o600, "index.db": 0o640, "status.json": 0o640, "running": 0o640}
FOLDER_MODE = 0o750
NAMES_MAX_COUNT = 1000
_SIDES = ("-wal", "-shm", "-journal")


def examine(case: Case) -> Iterator[Finding]:
    """Its owner, its mode, and those of every file in it."""
    if case.config is None:
        return
    folder, account = case.config.state.dir, case.account
    there = folder
    while not _is_there(there) and there != there.parent:
        there = there.parent
    try:
        found = account.require(there, WRITE | ENTER)
    except AccessUnknown as error:
        yield note(CHECK, str(folder), str(error), "run the doctor as root to know")
        return
    except AccessError as error:
        if there != folder and case.unit is not None:
            yield note(CHECK, str(folder), "is not there yet; systemd makes it when the service starts")
            return
        advice = f"chown {account.name} {there}; a daemon that was started by another user may have made it"
        owner = _owner(there)
        if case.unit is None and account.uid == os.geteuid() and owner not in (None, account.name):
            # Who looks need not be who runs it: a member of the group who took the folder over would stop the daemon.
            advice = f"if {owner} runs the daemon, look as that user: sudo connlog doctor --user {owner}; else {advice}"
        yield problem(CHECK, str(folder), str(error), advice)
        return
    if there != folder:
        yield note(CHECK, str(folder), "is not there yet; it is made when the daemon starts")
        return
    if stat.S_IMODE(found.st_mode) & ~FOLDER_MODE:
        text = f"{shown(str(folder), found)} is open to others than its group"
        yield warning(CHECK, str(folder), text, f"chmod {FOLDER_MODE:o} {folder}")
    yield from _files(folder, account)


def _owner(path: Path) -> str | None:
    try:
        return user_name(path.stat().st_uid)
    except OSError:
        return None


def _files(folder: Path, account: Account) -> Iterator[Finding]:
    try:
        names = sorted(os.listdir(folder))[:NAMES_MAX_COUNT]  # noqa: PTH208 - names are wanted, not paths
    except OSError as error:
        yield note(CHECK, str(folder), f"can't be listed: {error.strerror}", "run the doctor as root to know")
        return
    clean = True
    damaged = [name for name in names if ".damaged-" in name]
    for name in names:
        path = folder / name
        try:
            found = path.lstat()
        except OSError:
            continue  # gone meanwhile
        if not stat.S_ISREG(found.st_mode):
            continue
        mode = MODES.get(_base(name), 0o640)
        if found.st_uid != account.uid and not account.all_powerful:
            clean = False
            text = f"{path} belongs to {user_name(found.st_uid)}, so {account.name} may not be able to write it"
            advice = f"chown {account.name}: {path}; run commands that write, such as backfill, as {account.name}"
            yield problem(CHECK, str(path), text, advice)
        if stat.S_IMODE(found.st_mode) & 0o777 & ~mode:
            clean = False
            text = f"{shown(str(path), found)} is open to more than it should be"
            yield warning(CHECK, str(path), text, f"chmod {mode:o} {path}")
    if damaged:
        text = f"{len(damaged)} damaged journals were put aside; what could be read of them was taken over"
        yield warning(CHECK, str(folder), text, "look for a failing disk (journalctl -k), then remove them")
    if clean:
        yield ok(CHECK, str(folder), f"{len(names)} files, all {account.name}'s and closed to others")


def _base(name: str) -> str:
    for side in _SIDES:
        name = name.removesuffix(side)
    return "journal.db" if name.startswith("journal.") else name


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # let looking say why not
    return True
