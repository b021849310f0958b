"""A backup made while the daemon runs, by the commands of docs/maintenance.md, restores everything."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 60.0
EACH_COUNT = 40
PAGE = (ROOT / "docs" / "maintenance.md").read_text()


def commands(heading: str) -> str:
    """The block of commands below a heading of the page."""
    found = re.search(r"^```sh\n(.*?)^```", PAGE.partition(f"\n## {heading}\n")[2], re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Site:
    """A daemon with its log, state and backups below one folder."""

    def __init__(self, folder: Path) -> None:
        self.state, self.log, self.backups = folder / "state", folder / "coderd.log", folder / "backups"
        self.state.mkdir(mode=0o750)
        self._config = folder / "connlog.toml"
        self._config.write_text(
            f'[state]\ndir = "{self.state}"\n[metrics]\nlisten = "127.0.0.1:0"\n[[input]]\ntype = "file"\npaths = ["{self.log}"]\n'
        )
        self._daemon: subprocess.Popen[bytes] | None = None
        self.count = 0

    def start(self) -> None:
        self._daemon = subprocess.Popen([sys.executable, "-m", "shipper", "run", "-c", self._config], cwd=ROOT)

    def end(self, number: signal.Signals) -> None:
        if self._daemon is not None:
            self._daemon.send_signal(number)
            self._daemon.wait(WAIT_SECONDS)
            self._daemon = None

    def happen(self) -> None:
        """Some connections more; returns when they are in the index, each event once."""
        with self.log.open("a") as file:
            for number in range(self.count + 1, self.count + 1 + EACH_COUNT):
                file.write(
                    f"2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID={uuid.UUID(int=number)}  Type=ssh  "
                    f'WorkspaceID={uuid.UUID(int=8)}  Time="2026-09-01T10:00:00.1Z"  ConnectionStatus=connected  '
                    f"AgentName=main  Ip=10.0.0.1  ConnectionID={uuid.UUID(int=number + 10**9)}\n"
                )
        self.count += EACH_COUNT
        deadline = time.monotonic() + WAIT_SECONDS
        while self.numbers() != list(range(1, self.count + 1)):
            assert time.monotonic() < deadline, (self.count, self.numbers())
            time.sleep(0.1)

    def numbers(self) -> list[int]:
        """The numbers of the events in the index, in order."""
        try:
            db = sqlite3.connect(f"file:{self.state}/index.db?mode=ro", uri=True, timeout=60)
            try:
                return sorted(int.from_bytes(row[0], "big") for row in db.execute("SELECT event FROM events"))
            finally:
                db.close()
        except sqlite3.OperationalError:
            return []

    def shell(self, script: str) -> None:
        """Run commands of the page here: with this folder's paths, as oneself, and without systemd."""
        script = script.replace("/var/lib/connlog", str(self.state)).replace("/var/backups/connlog", str(self.backups))
        script = re.sub(r"^systemctl .*\n", "", script, flags=re.MULTILINE).replace("-o connlog -g connlog ", "")
        subprocess.run(["bash", "-euc", script], check=True, timeout=WAIT_SECONDS)


@pytest.mark.parametrize("without_journal", [False, True])
def test_what_came_after_the_backup_is_read_again_and_nothing_is_doubled(without_journal: bool, tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.start()
        site.happen()
        site.shell(commands("Backup"))
        assert os.stat(site.backups / "last/index.db").st_mode & 0o077 == 0
        site.happen()
        site.shell(commands("Backup"))
        site.happen()
        site.end(signal.SIGKILL)
        restore = commands("Restore")
        if without_journal:
            restore = re.sub(r"^.*journal\.db\n", "", restore, flags=re.MULTILINE)
        site.shell(restore)
        site.start()
        site.happen()
        assert not list(site.state.glob("*.damaged-*"))
        shutil.rmtree(site.state.with_name("state.old"))
        site.end(signal.SIGTERM)
    finally:
        site.end(signal.SIGKILL)
