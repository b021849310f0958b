"""The service manager is told by datagrams of sd_notify(3), by path or abstract name, and never stops the daemon."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.service.herald import STATUS_MAX_CHARS, Herald, _status

if TYPE_CHECKING:
    from tests.service.conftest import Service


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[socket.socket, str]:
    """A socket as systemd has it, and its name for $NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@connlog-test-{os.getpid()}-{time.monotonic_ns()}"
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind(name if request.param == "path" else b"\0" + name[1:].encode())
    one.settimeout(30)
    return one, name


def heard(one: socket.socket) -> dict[str, str]:
    """The next datagram, by key."""
    return dict(line.split("=", 1) for line in one.recv(65536).decode().split("\n"))


def test_every_message_has_the_keys_that_systemd_knows(manager: tuple[socket.socket, str]) -> None:
    one, name = manager
    herald = Herald({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
    assert herald.watchdog_seconds == 3.0
    herald.ready("up")
    assert heard(one) == {"READY": "1", "STATUS": "up"}
    before = time.monotonic_ns() // 1000
    herald.reloading()
    told = heard(one)
    assert told["RELOADING"] == "1"
    assert before <= int(told["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    herald.tell("fine", alive=True)
    assert heard(one) == {"STATUS": "fine", "WATCHDOG": "1"}
    herald.tell("hangs", alive=False)
    assert heard(one) == {"STATUS": "hangs"}
    herald.extend(1.5)
    assert heard(one) == {"EXTEND_TIMEOUT_USEC": "1500000"}
    herald.stopping("bye")
    assert heard(one) == {"STOPPING": "1", "STATUS": "bye"}
    herald.close()
    herald.ready("nobody hears it")
    one.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "much"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": "5000000"}, 5.0),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_fed_where_it_is_meant_for_this_process(environ: dict[str, str], seconds: float | None) -> None:
    assert Herald(environ).watchdog_seconds == seconds


@given(text=st.text())
def test_a_status_is_one_line_and_no_other_message(text: str) -> None:
    line = _status(text)
    assert line.startswith("STATUS=")
    assert line.isprintable()
    assert len(line) <= STATUS_MAX_CHARS + len("STATUS=")


def test_a_manager_that_is_gone_or_does_not_read_stops_nobody(tmp_path: Path) -> None:
    for nowhere in (str(tmp_path / "nowhere"), "no path"):
        herald = Herald({"NOTIFY_SOCKET": nowhere})
        herald.ready("x")
        herald.close()
    one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.bind(str(tmp_path / "deaf"))
    herald = Herald({"NOTIFY_SOCKET": str(tmp_path / "deaf")})
    for _ in range(1000):
        herald.tell("x" * STATUS_MAX_CHARS, alive=True)
    herald.close()
    one.close()


def test_the_daemon_tells_of_its_start_its_reload_and_its_end(
    service: Service, manager: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, name = manager
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    service.write(3)
    service.start()

    def until(key: str) -> dict[str, str]:
        while key not in (told := heard(one)):
            pass
        return told

    assert "sources" in until("READY")["STATUS"]
    while "3 events stored" not in until("WATCHDOG")["STATUS"]:
        pass
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    until("RELOADING")
    until("READY")
    service.process.send_signal(signal.SIGTERM)
    until("STOPPING")
    until("EXTEND_TIMEOUT_USEC")
    assert service.wait() == 0
    one.close()
