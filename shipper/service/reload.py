"""The reload from outside: asks the daemon of a state folder to load its configuration again, and waits for its word."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from shipper.errors import ConfigError, ServiceError
from shipper.service.lock import holder_of
from shipper.status import read_status

ANSWER_SECONDS = 45.0
"""The daemon waits up to 30 seconds for what it replaces to end."""
LOOK_SECONDS = 0.05


def reload_daemon(folder: Path) -> list[str]:
    """Ask and wait; returns what changed, in words. Raises ConfigError where the daemon refuses, and goes on as before,
    ServiceError where none answers, StateError."""
    holder = holder_of(folder)
    if holder is None or holder.pid is None:
        raise ServiceError(
            f"no daemon runs on {folder}; start it, or restart it where state.dir has changed, which a reload can't do"
        )
    before = read_status(folder)
    count = before.reloads_count if before is not None and before.pid == holder.pid else 0
    try:
        os.kill(holder.pid, signal.SIGHUP)
    except OSError as error:
        raise ServiceError(
            f"process {holder.pid} can't be told to reload: {error.strerror}; ask as its user"
        ) from error
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        status = read_status(folder)
        if status is not None and status.pid == holder.pid and status.reloads_count > count:
            if status.refused is not None:
                raise ConfigError(status.refused.split("; "))
            return status.reloaded
        if holder_of(folder) != holder:
            raise ServiceError("the daemon has ended meanwhile; its own log says why")
        time.sleep(LOOK_SECONDS)
    raise ServiceError(
        f"process {holder.pid} gives no word of the reload in {ANSWER_SECONDS:.0f} seconds; 'connlog status' says what it does"
    )
