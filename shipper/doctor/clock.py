"""The clock: whether this machine's time is kept right, asked of the kernel.

Fact: adjtimex(2) gives status bit STA_UNSYNC while nothing has disciplined the clock for a while, and TIME_ERROR.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import time
from collections.abc import Iterator

from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, warning
from shipper.status import status_ns

CHECK = "clock"
STA_UNSYNC = 0x40
TIMEX_BYTES = 512
"""Larger than ``struct timex`` of any machine."""
_STATUS_AT = 8 + 4 * struct.calcsize("l")
"""modes (padded to a long), offset, freq, maxerror, esterror, status."""
EARLIEST = 1_700_000_000
"""An earlier time is that of a machine without a battery, before it asked anybody."""
AHEAD_SECONDS = 60.0


def examine(case: Case) -> Iterator[Finding]:
    """Synchronised or not; a time that can't be; a daemon that was heard of in the future."""
    if time.time() < EARLIEST:
        text = f"this machine believes it is {time.strftime('%Y-%m-%d', time.gmtime())}"
        yield warning(CHECK, "system", text, "set the clock; gaps, retention and certificates depend on it")
    state = _unsynchronised()
    if state is None:
        yield note(CHECK, "system", "whether the clock is kept right can't be told here")
    elif state:
        text = "nothing keeps this machine's clock right (the kernel says: unsynchronised)"
        advice = "timedatectl set-ntp true, or install chrony; in a container it is the host's clock"
        yield warning(CHECK, "system", text, advice)
    else:
        yield ok(CHECK, "system", "is synchronised")
    if case.config is not None:
        heard_ns = status_ns(case.config.state.dir)
        ahead = 0.0 if heard_ns is None else heard_ns / 1e9 - time.time()
        if ahead > AHEAD_SECONDS:
            text = f"the daemon was last heard of {ahead:.0f} seconds in the future: the clock was set back"
            yield warning(CHECK, str(case.config.state.dir), text, "see that one thing alone sets the clock")


def _unsynchronised() -> bool | None:
    """Whether the kernel's clock is undisciplined; None where it can't be asked."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    buffer = ctypes.create_string_buffer(TIMEX_BYTES)
    if adjtimex(buffer) < 0:
        return None
    (status,) = struct.unpack_from("i", buffer.raw, _STATUS_AT)
    return bool(status & STA_UNSYNC)
