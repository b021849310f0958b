"""A signal is heard from the first moment, in every wait, and only inside the block."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from shipper.service.stop import Stop

if TYPE_CHECKING:
    from tests.service.conftest import Service

LONG_SECONDS = 60.0


def test_a_signal_asks_for_the_end_and_the_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(LONG_SECONDS)
        assert stop.asked
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_wait_ends_when_another_thread_asks() -> None:
    stop = Stop()
    threading.Thread(target=stop.ask).start()
    began = time.monotonic()
    assert stop.wait(LONG_SECONDS)
    assert time.monotonic() - began < LONG_SECONDS


def test_a_wait_that_nobody_ends_says_so() -> None:
    assert not Stop().wait(0.01)


def test_a_signal_before_the_configuration_is_read_ends_it_with_0(service: Service) -> None:
    text = service.config.read_bytes()
    service.config.unlink()
    # It stands in the middle of its start until somebody writes the rest of its configuration.
    os.mkfifo(service.config)
    service.start()
    end = -1

    def is_read() -> bool:
        nonlocal end
        try:
            end = os.open(service.config, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        return True

    service.wait_for(is_read, "the start")
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    os.write(end, text)
    os.close(end)
    assert service.wait() == 0
    assert not service.state.exists()


def test_a_terminal_that_is_closed_ends_the_daemon(service: Service) -> None:
    """Elsewhere SIGHUP is a reload; a daemon that nobody sees any more should not stay."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "shipper", "run", "-c", str(service.config)], stderr=theirs, stdin=subprocess.DEVNULL
    )
    os.close(theirs)
    try:
        service.wait_for(lambda: bool(service.status()), "the start")
        process.send_signal(signal.SIGHUP)
        assert process.wait(LONG_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
