"""The versions: of Python, SQLite, connlog and what it keeps, and whether they go together."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from shipper import __version__
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, ok, problem, warning
from shipper.doctor.unit import ask
from shipper.errors import ServiceError
from shipper.index.schema import MIGRATIONS
from shipper.journal.sql import SCHEMA_VERSION
from shipper.service.installation import hindrances, own_program
from shipper.vintage import vintage_of

CHECK = "versions"
PYTHON_LEAST = (3, 11)
SQLITE_LEAST = (3, 35, 0)
"""The first with RETURNING."""


def examine(case: Case) -> Iterator[Finding]:
    """Of what runs, what is installed, and what the databases were written by."""
    yield ok(
        CHECK,
        "connlog",
        f"connlog {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.release()}",
    )
    if sys.version_info < PYTHON_LEAST:
        yield problem(CHECK, "Python", f"{platform.python_version()} is too old", "install Python 3.11 or newer")
    if sqlite3.sqlite_version_info < SQLITE_LEAST:
        yield problem(CHECK, "SQLite", f"{sqlite3.sqlite_version} is too old", "install SQLite 3.35 or newer")
    if case.unit is not None:
        yield from _program(case)
    if case.config is None:
        return
    for name, known in (("journal.db", SCHEMA_VERSION), ("index.db", len(MIGRATIONS))):
        path = case.config.state.dir / name
        try:
            version = vintage_of(path)
        except OSError:
            continue  # told by the check of the state folder
        if version > known:
            text = f"was written by a newer connlog (schema {version}, this one knows {known})"
            yield problem(CHECK, str(path), text, "install that version again; this one refuses to touch it")
        elif version and version < known:
            text = f"has schema {version}, this connlog {known}"
            yield warning(CHECK, str(path), text, "restart the daemon, which brings it up to date")
        elif version:
            yield ok(CHECK, str(path), f"has schema {version}, as this connlog")


def _program(case: Case) -> Iterator[Finding]:
    """What the unit starts, and whether the service's user can."""
    assert case.unit is not None
    started = next(iter(case.unit.settings("ExecStart")[-1:]), "").lstrip("-@:+!").split()
    program = started[0] if started else ""
    try:
        own = own_program()
    except ServiceError:
        own = None
    if own is not None and program == str(own):
        for text in hindrances(own):
            yield problem(CHECK, case.unit.name, text, "install it where all may read, such as /opt/connlog")
    if not program or (own is not None and Path(program).resolve() == own.resolve()):
        return
    try:
        said = ask(program, "--version")
    except ServiceError as error:
        yield problem(CHECK, case.unit.name, f"starts {program}: {error}", "'connlog service install' renews the unit")
        return
    version = said.out.strip().rpartition(" ")[2]
    if said.code or version != __version__:
        text = f"starts {program}, version {version or 'unknown'}; this is {own or 'a connlog'} {__version__}"
        yield warning(
            CHECK, case.unit.name, text, "run the doctor of that installation, or 'connlog service install' of this"
        )
