"""A daemon whose system has no word for it, and one for which the system lost its words, find everything by looking."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Service

NONE_LEFT = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
MAY_FORBID = (
    shutil.which("unshare") is not None
    and not subprocess.run(
        ["unshare", "-r", "sh", "-c", NONE_LEFT, "sh", "true"], capture_output=True, check=False
    ).returncode
)


def rotate(service: Service, number: int) -> None:
    service.log.rename(service.log.with_name(f"coderd-2026-01-02T15-04-{number:02d}.000.log"))


@pytest.mark.skipif(not MAY_FORBID, reason="this system has no user namespaces with limits of their own")
def test_where_inotify_may_not_be_used_files_are_found_by_polling(service: Service) -> None:
    """In a user namespace that is allowed no instance: what a machine without inotify answers."""
    service.write(3)
    command = [sys.executable, "-m", "shipper", "run", "-c", str(service.config)]
    with service.errors.open("ab") as errors:
        service.process = subprocess.Popen(
            ["unshare", "-r", "sh", "-c", NONE_LEFT, "sh", *command], stderr=errors, stdout=errors
        )
    service.wait_for(lambda: len(service.indexed()) == 3, "the first events")
    assert "found by polling alone" in service.said()
    for number in range(3):
        service.write(2)
        rotate(service, number)
        service.write(2)
        service.wait_for(lambda: len(service.indexed()) == service.written, "what was rotated and what came after")
    assert service.end() == 0
    assert service.indexed() == list(range(service.written))


@pytest.mark.skipif(not QUEUE.exists(), reason="only Linux has inotify")
def test_what_an_overflow_of_inotify_lost_is_found(service: Service) -> None:
    """The daemon stands still while more happens in the folder than the system remembers for it."""
    service.write(3)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the first events")
    assert service.process is not None
    watches = [
        link
        for link in Path(f"/proc/{service.process.pid}/fd").iterdir()
        if link.is_symlink() and os.readlink(link) == "anon_inode:inotify"  # noqa: PTH115 - no path it leads to
    ]
    assert watches
    service.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(int(QUEUE.read_text()) // 2 + 100):
            passing = service.logs / "passing"
            passing.touch()
            passing.unlink()
        # No word of these reaches the daemon any more.
        for number in range(3):
            service.write(2)
            rotate(service, number)
        service.write(2)
    finally:
        service.process.send_signal(signal.SIGCONT)
    service.wait_for(lambda: len(service.indexed()) == service.written, "everything after the overflow")
    assert service.end() == 0
    assert service.indexed() == list(range(service.written))
