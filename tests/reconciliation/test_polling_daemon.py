"""The daemon fills by the input coder_api what the log has lost, once, and ends in time whatever Coder does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.coder.world import Event
from tests.reconciliation.conftest import Clock, ago, rows


def test_the_daemon_ends_while_coder_keeps_the_input_waiting(config: Path, coder: CoderServer, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace('timeout = "5s"', 'timeout = "10m"'))
    coder.fail(fault.slow(600, "/api/v2/connectionlog"), times=99)
    with daemon(config):
        poll_until(tmp_path, lambda: "/api/v2/connectionlog" in coder.begun())


@contextmanager
def daemon(config: Path) -> Iterator[int]:
    """A daemon with this configuration, which ends as it should."""
    with (config.parent / "stderr").open("ab") as errors:
        process = subprocess.Popen([sys.executable, "-m", "shipper", "run", "-c", str(config)], stderr=errors)
    try:
        yield process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def poll_until(folder: Path, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (folder / "stderr").read_text()
        time.sleep(0.05)


def test_the_daemon_fills_a_gap_and_adds_nothing_twice(
    config: Path, scene: Scene, clock: Clock, tmp_path: Path
) -> None:
    scene.world.log(
        scene.web(1, scene.bob, time=ago(clock, 600)), scene.event(2, time=ago(clock, 500), connection_id=scene.bob.id)
    )
    polled: list[str | None] = [None]
    for _ in range(2):
        with daemon(config) as pid:
            poll_until(
                tmp_path, lambda: feed_time(tmp_path, pid) not in polled and len(rows(tmp_path, events=True)) >= 2
            )  # used at once
            polled.append(feed_time(tmp_path, pid))
    assert len(rows(tmp_path, events=True)) == 2


def test_the_log_and_the_api_together_give_each_event_once(
    config: Path, scene: Scene, clock: Clock, tmp_path: Path
) -> None:
    """Both inputs tell of the first two, the API alone of the third, the log alone of the fourth."""
    log = tmp_path / "coderd.log"
    events = [scene.web(n, scene.bob, time=ago(clock, 600 - n)) for n in (1, 2, 3, 4)]
    lines = [json_line_of(event) for event in events]
    log.write_bytes(lines[0] + lines[3])
    scene.world.log(*events[:3])
    config.write_text(config.read_text() + f'[[input]]\ntype = "file"\npaths = ["{log}"]\n')
    with daemon(config) as pid:
        poll_until(tmp_path, lambda: len(rows(tmp_path, events=True)) == 4 and feed_time(tmp_path, pid) is not None)
        with log.open("ab") as file:
            file.write(lines[1])
        poll_until(tmp_path, lambda: duplicates(tmp_path) >= 1)
    found = {row.id: row.log.format for row in rows(tmp_path, events=True)}
    assert [found[event.id] for event in events] == ["json", "api", "api", "json"]


def json_line_of(event: Event) -> bytes:
    """The line that coderd writes of an event."""
    stamp = event.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    fields = {
        "ID": event.id, "Time": stamp, "OrganizationID": event.organization_id, "WorkspaceID": event.workspace_id,
        "WorkspaceOwnerID": event.workspace_owner_id, "WorkspaceName": event.workspace_name,
        "AgentName": event.agent_name, "Type": event.type, "Code": event.code, "Ip": event.ip, "UserID": event.user_id,
        "SlugOrPort": event.slug_or_port, "ConnectionID": None, "ConnectionStatus": event.status,
    }  # fmt: skip
    line = {"ts": stamp, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(line).encode() + b"\n"


def duplicates(folder: Path) -> int:
    """Copies that the daemon has counted, of all sources."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return 0
    return sum(one["duplicates"] for one in status["sources"].values())


def feed_time(folder: Path, pid: int) -> str | None:
    """Up to when the daemon of this process has compared."""
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return None
    return status["feeds"][0]["at"] if status["pid"] == pid and status["feeds"] else None
