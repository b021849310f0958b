"""On a full disk nothing is lost, the status says so, and a signal ends the daemon with 0. On a disk of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shipper.cli.main import main
from tests.service.conftest import Service

MOUNT = 'mount -t tmpfs -o size=6m tmpfs "$0"'
FILL = 'cat /dev/zero > "$0/fill"'
CAN_MOUNT = (
    shutil.which("unshare") is not None
    and not subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    ).returncode
)
pytestmark = pytest.mark.skipif(not CAN_MOUNT, reason="this system lets nobody mount a disk of his own")


class OnDisk(Service):
    """A daemon whose state lies on a small disk that only its process has, and others see through that."""

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "disk"
        self.disk.mkdir()
        super().__init__(folder)
        self.state = self.disk / "state"
        self.configure()

    def start_on_disk(self, *before: str) -> None:
        script = "; ".join((MOUNT, *before, 'exec "$@"'))
        command = [sys.executable, "-m", "shipper", "run", "-c", str(self.config)]
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                ["unshare", "-rm", "sh", "-c", script, str(self.disk), *command], stderr=errors, stdout=errors
            )
        self.disk = Path(f"/proc/{self.process.pid}/root{self.disk}")
        self.state = self.disk / "state"

    def fill(self) -> None:
        with (self.disk / "fill").open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def stored(self) -> int:
        """The events that are in the journal, or were."""
        sources = self.status().get("sources", {})
        assert isinstance(sources, dict)
        return sum(counters["stored"] for counters in sources.values())

    def ask(self, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """What ``connlog status`` answers, and its exit code."""
        asking = self.config.with_name("ask.toml")
        asking.write_text(f'[state]\ndir = "{self.state}"\n[[input]]\ntype = "file"\npaths = ["{self.logs}/*.log"]\n')
        capsys.readouterr()
        code = main(["status", "-c", str(asking)])
        told = capsys.readouterr()
        return code, told.out + told.err


@pytest.fixture
def service(tmp_path: Path) -> Iterator[OnDisk]:
    one = OnDisk(tmp_path)
    yield one
    if one.process is not None:
        one.process.kill()
        one.process.wait()


def test_when_it_fills_up_the_status_says_paused_and_sigterm_ends_with_0(
    service: OnDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    service.write(3)
    service.start_on_disk()
    service.wait_for(lambda: service.status().get("state") == "reading", "the start")
    service.wait_for(lambda: service.stored() == 3, "the first events")
    service.fill()
    service.write(3000)
    service.wait_for(lambda: service.status().get("state") == "paused", "the pause")
    service.write(3000)
    service.wait_for(lambda: int(str(service.status()["lag_bytes"])) > 0, "the lag, while it is paused")
    code, told = service.ask(capsys)
    assert code == 0
    assert "PAUSED" in told
    assert "no room on the disk" in told
    before = len(service.said())
    assert service.end() == 0
    ending = service.said()[before:]
    assert "nothing is lost" in ending
    assert ending.rstrip().endswith("info stopped")
    for lie in ("goes on", "try again", " error "):
        assert lie not in ending


def test_full_before_the_first_start_it_waits_holds_the_folder_and_goes_on(
    service: OnDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    service.write(3)
    service.start_on_disk(FILL)
    service.wait_for(lambda: "the start waits: " in service.said(), "the waiting")
    service.wait_for((service.state / "lock").exists, "the lock")
    code, told = service.ask(capsys)
    assert code == 1
    assert "has written no status" in told
    (service.disk / "fill").unlink()
    service.wait_for(lambda: service.stored() == 3, "the events")
    assert service.end() == 0


def test_while_the_start_waits_sigterm_ends_it_with_0(service: OnDisk) -> None:
    service.start_on_disk(FILL)
    service.wait_for(lambda: "the start waits: " in service.said(), "the waiting")
    assert service.end() == 0
    assert "stopped before anything was read" in service.said()


def test_full_before_a_later_start_the_status_says_waiting(service: OnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    service.write(3)
    run = f'{sys.executable} -m shipper run -c "{service.config}" & while ! [ -s "$0/state/status.json" ]; do :; done'
    service.start_on_disk(run, "kill $!", "wait $!", FILL)
    service.wait_for(lambda: service.status().get("state") == "waiting", "the waiting")
    code, told = service.ask(capsys)
    assert code == 0
    assert "no room on the disk" in told
    assert service.end() == 0
