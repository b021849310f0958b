"""Health says why: what hangs makes a daemon not alive, what keeps events from getting through makes it not ready."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shipper.service.pulse import STALL_SECONDS, Pulse
from shipper.status import OutputStatus, Status
from shipper.web.health import STATUS_AGE_MAX_SECONDS, not_alive, not_ready


def test_a_healthy_daemon_gives_no_reason(status: Callable[..., Status]) -> None:
    assert not_alive(status(), 1.0) == []
    assert not_ready(status()) == []


def test_a_thread_that_hangs_is_named(status: Callable[..., Status]) -> None:
    assert not_alive(status(stalled=["reader"]), 1.0) == ["the thread reader makes no progress"]
    assert "main thread" in not_alive(status(), STATUS_AGE_MAX_SECONDS + 1)[0]
    assert not_ready(status(stalled=["reader"])) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"paused": "the journal has reached state.journal_max", "state": "paused"}, "journal_max"),
        ({"outputs": [OutputStatus("index", 1, 1, None, "no room")]}, "output index fails: no room"),
        ({"files": [], "files_count": 0, "troubles": {"/f": "/f: permission denied"}}, "/f: permission denied"),
        ({"files": [], "files_count": 0}, "no file matches"),
        ({"state": "stopping"}, "stopping"),
    ],
)
def test_what_keeps_events_from_getting_through_is_told(
    status: Callable[..., Status], changes: dict[str, object], word: str
) -> None:
    (reason,) = not_ready(status(**changes))
    assert word in reason
    assert not_alive(status(**changes), 1.0) == []


def test_a_pulse_is_late_only_after_its_rest_and_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pulse = Pulse("x")
    assert not pulse.stalled(1e18)  # not begun
    pulse.beat(60)
    assert not pulse.stalled(now + 60 + STALL_SECONDS)
    assert pulse.stalled(now + 61 + STALL_SECONDS)
    pulse.beat()
    assert pulse.stalled(now + 1 + STALL_SECONDS)
    pulse.end()
    assert not pulse.stalled(1e18)
