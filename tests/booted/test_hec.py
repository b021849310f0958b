"""The service ships to Splunk's HEC with a token from the credential store: every event arrives, whatever is done to it."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator

import pytest

from tests.booted.service import CONFIG, CREDENTIAL, FILE_INPUT, UNIT, Booted
from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

pytestmark = [pytest.mark.slow, pytest.mark.booted, pytest.mark.timeout(900)]

ARRIVAL_SECONDS = 90.0
NEW_TOKEN = "6b1f0c2e-4d0e-4b5a-9d53-0f1c1e9a7b42"


def configuration(server: HecServer) -> str:
    return (
        FILE_INPUT + '[[output]]\ntype = "index"\n'
        f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{server.url}"]\ntoken_file = "hec-token"\n'
    )


@pytest.fixture
def server() -> Iterator[HecServer]:
    """A HEC with acknowledgement; the container shares the loopback address of this machine."""
    with HecServer(Token(use_ack=True), ack=AckRules()) as one:
        yield one


def arrived(server: HecServer) -> set[int]:
    """The numbers of the events that are there."""
    return {uuid.UUID(event).int - 1 for event in server.store.counts()}


def follow(booted: Booted, server: HecServer) -> None:
    booted.machine.write(CREDENTIAL, TOKEN, 0o600)
    booted.configure(configuration(server), drop_in="RestartSec=1s\n")
    booted.start_coder(to_file=True)
    booted.start()
    booted.machine.wait_for(lambda: len(arrived(server)) > 50, ("the first events", UNIT))


def all_arrived(booted: Booted, server: HecServer) -> None:
    """Every event that was logged is in the index once and in Splunk at least once."""
    count = booted.stop_coder()
    booted.await_indexed(count)
    booted.machine.wait_for(lambda: len(arrived(server)) >= count, (f"{count} events", UNIT), ARRIVAL_SECONDS)
    assert arrived(server) == set(range(count))


def test_every_event_arrives_over_restart_reload_and_kill(booted: Booted, server: HecServer) -> None:
    follow(booted, server)
    machine = booted.machine
    machine.run("systemctl", "restart", UNIT)
    booted.await_more()
    machine.kill(UNIT, signal.SIGKILL)
    booted.await_more()
    machine.write(CONFIG, configuration(server) + 'index = "security"\n')
    booted.reload()
    assert "reloaded: output splunk" in booted.said()
    booted.await_more()
    all_arrived(booted, server)
    assert server.events[-1].index == "security"


def test_a_splunk_that_is_away_is_told_of_and_holds_nothing_but_itself(booted: Booted, server: HecServer) -> None:
    follow(booted, server)
    machine = booted.machine
    server.down()
    machine.wait_for(lambda: "fails:" in machine.show(UNIT, "StatusText")["StatusText"], ("the word of it", UNIT))
    booted.await_more()
    machine.run("systemctl", "restart", UNIT)
    booted.await_more()
    server.up()
    all_arrived(booted, server)
    machine.wait_for(lambda: "fails:" not in machine.show(UNIT, "StatusText")["StatusText"], ("the end of it", UNIT))


def test_a_token_is_rotated_by_replacing_the_credential(booted: Booted, server: HecServer) -> None:
    follow(booted, server)
    machine = booted.machine
    server.tokens.put(Token(value=NEW_TOKEN, use_ack=True))
    server.tokens.drop(TOKEN)
    machine.wait_for(lambda: "fails:" in machine.show(UNIT, "StatusText")["StatusText"], ("the refusal", UNIT))
    machine.write(CREDENTIAL, NEW_TOKEN, 0o600)
    machine.run("systemctl", "restart", UNIT)
    all_arrived(booted, server)
    for secret in (TOKEN, NEW_TOKEN):
        assert secret not in booted.said()
        assert secret not in booted.connlog("status")
        assert machine.run("grep", "-rlF", secret, "/var/lib/connlog", check=False).stdout == ""


def test_a_missing_token_is_told_of_and_nothing_is_lost(booted: Booted, server: HecServer) -> None:
    machine = booted.machine
    booted.configure(configuration(server), drop_in="RestartSec=1s\n")
    booted.start_coder(to_file=True)
    booted.start()
    machine.wait_for(lambda: "hec-token" in machine.show(UNIT, "StatusText")["StatusText"], ("the word of it", UNIT))
    booted.await_more()
    machine.write(CREDENTIAL, TOKEN, 0o600)
    machine.run("systemctl", "restart", UNIT)
    all_arrived(booted, server)


def test_a_long_drain_asks_systemd_for_its_time(booted: Booted, server: HecServer) -> None:
    """It drains for longer than the unit allows, and is not killed for it."""
    machine = booted.machine
    machine.write(CREDENTIAL, TOKEN, 0o600)
    booted.configure(configuration(server), drop_in="RestartSec=1s\nTimeoutStopSec=2s\n")
    server.script.always(fault.slow_answer(4.0), to="event")
    booted.start_coder(to_file=True)
    booted.start()
    booted.await_more()
    machine.run("systemctl", "stop", UNIT)
    assert machine.show(UNIT, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert "timed out" not in booted.said()
    server.script.clear()
    booted.start()
    all_arrived(booted, server)
