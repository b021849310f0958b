"""The facts: the status of a running daemon, put together from its parts."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shipper import __version__
from shipper.config import State
from shipper.journal import Journal, OutputState
from shipper.service.crew import Crew
from shipper.service.listener import Listener
from shipper.status import FILES_MAX_COUNT, GAPS_MAX_COUNT, Drift, OutputStatus, Status, worst_of
from shipper.timestamp import from_ns

if TYPE_CHECKING:
    from shipper.service.naming import Naming


def gather(
    journal: Journal,
    crew: Crew,
    naming: Naming | None,
    *,
    limits: State,
    started: str,
    state: str,
    listener: Listener,
    refused: str | None,
    reloads_count: int,
    reloaded: list[str],
) -> Status:
    """The status as of now; ``state`` is the daemon's own word. Raises StateError."""
    readings = crew.readings
    views = [reading.view for reading in readings]
    files = [file for view in views for file in view.files]
    feeds = [feed for view in views for feed in view.feeds]
    troubles = {name: trouble for view in views for name, trouble in view.troubles.items()}
    if listener.trouble is not None:
        troubles["metrics.listen"] = listener.trouble
    # Together: counts of one moment, among which entries = stored + duplicates + malformed + not ours.
    with journal.at_once():
        gaps_count, gaps = journal.gaps(GAPS_MAX_COUNT)
        sources, depth, states = journal.counters(), journal.depth(), journal.outputs()
        quarantine = journal.quarantine_size()
        drift = [Drift(name, from_ns(first), count) for name, first, count in journal.drift()]
    paused = next((reading.paused for reading in readings if reading.paused is not None), None)
    now = time.monotonic()
    pulses = [*crew.pulses, *([] if naming is None else [naming.pulse])]
    return Status(
        version=__version__,
        pid=os.getpid(),
        started=started,
        updated=from_ns(time.time_ns()),
        state="paused" if paused and state == "reading" else state,
        paused=paused,
        files=worst_of(files),
        files_count=len(files),
        lag_bytes=sum(file.lag_bytes for file in files) + sum(feed.lag_bytes for feed in feeds),
        feeds=feeds[:FILES_MAX_COUNT],
        troubles=dict(sorted(troubles.items())[:FILES_MAX_COUNT]),
        sources=sources,
        journal=depth,
        journal_max_bytes=limits.journal_max_bytes,
        outputs=_output_states(states, crew),
        gaps_count=gaps_count,
        gaps=gaps,
        quarantine=quarantine,
        quarantine_max_bytes=limits.quarantine_max_bytes,
        drift=drift,
        stalled=[pulse.name for pulse in pulses if pulse.stalled(now)],
        metrics=listener.url,
        refused=refused,
        reloads_count=reloads_count,
        reloaded=reloaded,
        names=None if naming is None else naming.status,
    )


def _output_states(outputs: Sequence[OutputState], crew: Crew) -> list[OutputStatus]:
    states = {state.name: state for state in outputs}
    found: list[OutputStatus] = []
    for sending in crew.sendings:
        state = states[sending.name]
        # The cursor of an output to Splunk moves over what its filter leaves out too.
        success_ns = sending.last_success_ns or (state.advanced_ns if sending.hec is None else None)
        success = from_ns(success_ns) if success_ns is not None else None
        found.append(
            OutputStatus(
                sending.name,
                state.cursor,
                state.pending,
                success,
                sending.last_error,
                sending.errors_count,
                sending.hec,
                sending.taken_count,
                list(sending.latency.counts),
                sending.latency.sum_seconds,
            )
        )
    return found
