"""``connlog run``: the daemon in the foreground, its own log on stderr, until a signal ends it."""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.service.stop import Stop
from shipper.standin import load_lean

if TYPE_CHECKING:
    from shipper.config import Config


def quick(words: list[str]) -> int | None:
    """``connlog run`` with at most ``-c PATH``, a file that can be read; None for other words."""
    match words:
        case []:
            return run(None)
        case ["-c" | "--config", path] if not path.startswith("-") and os.access(path, os.R_OK):
            return run(Path(path))
    return None


def run(path: Path | None) -> int:
    """Run the daemon on the configuration at ``path``, None for the usual places, and return the exit code."""
    with Stop() as stop:
        # Imported here: a signal is heard before all that takes its time, and a refused configuration needs no daemon.
        load_lean("msgspec", "orjson", "logging", "socket", "zstandard")
        from shipper.config import load_config
        from shipper.service.mirror import refuse_own_log

        def load() -> Config:
            config = load_config(path)
            refuse_own_log(config)
            return config

        config = load()
        gc.disable()  # what a start makes stays: to look for cycles in it finds none; the daemon begins with that later
        try:
            from shipper.service.daemon import run_daemon
            from shipper.service.diary import open_diary

            if sys.stderr is not None:
                # A watchdog ends with SIGABRT: then every thread says where it stood.
                faulthandler.enable(2)
            open_diary(level=config.log.level, form=config.log.format)
            return run_daemon(config, stop, load)
        finally:
            gc.enable()
