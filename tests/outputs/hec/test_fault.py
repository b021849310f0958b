"""A fault of connlog's own in one output is told and tried again; it ends neither the output's other threads nor the daemon."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from shipper.outputs.hec.supply import Supply
from shipper.service import dispatch
from tests.hec.server import HecServer
from tests.outputs.hec.conftest import Rig, name, wait


def fail_at(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Some of the takes fail with what nobody thought of, after they have taken something."""
    take, count = Supply.take, itertools.count(1)

    def failing(self: Supply, *arguments: Any, **options: Any) -> Any:
        taken = take(self, *arguments, **options)
        if next(count) in numbers:
            raise ZeroDivisionError
        return taken

    monkeypatch.setattr(Supply, "take", failing)


def test_a_lane_that_fails_begins_anew_and_what_it_had_is_sent(
    rig: Rig, server: HecServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "FAULT_FIRST_SECONDS", 0.1)
    fail_at(monkeypatch, 2, 3, 7)
    for first in range(0, 200, 20):
        rig.append(*range(first, first + 20))
    rig.start(batch_max_events=10, in_flight=2)
    assert rig.delivered()
    assert server.store.counts().keys() == {name(number) for number in range(200)}
    assert server.store.duplicates() <= rig.state().possible_duplicates
    assert caplog.text.count("please report it") >= 3
    assert wait(lambda: rig.state().held is None)
    rig.append(500)
    assert rig.delivered()
    assert name(500) in server.store.counts()


def test_while_it_rests_the_fault_is_its_last_error_and_it_ends_in_time(
    rig: Rig, server: HecServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "FAULT_FIRST_SECONDS", 3600.0)
    fail_at(monkeypatch, 1)
    rig.append(1)
    running = rig.start(in_flight=1)
    assert wait(lambda: "ZeroDivisionError" in (running.last_error or ""))
    assert not len(server.store)
    rig.stop()
    rig.start()
    assert rig.delivered()
    assert rig.state().possible_duplicates == 0
