"""The service follows a file of coderd's, installed as README says, and loses nothing however it is stopped."""

from __future__ import annotations

import signal

import pytest

from tests.booted.service import FILE_INPUT, UNIT, Booted

pytestmark = [pytest.mark.slow, pytest.mark.booted, pytest.mark.timeout(400)]


def test_nothing_is_lost_or_doubled_over_restart_and_kill(booted: Booted) -> None:
    booted.configure(FILE_INPUT)
    booted.start_coder(to_file=True)
    booted.start()
    machine = booted.machine
    machine.wait_for(lambda: len(booted.indexed()) > 50, ("the first events", UNIT))
    machine.run("systemctl", "restart", UNIT)
    before = booted.logged
    machine.wait_for(lambda: len(booted.indexed()) > before + 50, ("events after the restart", UNIT))
    pid = machine.show(UNIT, "MainPID")["MainPID"]
    machine.kill(UNIT, signal.SIGKILL)
    machine.wait_for(lambda: machine.show(UNIT, "MainPID")["MainPID"] not in ("0", pid), ("a new process", UNIT))
    before = booted.logged
    machine.wait_for(lambda: len(booted.indexed()) > before + 50, ("events after the kill", UNIT))
    booted.await_indexed(booted.stop_coder())
    assert "code=killed, status=9/KILL" in booted.said()
