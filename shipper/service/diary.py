"""The diary: the daemon's own log, one line for each event, without floods and without the content of logs.

A message that repeats is written once in ``REPEAT_SECONDS``, then with the count of those left out; of one kind of
message, told of different things, at most ``KIND_MAX_COUNT`` in that time.

The forms: ``journal`` puts ``<N>`` before a line, which journald takes for its priority, ``terminal`` is for people,
``text`` has the whole time stamp, ``json`` is one object a line: time, level, logger, thread, message, left_out.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

REPEAT_SECONDS = 20.0
REMEMBERED_MAX_COUNT = 256
KIND_MAX_COUNT = 10
"""A warning about each of ten thousand files would hide all others."""
MESSAGE_MAX_CHARS = 4000
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Of syslog(3), as journald knows them."""
COLOURS = {logging.DEBUG: 2, logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 31}


class Quiet(logging.Filter):
    """Lets the same text through once in ``REPEAT_SECONDS``; remembers ``REMEMBERED_MAX_COUNT`` texts and kinds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()
        self._last: dict[str, logging.LogRecord] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        text, kind = record.getMessage(), record.msg if isinstance(record.msg, str) else ""
        left_out = self._pass(("text", text), now, 1)
        if left_out is None:
            self._last[text] = record
            return False
        self._last.pop(text, None)
        if kind != text:
            more = self._pass(("kind", kind), now, KIND_MAX_COUNT)
            if more is None:
                return False
            left_out += more
        record.left_out = left_out
        return True

    def settled(self) -> list[logging.LogRecord]:
        """The last of each message that was left out and has not come again since: to be told now, with the count of
        the others."""
        now = self._clock()
        over = [
            (text, record)
            for text, record in self._last.items()
            if now - self._seen.get(("text", text), (now, 0))[0] >= REPEAT_SECONDS
        ]
        for text, _ in over:
            since, count = self._seen["text", text]
            self._seen["text", text] = (since, count - 1)
        return [record for _, record in over]

    def _pass(self, key: tuple[str, str], now: float, most: int) -> int | None:
        """How many were left out before this one, or None where it is left out too."""
        since, count = self._seen.get(key, (float("-inf"), 0))
        if now - since < REPEAT_SECONDS:
            self._seen[key] = (since, count + 1)
            return 0 if count + 1 < most else None
        self._seen[key] = (now, 0)
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED_MAX_COUNT:
            (_, text), _ = self._seen.popitem(last=False)
            self._last.pop(text, None)
        return max(0, count - most + 1)


class Line(logging.Formatter):
    """One line in one of the forms; control characters escaped, a traceback folded into the line."""

    def __init__(self, form: str = "text", *, colours: bool = False) -> None:
        super().__init__()
        self._form = form
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += " | " + " | ".join(_trace(record.exc_info[1]))
        if len(text) > MESSAGE_MAX_CHARS:
            text = text[: MESSAGE_MAX_CHARS - 1] + "…"
        left_out = getattr(record, "left_out", 0)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        level = record.levelname.lower()
        if self._form == "json":
            facts = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": level, "logger": record.name}
            # No character beyond ASCII: what reads it need not know which of them are harmless.
            line = json.dumps({**facts, "thread": record.threadName, "message": text, "left_out": left_out})
            return line.replace("\x7f", "\\u007f")
        if left_out:
            text += f" ({left_out} more of these left out)"
        safe = text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)
        if self._form == "journal":
            return f"<{PRIORITIES.get(record.levelno, 6)}>{safe}"
        if self._form == "terminal":
            colour = COLOURS.get(record.levelno) if self._colours else None
            shown = f"{level:<7} {safe}"
            return f"{stamp[11:]} {shown}" if colour is None else f"{stamp[11:]} \x1b[{colour}m{shown}\x1b[0m"
        return f"{stamp}Z {level} {safe}"


def _trace(error: BaseException) -> Iterator[str]:
    """Where it happened, and what kind it is. What an error of Python's says may quote what was being read, so it's
    told to those alone who ask for the level debug."""
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} in {frame.name}"
    debug = logging.getLogger("shipper").isEnabledFor(logging.DEBUG)
    yield f"{type(error).__name__}: {error}" if debug else type(error).__name__


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def form_for(stream: TextIO, environ: Mapping[str, str] = os.environ) -> str:
    """The form that fits where ``stream`` leads: journald, whose $JOURNAL_STREAM names it, a terminal, or anything else."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return "text"
    if environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return "journal"
    return "terminal" if stream.isatty() else "text"


def open_diary(
    stream: TextIO | None = None, *, level: str = "info", form: str = "auto", environ: Mapping[str, str] = os.environ
) -> None:
    """Send the log of all of connlog to ``stream`` (stderr), from ``level`` on, in a form or the one that fits."""
    stream = sys.stderr if stream is None else stream
    if form == "auto":
        form = form_for(stream, environ)
    root = logging.getLogger("shipper")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Line(form, colours=stream.isatty() and not environ.get("NO_COLOR")))
    # What is left out now is left out after a reload too.
    quiet = next((one for old in root.handlers for one in old.filters if isinstance(one, Quiet)), Quiet())
    handler.addFilter(quiet)
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    root.propagate = False


def settle_diary() -> None:
    """Tell of messages that were left out and don't come any more. To be called now and then."""
    for handler in logging.getLogger("shipper").handlers:
        for quiet in handler.filters:
            if isinstance(quiet, Quiet):
                for record in quiet.settled():
                    handler.handle(record)
