"""The diary: the daemon's own log, one line of plain text for each event, without floods and without log content.

A message that repeats is written once in ``REPEAT_SECONDS``, then with the count of those left out.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TextIO

REPEAT_SECONDS = 20.0
REMEMBERED_MAX_COUNT = 256


class Quiet(logging.Filter):
    """Lets the same text through once in ``REPEAT_SECONDS``; remembers ``REMEMBERED_MAX_COUNT`` texts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        now = self._clock()
        since, left_out = self._seen.get(text, (float("-inf"), 0))
        if now - since < REPEAT_SECONDS:
            self._seen[text] = (since, left_out + 1)
            return False
        self._seen[text] = (now, 0)
        self._seen.move_to_end(text)
        while len(self._seen) > REMEMBERED_MAX_COUNT:
            self._seen.popitem(last=False)
        record.left_out = left_out
        return True


class Line(logging.Formatter):
    """One line: time, level, message; control characters escaped, a traceback folded into the line."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += " | " + " | ".join(self.formatException(record.exc_info).splitlines())
        left_out = getattr(record, "left_out", 0)
        if left_out:
            text += f" ({left_out} more of these left out)"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
        return f"{stamp} {record.levelname.lower()} {safe}"


def open_diary(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send the log of all of connlog to ``stream`` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Line())
    handler.addFilter(Quiet())
    root = logging.getLogger("shipper")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
