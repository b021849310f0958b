"""The daemon: what it says of itself that should not stay so."""

from __future__ import annotations

import time
from collections.abc import Iterator

from shipper import __version__
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.status import OLD_SECONDS, Status, status_ns

CHECK = "daemon"
TROUBLES_MAX_COUNT = 20
BACKLOG_SECONDS = 900.0
"""Events that wait longer in the journal are behind."""


def examine(case: Case) -> Iterator[Finding]:
    """Whether it runs and is heard of, and each trouble in its status."""
    if case.config is None:
        return
    folder = str(case.config.state.dir)
    if case.alive is None:
        return
    if not case.alive:
        advice = "systemctl start connlog" if case.unit is not None else "start 'connlog run'"
        yield problem(CHECK, folder, "no daemon runs on this state folder, so nothing is read", advice)
    status = case.status
    if status is None:
        return
    heard_ns = status_ns(case.config.state.dir)
    age_seconds = 0.0 if heard_ns is None else (time.time_ns() - heard_ns) / 1e9
    if case.alive and age_seconds > OLD_SECONDS:
        what = f"process {status.pid} was last heard of {age_seconds:.0f} seconds ago"
        yield problem(CHECK, folder, what, "its own log says where its threads stand; restart it")
    elif case.alive:
        yield ok(CHECK, folder, f"process {status.pid} is {status.state}")
    if case.alive and status.version != __version__:
        what = f"version {status.version} runs, and {__version__} is installed"
        yield warning(CHECK, folder, what, "restart the daemon: systemctl restart connlog")
    yield from _troubles(status, folder)


def _troubles(status: Status, folder: str) -> Iterator[Finding]:
    see = "'connlog status' has the details"
    for name in status.stalled:
        yield problem(CHECK, name, "this thread makes no progress", "its own log says where it stands; restart it")
    if status.paused:
        yield problem(
            CHECK, folder, f"reading is paused: {status.paused}", "make room, or mend the output that is behind"
        )
    if status.refused:
        what = f"the last reload was refused, the former configuration is at work: {status.refused}"
        yield warning(CHECK, "reload", what, "mend it and reload again")
    for name, trouble in list(status.troubles.items())[:TROUBLES_MAX_COUNT]:
        yield problem(CHECK, name, trouble, "see also the findings on permissions and the sandbox")
    if len(status.troubles) > TROUBLES_MAX_COUNT:
        yield problem(CHECK, folder, f"and {len(status.troubles) - TROUBLES_MAX_COUNT} more that can't be read", see)
    for output in status.outputs:
        if output.last_error is not None:
            yield problem(
                CHECK, f"output {output.name}", f"fails: {output.last_error}", "it is tried again; mend the cause"
            )
        if output.hec is not None and output.hec.held is not None:
            yield problem(CHECK, f"output {output.name}", f"holds everything: {output.hec.held}", "mend that")
    if status.journal.oldest_ns is not None:
        waits = (time.time_ns() - status.journal.oldest_ns) / 1e9
        if status.journal.events and waits > BACKLOG_SECONDS:
            what = f"{status.journal.events} events wait in the journal, the oldest for {waits / 60:.0f} minutes"
            yield warning(CHECK, "journal", what, f"an output is behind: {see}")
    if status.gaps_count:
        what = f"{status.gaps_count} gaps are recorded: lines that were lost before they could be read"
        yield warning(CHECK, "gaps", what, "'connlog status' says where and why; see the finding on rotation")
    if status.quarantine.count:
        what = f"{status.quarantine.count} entries are in the quarantine"
        yield note(CHECK, "quarantine", what, "'connlog quarantine ls' shows why; replay or drop them")
    if status.drift:
        what = (
            f"{len(status.drift)} keys, types or forms in the logs are unknown to this version; their events are kept"
        )
        yield note(CHECK, "drift", what, "an upgrade of connlog may know them")
