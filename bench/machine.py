"""The machine that a measurement was made on, as far as it bears on the figures."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from shipper import __version__


class Machine(msgspec.Struct, frozen=True):
    """``cores`` are those this process may use; ``load_average`` is of the minute before the first run."""

    cpu: str
    cores: int
    system: str
    python: str
    connlog: str
    load_average: float


def describe() -> Machine:
    """This machine, now."""
    return Machine(
        cpu=_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        connlog=__version__,
        load_average=round(os.getloadavg()[0], 2),
    )


def _model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
