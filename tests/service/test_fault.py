"""A daemon that is killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Service

KILLS = int(os.environ.get("CONNLOG_KILLS", "12"))
SEED = int(os.environ.get("CONNLOG_SEED", "20260901"))


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_event_is_in_the_index_once_however_often_the_daemon_is_killed(service: Service) -> None:
    chance = random.Random(SEED)
    service.write(1)
    service.start()
    # A file that was rotated away before connlog has ever seen it is an archive.
    service.wait_for(lambda: len(service.indexed()) == 1, "the first event")
    assert service.end() == 0
    for _ in range(KILLS):
        service.start()
        until = time.monotonic() + chance.uniform(0.2, 1.6)
        while time.monotonic() < until:
            service.write(chance.randrange(1, 200))
            if chance.random() < 0.15:
                for number in range(400, 0, -1):
                    old = service.logs / f"coderd.log.{number}"
                    if old.exists():
                        old.rename(service.logs / f"coderd.log.{number + 1}")
                service.log.rename(service.logs / "coderd.log.1")
            time.sleep(chance.uniform(0, 0.05))
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        if chance.random() < 0.5:
            service.write(100)
            service.log.rename(service.logs / f"coderd-2026-01-02T15-04-{service.written:09d}.log")
    service.write(10)
    service.start()
    deadline = time.monotonic() + 60
    while len(service.indexed()) < service.written and time.monotonic() < deadline:
        time.sleep(0.1)
    assert service.end() == 0
    found = service.indexed()
    missing = sorted(set(range(service.written)) - set(found))
    assert not missing, (
        f"{len(missing)} of {service.written} are missing, from {missing[0]} to {missing[-1]}; gaps: {service.status()['gaps']}"
    )
    assert len(found) == service.written
    assert service.status()["gaps_count"] == 0
    db = sqlite3.connect(service.state / "journal.db")
    counts = db.execute(
        "SELECT SUM(entries), SUM(stored + duplicates + malformed + not_ours), SUM(stored) FROM counters"
    )
    entries, accounted, stored = counts.fetchone()
    db.close()
    assert entries == accounted
    assert stored == service.written
