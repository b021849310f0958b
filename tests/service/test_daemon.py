"""The daemon reads, delivers, tells what it does, and ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service.conftest import Service


def test_what_is_written_is_indexed_and_sigterm_ends_it_with_0(service: Service) -> None:
    service.write(100)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 100, "the first events")
    service.write(50)
    service.wait_for(lambda: len(service.indexed()) == 150, "the later events")
    assert service.end() == 0
    assert service.indexed() == list(range(150))
    assert service.status()["state"] == "stopped"


def test_what_is_written_before_sigterm_and_was_seen_is_drained(service: Service) -> None:
    service.write(20_000)
    service.start()
    service.wait_for(lambda: len(service.indexed()) > 0, "the first batch")
    assert service.end(signal.SIGINT) == 0
    found = service.indexed()
    assert found == list(range(len(found)))
    service.start()
    # All may be there already: then only the status tells that this daemon has begun.
    service.wait_for(lambda: service.status().get("state") == "reading", "the status")
    service.wait_for(lambda: len(service.indexed()) == 20_000, "all events")
    assert service.end() == 0


def test_what_an_output_has_left_is_said_at_the_end(service: Service) -> None:
    """Who stops it for good has to know that events wait; while Splunk is down nothing else tells."""
    token = service.config.with_name("token")
    token.write_text("t\n")
    token.chmod(0o600)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        with service.config.open("a") as config:
            config.write(
                f'[[output]]\ntype = "splunk_hec"\nendpoints = ["http://127.0.0.1:{nobody.getsockname()[1]}"]\n'
                f'token_file = "{token}"\n'
            )
        service.write(3)
        service.start()
        service.wait_for(lambda: '"pending":3' in json.dumps(service.status(), separators=(",", ":")), "the events")
        assert service.end() == 0
    assert "3 events for output splunk_hec in the journal, to be delivered after the next start" in (
        service.errors.read_text()
    )


def test_a_second_daemon_on_the_same_folder_is_refused(service: Service) -> None:
    service.start()
    service.wait_for(lambda: service.status().get("state") == "reading", "the status")
    second = subprocess.run(
        [sys.executable, "-m", "shipper", "run", "-c", str(service.config)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 4
    assert "another connlog daemon" in second.stderr
    assert "Traceback" not in second.stderr
    assert service.end() == 0


def test_the_state_folder_is_closed_to_others(service: Service) -> None:
    service.write(1)
    service.start()
    service.wait_for(lambda: bool(service.status()), "the status")
    modes = {
        name: stat.S_IMODE((service.state / name).stat().st_mode)
        for name in ("journal.db", "journal.db-wal", "lock", "running", "index.db", "status.json")
    }
    assert service.end() == 0
    assert stat.S_IMODE(service.state.stat().st_mode) == 0o750
    assert modes["journal.db"] == modes["journal.db-wal"] == modes["lock"] == 0o600
    assert modes["index.db"] == modes["status.json"] == modes["running"] == 0o640


def test_a_newer_state_folder_is_refused_and_left_as_it_is(service: Service) -> None:
    import sqlite3

    service.state.mkdir()
    db = sqlite3.connect(service.state / "journal.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    before = (service.state / "journal.db").read_bytes()
    service.start()
    assert service.wait() == 4
    assert (service.state / "journal.db").read_bytes() == before
    assert "newer connlog" in service.said()


def test_malformed_entries_and_junk_stop_nothing(service: Service) -> None:
    service.write(5)
    with service.log.open("ab") as file:
        file.write(os.urandom(5000).replace(b"\n", b"") + b"\n\x1b[31m\xff\xfe\n")
        file.write(b'{"msg":"connection_log","logger_names":["coderd"],"fields":{"ID":"nonsense","Type":"ssh"}}\n')
    service.write(5)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 10, "the events around it")
    assert service.end() == 0
    (counters,) = json.loads(json.dumps(service.status()["sources"])).values()
    assert counters["malformed"] == 1
    assert counters["entries"] == sum(counters[n] for n in ("stored", "duplicates", "malformed", "not_ours"))
    assert "quarantine" in service.said()
    assert "nonsense" not in service.said()
    assert "\x1b" not in service.said()
