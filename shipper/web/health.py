"""The health: why a daemon is not alive, or not ready, in sentences; none means it is."""

from __future__ import annotations

from itertools import islice

from shipper.status import Status

STATUS_AGE_MAX_SECONDS = 30.0
"""The main thread makes a status each second; an older one means that it hangs."""
TROUBLES_SHOWN_COUNT = 3


def not_alive(status: Status | None, age_seconds: float) -> list[str]:
    """Why the process should be started again: a thread of it makes no progress."""
    if status is None:
        return []
    reasons = [f"the thread {name} makes no progress" for name in status.stalled]
    if age_seconds > STATUS_AGE_MAX_SECONDS:
        reasons.append(f"the main thread makes no progress for {age_seconds:.0f} seconds")
    return reasons


def not_ready(status: Status | None) -> list[str]:
    """Why events don't get through: a full journal or disk, a failing output, no input that can be read."""
    if status is None:
        return ["starting"]
    if status.state in ("stopping", "stopped"):
        return [status.state]
    reasons = [] if status.paused is None else [f"reading is paused: {status.paused}"]
    reasons += [f"output {o.name} fails: {o.last_error}" for o in status.outputs if o.last_error is not None]
    if not status.files_count and not any(feed.state != "retrying" for feed in status.feeds):
        troubles = "; ".join(islice(status.troubles.values(), TROUBLES_SHOWN_COUNT))
        reasons.append(f"no input can be read: {troubles or 'no file matches the paths of any input'}")
    return reasons
