"""The standard input: what is piped into the daemon, read once, to its end or to the stop.

A pipe can't be read twice, so its position only says whether it was read to an end in order. One that was not, because
the process was killed, lost what was read and not written yet: the next start records that as a gap. Nothing is read
while the journal has no room, which holds the writer back.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time

from shipper.config import StdinInput
from shipper.errors import InputError
from shipper.extraction import Extractor, Yield
from shipper.inputs.input import FeedState, Turn, View
from shipper.inputs.unread import unread_bytes
from shipper.inputs.wakepipe import WakePipe
from shipper.journal import Batch, FeedPosition, Piece
from shipper.record import SCHEMA, CompactSource, Gap, Source
from shipper.timestamp import from_ns

KEY = SOURCE = "stdin"
READ_MAX_BYTES = 1 << 20
POLL_SECONDS = 5.0
HOT_SECONDS = 1.0
IDLE_FLUSH_SECONDS = 0.5
LAST_MAX_BYTES = 16 << 20
LAST_MAX_SECONDS = 2.0
LAST_SILENT_SECONDS = 0.2
"""At a stop the pipe is read until it is silent for so long, but within these bounds."""
_OPEN, _OPEN_FILE, _ENDED = "open", "open file", "ended"
log = logging.getLogger(__name__)


class Stdin:
    """Reads it as ``watch`` says; ``position`` is what an earlier run left. Raises InputError where it is closed."""

    def __init__(self, watch: StdinInput, position: FeedPosition | None, host: str) -> None:
        self.poll_seconds = POLL_SECONDS
        try:
            # Asked of Python, not of the system: where it was closed, descriptor 0 is another file of ours by now.
            self._fd = sys.stdin.fileno()
            # A file is read again by whoever names it again, a pipe never.
            self._mark = _OPEN_FILE if stat.S_ISREG(os.fstat(self._fd).st_mode) else _OPEN
        except OSError as error:
            raise InputError("the standard input is closed; pipe something into connlog run") from error
        self._extractor = Extractor(
            Source(host=host, input="stdin"),
            format=watch.format,
            wrapper=watch.wrapper,
            tz=watch.tz,
            line_max_bytes=watch.line_max_bytes,
        )
        self._wake_pipe = WakePipe()
        self._piece = Piece(SOURCE)
        self._gaps = [_cut_off(position, host)] if position is not None and position.cursor == _OPEN else []
        self._dirty = True
        self._ended = False
        self._flushed = True
        self._grown_at = float("-inf")
        self._grown_ns = self._behind_ns = 0

    def turn(self, now: float, *, woken: bool) -> Turn:
        """Read what there is, up to ``READ_MAX_BYTES``."""
        data = self._read(0.0)
        if data:
            self._take(data, now)
        elif not self._ended and not self._flushed and now - self._grown_at >= IDLE_FLUSH_SECONDS:
            self._flushed = True
            self._keep(self._extractor.flush())
        if self._ended:
            self._end()
        return Turn(self._batch(), bool(data), now - self._grown_at < HOT_SECONDS, self._ended)

    def rest(self, seconds: float) -> bool:
        """Wait for more."""
        return self._wake_pipe.wait([self._fd], seconds)

    def wake(self) -> None:
        """End the rest."""
        self._wake_pipe.wake()

    def view(self) -> View:
        """Whether it is open, and when something last came."""
        state = "ended" if self._ended else "reading" if self._grown_ns else "waiting"
        lag_bytes = 0 if self._ended else unread_bytes(self._fd)
        self._behind_ns = (self._behind_ns or time.time_ns()) if lag_bytes else 0
        behind = from_ns(self._behind_ns) if self._behind_ns else None
        at = from_ns(self._grown_ns) if self._grown_ns else None
        return View(feeds=[FeedState(SOURCE, state, at, lag_bytes=lag_bytes, behind_since=behind)])

    def finish(self) -> Batch:
        """Read what is in the pipe, take the rest as it is: nobody could read it again."""
        deadline, room = time.monotonic() + LAST_MAX_SECONDS, LAST_MAX_BYTES
        while not self._ended and room > 0 and time.monotonic() < deadline:
            data = self._read(LAST_SILENT_SECONDS)
            if not data:
                break
            room -= len(data)
            self._take(data, time.monotonic())
        if not self._ended:
            log.warning("the standard input is still open; what comes from now on is not read")
        self._end()
        self._wake_pipe.close()
        return self._batch()

    # ---- bytes ---------------------------------------------------------------------------------

    def _read(self, seconds: float) -> bytes:
        """What comes within so long. The descriptor may be shared with others, so it is never made non-blocking."""
        if self._ended:
            return b""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return b""
        try:
            data = os.read(self._fd, READ_MAX_BYTES)
        except BlockingIOError:
            return b""  # made non-blocking by the other end, and read empty by another process
        except OSError as error:
            log.warning("the standard input can't be read any more: %s; taken for its end", error.strerror)
            data = b""
        self._ended = not data
        return data

    def _take(self, data: bytes, now: float) -> None:
        self._grown_at, self._grown_ns = now, time.time_ns()
        self._flushed = False
        self._keep(self._extractor.feed(data))

    def _end(self) -> None:
        if self._mark != _ENDED:
            self._keep(self._extractor.flush(final=True))
            self._mark = _ENDED

    def _keep(self, got: Yield) -> None:
        self._dirty = True
        self._piece.add(got)

    def _batch(self) -> Batch:
        if not self._dirty:
            return Batch()
        self._dirty = False
        piece, self._piece = self._piece, Piece(SOURCE)
        gaps, self._gaps = self._gaps, []
        extractor = self._extractor
        position = FeedPosition(KEY, self._mark, self._grown_ns, time.time_ns(), extractor.offset, extractor.line)
        return Batch(pieces=(piece,) if piece.lines or piece.entries else (), feeds=(position,), gaps=tuple(gaps))


def _cut_off(position: FeedPosition, host: str) -> Gap:
    reason = (
        "an earlier run was killed while it read from a pipe: what it had taken out of it behind these bytes, and had not "
        "written to the journal yet, is gone"
    )
    place = CompactSource(host=host, input="stdin", offset=position.offset, meta={"source": SOURCE})
    now = from_ns(time.time_ns())
    return Gap(SCHEMA, "pipe_cut", place, from_ns(position.seen_ns), now, None, False, now, reason)
