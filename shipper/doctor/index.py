"""The index: whether who looks may ask it, and whether it is up to date."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from shipper.doctor.account import READ
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.errors import AccessError, AccessMissing, AccessUnknown, ConnlogError, StateError

CHECK = "index"
FUTURE_SECONDS = 300
FUTURE_MAX_COUNT = 1000


def examine(case: Case) -> Iterator[Finding]:
    """Opened as `connlog search` opens it; events that claim a time in the future are told."""
    if case.config is None:
        return
    if not any(output.type == "index" for output in case.config.outputs):
        yield note(CHECK, "output", "there is no local index, so 'connlog search' finds nothing new")
        return
    path = case.config.state.dir / "index.db"
    # An index that is not there yet is made by the daemon.
    try:
        case.account.require(path, READ)
    except AccessMissing:
        yield note(CHECK, str(path), "is not there yet; it is made when the daemon starts")
        return
    except AccessUnknown as error:
        yield note(CHECK, str(path), str(error), "run the doctor as root, or as a member of the group connlog")
        return
    except AccessError as error:
        yield problem(CHECK, str(path), str(error), "let the service's user own it")
    try:
        found, future = _asked(path)
    except StateError as error:
        who = "usermod -a -G connlog NAME lets NAME ask it" if os.geteuid() else "'connlog index check' looks deeper"
        yield problem(CHECK, str(path), f"can't be read by who runs the doctor: {error}", who)
        return
    yield ok(CHECK, str(path), "can be asked" + ("" if found else ", and holds no event yet"))
    if future:
        count = f"{future}" if future < FUTURE_MAX_COUNT else f"{FUTURE_MAX_COUNT} or more"
        text = f"{count} events claim a time more than {FUTURE_SECONDS // 60} minutes ahead of this machine's clock"
        advice = (
            "agents set the time: look at the clocks of this machine and of the workspaces; searches by time, also in "
            "Splunk, find these events elsewhere"
        )
        yield warning("clock", str(path), text, advice)


def _asked(path: Path) -> tuple[bool, int]:
    """Whether there is any event, and how many of the future. Raises StateError."""
    # Imported here: check --connect looks at all without it.
    from shipper.index.reader import IndexReader
    from shipper.query import parse_query

    now_ns = time.time_ns()
    everything = parse_query("", now_ns)
    reader = IndexReader(path, named=False)
    try:
        since = now_ns + FUTURE_SECONDS * 1_000_000_000
        some = reader.search(
            everything, events=True, limit=1, sort="-time", since_ns=None, until_ns=None, now_ns=now_ns
        )
        ahead = reader.search(
            everything, events=True, limit=FUTURE_MAX_COUNT, sort="-time", since_ns=since, until_ns=None, now_ns=now_ns
        )
        return bool(len(some.rows)), len(ahead.rows)
    except ConnlogError as error:
        raise error if isinstance(error, StateError) else StateError(str(error)) from error
    finally:
        reader.close()
