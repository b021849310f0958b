"""The console: records what the commands in the pages' ```` ```console ```` blocks print, so that no page shows what isn't so.

``python demo/console.py`` runs each command behind a ``$`` on an index of ``tests/samples`` and writes what it printed
below it, long lines cut; with ``--check`` it only compares, and ends with 1 where a page is stale. The samples are of January 2026: so that
no answer depends on the day, sessions are called ongoing for ever here.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "tests" / "samples"
SEEN_AS = "/var/log/coder"
"""Where the pages have the samples lie."""
HOST = "coder-1"
COMMAND_SECONDS_MAX = 60.0
LINE_MAX_CHARACTERS = 150
"""Longer lines are cut in the pages, with an ellipsis."""

CONFIG = """\
[state]
dir = "{folder}/state"

[[input]]
type = "file"
paths = ["{folder}/logs/*.log"]

[[output]]
type = "index"
ongoing_max = "forever"

[metrics]
listen = ""
"""

_blocks = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Console:
    """A folder with an index of the samples, in which commands are run as a person at a shell would."""

    def __init__(self, folder: Path) -> None:
        """Raises CalledProcessError where the samples can't be read."""
        self._folder = folder
        (folder / "logs").mkdir()
        for sample in sorted(SAMPLES.glob("*.log")):
            shutil.copy(sample, folder / "logs")
        config = folder / "connlog.toml"
        config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
        program = folder / "connlog"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m shipper "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self._environment = {
            "PATH": f"{folder}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "PYTHONPATH": str(ROOT),
            "CONNLOG_CONFIG": str(config),
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
        }
        subprocess.run(
            ["connlog", "backfill", f"{folder}/logs"], env=self._environment, check=True, capture_output=True
        )

    def output(self, command: str) -> str:
        """What a command line prints, on stdout and stderr."""
        done = subprocess.run(
            ["bash", "-c", command],
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
        text = done.stdout.decode().replace(f"{self._folder}/logs", SEEN_AS).replace(socket.gethostname(), HOST)
        if "Traceback" in text:
            raise RuntimeError(f"{command}: {text}")
        return "".join(f"{_cut(line)}\n" for line in text.splitlines())

    def recorded(self, page: str) -> str:
        """The page with its blocks as they are now."""
        return _blocks.sub(lambda found: f"```console\n{self._block(found[1])}```", page)

    def _block(self, text: str) -> str:
        commands = [line for line in text.splitlines() if line.startswith("$ ")]
        return "\n".join(f"{command}\n{self.output(command[2:])}" for command in commands)


def _cut(line: str) -> str:
    return line if len(line) <= LINE_MAX_CHARACTERS else f"{line[: LINE_MAX_CHARACTERS - 1]}…"


def pages(root: Path) -> list[Path]:
    """The pages that have blocks to record."""
    found = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    return [page for page in found if _blocks.search(page.read_text(encoding="utf-8"))]


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the pages of the checkout ``root``, or with ``--check`` compare them; returns the exit code."""
    stale = 0
    with tempfile.TemporaryDirectory(prefix="connlog-console-") as folder:
        console = Console(Path(folder))
        for page in pages(root):
            text = page.read_text(encoding="utf-8")
            fresh = console.recorded(text)
            if fresh == text:
                continue
            stale = 1
            if "--check" in arguments:
                sys.stderr.write(f"{page}: its examples are stale; run 'make docs'\n")
            else:
                page.write_text(fresh, encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
