"""The tailer: follows every file of the configuration, one bounded turn at a time, and gives batches for the journal.

A turn looks for files when it is time to, and at every file whether it is still the one; what is new is kept in the
journal before anything is read, so that it is missed if it is destroyed. Then it reads what has grown: at most
``READ_MAX_BYTES`` of each file and ``TURN_MAX_BYTES`` of all. What a turn gives must be in the journal before the next
one is asked for; a file is known for as long as it is followed by its open handle, and otherwise by content alone.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from shipper.config import FileInput
from shipper.errors import InputError
from shipper.inputs import loss
from shipper.inputs.content import Moved, UnpackedContent
from shipper.inputs.finder import Finder
from shipper.inputs.harvest import Harvest
from shipper.inputs.input import FileState, Turn
from shipper.inputs.maker import MakeExtractor
from shipper.inputs.tail import Tail
from shipper.inputs.truncation import Cut, Truncated
from shipper.journal import Baler, Batch, Position
from shipper.timestamp import from_ns

READ_MAX_BYTES = 1 << 20
TURN_MAX_BYTES = 8 << 20
GRACE_SECONDS = 10.0
"""How long a file that was rotated away is kept open after it last grew: its writer may not have reopened yet."""
CUT_GRACES_COUNT = 6
IDLE_FLUSH_SECONDS = 0.5
PAUSE_MAX_SECONDS = 10.0
PAUSE_FACTOR = 100
"""Looking takes one part in so many of the time: with thousands of files it must not become the main thing."""
TURN_MAX_SECONDS = 1.0
"""How long a turn looks for files, and how long it reads, before it leaves the rest for the next."""
HOT_SECONDS = 5.0
"""A file that grew within this time is looked at in every turn, the others when all are."""


class Tailer:
    """Follows the files of ``watches`` from ``positions`` on. Not for use by two threads.

    ``fresh`` says that this is the first start: only then ``read_from = "end"`` counts. ``baler`` as of ``Harvest``.
    """

    def __init__(
        self,
        watches: Sequence[FileInput],
        positions: Iterable[Position],
        make_extractor: MakeExtractor,
        *,
        fresh: bool = False,
        host: str | None = None,
        grace_seconds: float = GRACE_SECONDS,
        turn_seconds: float = TURN_MAX_SECONDS,
        baler: Baler | None = None,
    ) -> None:
        self._host = host or socket.gethostname()
        self._grace_seconds = grace_seconds
        self._turn_seconds = turn_seconds
        self._to_look_at = 0
        """Streams at which the last look for files has not come by yet."""
        self._finder = Finder(
            watches, positions, make_extractor, fresh=fresh, host=self._host, grace_seconds=grace_seconds
        )
        self._roster = self._finder.roster
        self._poll_seconds = min((watch.poll_seconds for watch in watches), default=1.0)
        self._next_scan = self._next_glance = float("-inf")
        self._awake: dict[str, None] = {}
        """Streams that every turn comes by, in its order: something may be read of them at any moment."""
        self._grown_at = float("-inf")
        self._harvest = Harvest(baler)
        self._fresh = fresh
        self._looked = False
        """Whether the turn before only looked, and found what was to be kept first."""

    @property
    def troubles(self) -> dict[str, str]:
        """What can't be read now: path to a message."""
        return self._finder.troubles

    def files(self) -> list[FileState]:
        """Every followed file, as of the last look."""
        return [
            FileState(
                t.path,
                t.stream,
                t.fed,
                t.size,
                t.lag_bytes,
                "rotated" if t.away_since is not None else "current",
                from_ns(t.behind_ns) if t.lag_bytes and t.behind_ns else None,
            )
            for t in self._roster
        ]

    def turn(self, now: float, *, rescan: bool = False) -> Turn:
        """Look for files if it is time to (or ``rescan`` asks), and read; ``now`` is in monotonic seconds."""
        if rescan:
            self._next_scan = now
        # Where files come all the time, what was seen at the last look is read before the next one.
        due = now >= self._next_scan
        scanned = due and not self._looked
        self._looked = False
        if scanned:
            self._scan(now)
        if self._finder.partial:
            return Turn(self._batch(), True, True)  # which of the new files is the oldest isn't known yet
        self._looked = scanned and any(tail.dirty and tail.untouched and tail.head for tail in self._roster)
        if self._looked:
            self._next_glance = now
            return Turn(self._batch(), True, True)
        everything = scanned or now >= self._next_glance
        began = time.monotonic()
        busy = self._read(now, everything=everything, scanned=scanned)
        if everything:
            self._next_glance = now + self._pause(time.monotonic() - began)
        return Turn(self._batch(), busy or (due and not scanned), now - self._grown_at < HOT_SECONDS)

    def finish(self) -> Batch:
        """Give what is complete and held back, and the positions, before the process ends; the handles are closed."""
        for tail in self._roster:
            tail.dirty = True  # when it was last seen is told too
            if tail.waiting and not tail.flushed:
                self._harvest.keep(tail.stream, tail.flush())
        batch = self._batch()
        for tail in self._roster:
            tail.close()
        return batch

    # ---- files come and go ---------------------------------------------------------------------

    def _scan(self, now: float) -> None:
        began = time.monotonic()
        changes = self._finder.scan(now, self._turn_seconds)
        if not self._finder.partial:
            self._harvest.began, self._fresh = self._harvest.began or self._fresh, False
        for position in changes.positions:
            self._harvest.put(position)
        for key in changes.forget:
            self._harvest.drop(key)
        self._harvest.tell(*changes.gaps)
        if self._finder.partial:
            self._next_scan = now
            return
        again = self._look_over(now)
        self._next_scan = now if again else now + self._pause(time.monotonic() - began)

    def _look_over(self, now: float) -> bool:
        """See of every file that changed whether it is still the one. Reading would see that too, but it may be long
        before it comes by, and what came in between would never be known of. Whether files must be looked for again."""
        again = False
        for tail in list(self._roster):
            if tail.found[0] < 0 or tail.found == (tail.fed, tail.mtime_ns):
                continue
            try:
                if tail.blank:
                    left = self._begun(tail, now)
                    again = True
                    if left:
                        continue
                tail.verify()
                self._roster.grown(tail)
            except Truncated as change:
                self._truncated(tail, now, change)
            except InputError:
                continue  # reading it tells why
        return again

    def _begun(self, tail: Tail, now: float) -> bool:
        """A file that was empty was written to. Whether it is a copy, and left to the next scan. Raises InputError."""
        if self._finder.leave_copy(tail):
            return True
        self._finder.ask_before(tail, now)
        tail.glance()
        self._roster.grown(tail)
        return False

    def _pause(self, took_seconds: float) -> float:
        """How long to wait after a look at everything that took so long."""
        return max(self._poll_seconds, min(PAUSE_FACTOR * took_seconds, PAUSE_MAX_SECONDS))

    # ---- reading -------------------------------------------------------------------------------

    def _read(self, now: float, *, everything: bool, scanned: bool) -> bool:
        """Whether there is more to read at once. ``everything``: idle files are looked at too."""
        budget = TURN_MAX_BYTES
        deadline = time.monotonic() + self._turn_seconds
        busy = False
        whole = everything or self._to_look_at > 0
        queues = self._roster.turns() if whole else self._roster.queues(self._awake)
        if everything:
            self._to_look_at = len(queues)
        for number, queue in enumerate(queues):
            if budget <= 0 or (number and time.monotonic() >= deadline):
                self._leave_off(number, whole=whole)
                return True
            if scanned and len(queue) == 1 and queue[0].rests(now - HOT_SECONDS):
                self._awake.pop(queue[0].stream, None)
                continue
            idle_too = number < self._to_look_at
            awake = False
            earlier: Tail | None = None
            last: Tail | None = None
            for tail in queue:
                # The last one that holds something back: compressing can make an older file look younger.
                earlier = last if last is not None and last.fed and last.waiting else earlier
                last = tail
                if not idle_too and not self._is_awake(tail, now):
                    continue
                if budget <= 0:
                    busy = awake = True
                    break
                if tail.untouched and tail.stream in self._finder.unsettled:
                    # Files before this one may not have been found yet; behind this one they are not looked for.
                    tail.glance()
                    self._roster.grown(tail)
                    awake = True
                    break
                before = tail.fed
                at_end = self._read_one(tail, min(READ_MAX_BYTES, budget), now, scanned, earlier)
                budget -= tail.fed - before
                awake = awake or self._is_awake(tail, now)
                if not at_end:
                    # The files after this one hold later lines.
                    busy = awake = True
                    break
            if awake:
                self._awake[queue[0].stream] = None
            else:
                self._awake.pop(queue[0].stream, None)
        self._to_look_at = 0
        return busy

    def _leave_off(self, number: int, *, whole: bool) -> None:
        """The turn ends before the queue with this number, of all or of those awake; the next one begins there."""
        if whole:
            self._roster.left_off(number)
            self._to_look_at = max(0, self._to_look_at - number)
            return
        for stream in list(self._awake)[:number]:
            self._awake[stream] = self._awake.pop(stream)

    def _is_awake(self, tail: Tail, now: float) -> bool:
        """Whether something may be read of it, or is to be done, at any moment."""
        self._grown_at = max(self._grown_at, tail.grown_at)
        return now - tail.grown_at < HOT_SECONDS or tail.lag_bytes > 0 or (tail.waiting and not tail.flushed)

    def _read_one(self, tail: Tail, limit: int, now: float, scanned: bool, earlier: Tail | None) -> bool:
        """Whether the end of the file was reached."""
        try:
            changed = tail.look(just_found=scanned)
            if changed and tail.blank:
                self._next_scan = now
                return self._begun(tail, now) or not tail.head
            if changed and earlier is not None and tail.untouched:
                tail.take_over(earlier)
            grown = changed and tail.read(limit, now, partial(self._harvest.keep, tail.stream))
        except Truncated as change:
            self._truncated(tail, now, change)
            return False
        except Moved:
            position = tail.position()
            self._roster.remove(tail)
            self._finder.let_go(position)
            return True
        except InputError as error:
            self._failed(tail, str(error), now)
            return True
        if grown:
            self._finder.troubles.pop(tail.path, None)
            self._roster.grown(tail)
            return tail.lag_bytes == 0 and not isinstance(tail.content, UnpackedContent)
        if tail.away_since is not None and (
            # By the scan files were looked for that were made and rotated away after this one.
            (scanned or isinstance(tail.content, UnpackedContent))
            and now - max(tail.away_since, tail.grown_at) > self._patience(tail)
        ):
            self._retire(tail)
        elif tail.waiting and not tail.flushed and now - tail.grown_at >= IDLE_FLUSH_SECONDS:
            self._harvest.keep(tail.stream, tail.flush())
        return True

    def _patience(self, tail: Tail) -> float:
        """How long a rotated file is kept: longer while the rest of a line that was cut may come in the next one."""
        if tail.holds_cut and any(later.untouched for later in self._roster.after(tail)):
            return self._grace_seconds * CUT_GRACES_COUNT
        # Nothing is written to a compressed file any more.
        return -1.0 if isinstance(tail.content, UnpackedContent) else self._grace_seconds

    def _truncated(self, tail: Tail, now: float, change: Truncated) -> None:
        """The file begins anew, or goes on shorter than it was. A copy of what it held is read to its end first, if
        there is one."""
        position = tail.position()
        kept = change.kept
        goes_on = isinstance(change, Cut) and kept > 0
        copy = self._finder.replace(tail, position, now, kept if goes_on else 0)
        if copy is not None:
            kept = copy.kept
            copy.missed()
            if not copy.untouched:
                self._harvest.put(copy.position())
        elif goes_on:
            tail.cut_to(kept)
            self._roster.grown(tail)
        else:
            self._harvest.keep(tail.stream, tail.flush(final=True))
            if not tail.untouched:
                self._harvest.put(msgspec.structs.replace(position, lost=True, seen_ns=time.time_ns()))
            else:
                self._harvest.drop(tail.key)
        if copy is None:
            kept = max(kept, self._finder.kept_beside(position))
        self._harvest.tell(loss.truncated(position, tail.fed, kept, self._host))

    def _failed(self, tail: Tail, message: str, now: float) -> None:
        """A file that can't be read is let go of after a while, and met again by its content when it can."""
        self._finder.troubles[tail.path] = message
        if now - tail.grown_at <= self._grace_seconds:
            return
        position = tail.position()
        if tail.content is not None and not tail.content.growing:
            # A compressed file that has been broken for this long stays so: what it held is lost.
            self._harvest.tell(loss.unreadable(position, self._host, message))
            position = msgspec.structs.replace(position, lost=True)
            if position.head_length:
                self._harvest.put(position)
        self._roster.remove(tail)
        self._finder.let_go(position)

    def _retire(self, tail: Tail) -> None:
        """A file that was rotated away has been read to its end, for good."""
        for later in self._roster.after(tail) if tail.waiting else []:
            if later.untouched:
                with suppress(InputError):
                    later.take_over(tail)
        if tail.waiting:
            self._harvest.keep(tail.stream, tail.flush(final=True))
        position = tail.position(done=True)
        self._roster.remove(tail)
        if not position.head_length:
            self._harvest.drop(tail.key)
        else:
            # Also when it was deleted: a compressed copy may take its place.
            tail.dirty = False
            self._harvest.put(position)
            self._finder.let_go(position)

    def _batch(self) -> Batch:
        for tail in self._roster:
            if tail.dirty:
                tail.dirty = False
                if tail.head:
                    self._harvest.put(tail.position())
        return self._harvest.take()
