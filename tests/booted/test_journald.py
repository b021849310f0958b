"""The service follows a unit in a real journal: nothing is lost or doubled, and what the journal itself destroyed has a gap."""

from __future__ import annotations

import re
import signal
import uuid

import pytest

from tests.booted.service import CODER, CONFIG, METRICS, UNIT, Booted

pytestmark = [pytest.mark.slow, pytest.mark.booted, pytest.mark.timeout(900)]

INPUT = METRICS + '[[input]]\ntype = "journald"\nunits = ["coder.service"]\n'
QUICK = "RestartSec=1s\n"
HEADERS = ("journalctl", "--header", "--no-pager")
SOURCE = "journald:coder.service"


def follow(booted: Booted, drop_in: str = QUICK) -> None:
    """coderd logs into the journal, the service reads it, and the first events are there."""
    booted.configure(INPUT, drop_in=drop_in)
    booted.start_coder()
    booted.start()
    booted.await_more()


def in_journal(booted: Booted) -> set[int]:
    """The numbers of the events that the journal still has whole, asked without connlog."""
    text = booted.machine.journal(CODER, "-o", "cat", "--all")
    return {uuid.UUID(found).int - 1 for found in re.findall(r'\bID(?:=|": ?")([0-9a-f-]{36})', text)}


def assert_no_gap(booted: Booted) -> None:
    """Nothing was lost, so nothing may be named; what was is told with all that is known of it."""
    status = booted.status()
    assert status["gaps_count"] == 0, (status["gaps"], booted.said()[-3000:], booted.machine.run(*HEADERS).stdout)


def test_nothing_is_lost_or_doubled_over_every_restart(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.run("systemctl", "restart", UNIT)
    booted.await_more()
    machine.run("systemctl", "restart", "systemd-journald.service")
    booted.await_more()
    machine.run("systemctl", "restart", CODER)
    booted.await_more()
    machine.kill(UNIT, signal.SIGKILL)
    booted.await_more()
    machine.kill(CODER, signal.SIGKILL)
    # Started before systemd has reaped it, it would be taken for one that runs.
    machine.wait_for(lambda: machine.show(CODER, "ActiveState")["ActiveState"] == "failed", "its end")
    machine.run("systemctl", "start", CODER)
    booted.await_more()
    booted.await_indexed(booted.stop_coder())
    assert_no_gap(booted)
    counters = booted.status()["sources"][SOURCE]
    assert counters["entries"] == sum(counters[key] for key in ("stored", "duplicates", "malformed", "not_ours"))


def test_nothing_is_lost_over_rotation_and_vacuum_of_what_was_read(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    for _ in range(3):
        machine.run("journalctl", "--rotate")
        booted.await_more()
        machine.run("journalctl", "--vacuum-time=1s")
        booted.await_more()
    booted.await_indexed(booted.stop_coder())
    assert_no_gap(booted)


def test_what_vacuum_destroyed_unread_is_named_by_a_gap(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.run("systemctl", "stop", UNIT)
    read = booted.indexed()
    before = booted.logged
    machine.wait_for(lambda: booted.logged > before + 100, "events that nobody reads")
    machine.run("systemctl", "stop", CODER)
    machine.run("journalctl", "--rotate")
    machine.run("systemctl", "start", CODER)
    before = booted.logged
    machine.wait_for(lambda: booted.logged > before + 300, "events in a new file")
    machine.run("journalctl", "--vacuum-time=1s")
    count = booted.logged
    left = in_journal(booted)
    destroyed = frozenset(range(len(read), count)) - left
    assert destroyed, "the journal destroyed nothing"
    booted.start()
    booted.await_more()
    logged = booted.stop_coder()
    booted.await_indexed(logged, lost=destroyed)
    machine.wait_for(lambda: booted.status().get("gaps"), ("the gap in the status", UNIT))
    (gap,) = booted.status()["gaps"]
    assert gap["gap"] == "cursor_lost"
    assert CODER in str(gap["source"])
    assert gap["from"] <= gap["to"]
    assert "GAPS  1 in all" in booted.connlog("status")
    assert "gap (cursor_lost)" in booted.said()


def test_what_journald_suppressed_is_named_by_a_gap(booted: Booted) -> None:
    booted.configure(INPUT, drop_in=QUICK)
    booted.limit_coder(burst=100, seconds=2)
    booted.start_coder()
    booted.start()
    machine = booted.machine
    machine.wait_for(lambda: booted.status().get("gaps_count", 0) > 0, ("the gap", UNIT), 60)
    booted.stop_coder()
    machine.wait_for(lambda: set(booted.indexed()) >= in_journal(booted), ("what the journal has", UNIT))
    indexed = booted.indexed()
    assert len(indexed) == len(set(indexed))
    assert "Suppressed" in machine.journal(CODER)
    assert {gap["gap"] for gap in booted.status()["gaps"]} == {"rate_limited"}


def test_a_reboot_loses_nothing(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.run("systemctl", "enable", UNIT)
    try:
        machine.reboot()
        booted.start_coder()
        booted.await_more()
        booted.await_indexed(booted.stop_coder())
        assert_no_gap(booted)
    finally:
        machine.run("systemctl", "disable", UNIT)


def test_a_reload_adds_a_file_and_leaves_the_journal_alone(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    child = machine.sh("pgrep -u connlog journalctl").strip()
    machine.sh("install -d -g adm -m 0750 /var/log/coder; echo '[info] x' >/var/log/coder/other.log")
    machine.write(CONFIG, INPUT + '[[input]]\ntype = "file"\npaths = ["/var/log/coder/*.log"]\n')
    machine.run("systemctl", "reload", UNIT)
    machine.wait_for(lambda: booted.status()["files_count"] == 1, ("the new file", UNIT))
    booted.await_more()
    assert machine.sh("pgrep -u connlog journalctl").strip() == child
    booted.await_indexed(booted.stop_coder())


@pytest.mark.parametrize("units", ['["connlog.service"]', '["coder.service", "connlog"]', '["con*.service"]'])
def test_its_own_log_is_never_read(booted: Booted, units: str) -> None:
    booted.configure(f'[[input]]\ntype = "journald"\nunits = {units}\n')
    assert booted.machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert "connlog's own log" in booted.said()
