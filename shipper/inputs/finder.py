"""The finder: keeps what is followed in step with the file system, one look at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from shipper.config import FileInput
from shipper.inputs.admission import Admission
from shipper.inputs.adoption import Adoption
from shipper.inputs.changes import Changes
from shipper.inputs.content import compression
from shipper.inputs.discovery import Found, discover, is_there
from shipper.inputs.identity import Known
from shipper.inputs.judged import Judged
from shipper.inputs.late import Latecomers
from shipper.inputs.maker import MakeExtractor
from shipper.inputs.missing import Missing
from shipper.inputs.original import find_original
from shipper.inputs.parting import begin_after_cut
from shipper.inputs.roster import Roster
from shipper.inputs.search import Sibling, find_steadily
from shipper.inputs.succession import Successors
from shipper.inputs.tail import Tail
from shipper.journal import Position

CLOCK_STEP_NS = 100_000_000
"""By so much the times of files may be behind the clock."""


class Finder:
    """Keeps ``roster`` in step with the file system. ``troubles`` holds what can't be read now, by path."""

    def __init__(
        self,
        watches: Sequence[FileInput],
        positions: Iterable[Position],
        make_extractor: MakeExtractor,
        *,
        fresh: bool,
        host: str,
        grace_seconds: float,
    ) -> None:
        self.roster = Roster()
        self.troubles: dict[str, str] = {}
        self._watches = watches
        self._make_extractor = make_extractor
        self._known = Known(positions)
        self._at_start = [position for position in self._known.all() if not position.backfilled]
        read = [position for position in self._at_start if not position.only_seen]
        self._looked_ns = max((position.seen_ns for position in read or self._at_start), default=0)
        """When somebody last looked, Unix time; 0 where nobody knows."""
        self._first = fresh
        self._at_path: dict[str, Found] = {}
        self._judged = Judged()
        self.partial = False
        """Whether the last scan ran out of time, so that it isn't known yet what is new and what is missing."""
        self._admission = Admission(self.roster, self._known, self._judged, make_extractor, host, first=fresh)
        self._late = Latecomers(self._known, self.roster)
        self._adoption = Adoption(
            self.roster,
            self._known,
            make_extractor,
            lambda path: path in self._judged,
            lambda content: find_original(self.roster, content, content.stat().st_size) is not None,
        )
        self._missing = Missing(self.roster, self._known, self._admission, self._adoption, host, grace_seconds)

    @property
    def unsettled(self) -> set[str]:
        """Streams of which a file that was not read yet must wait for earlier ones to be found."""
        return self._adoption.unsettled

    def scan(self, now: float, seconds: float) -> Changes:
        """Look for files once. Raises nothing: what can't be read is in ``troubles``.

        After ``seconds`` it leaves the rest for the next scan: a stop must not wait for thousands of new files.
        """
        deadline, began_ns = time.monotonic() + seconds, time.time_ns()
        changes = Changes()
        found, self.troubles = discover(self._watches)
        self._at_path = {one.path: one for one in found.values()}
        self._admission.begin(found, goes_on=self.partial)
        self._note_absent(found, now)
        fresh = [one for one in found.values() if self.roster.at(one.device, one.inode) is None]
        fresh = self._judged.keep(fresh)
        known = self._known.inodes() if fresh else set()
        # Known ones first: a copy of a file is known for one only while that is followed. Then the oldest.
        fresh.sort(key=lambda one: (one.inode_key not in known, one.mtime_ns, one.path), reverse=True)
        while fresh:
            one = fresh.pop()
            trouble = self._admission.meet(one, now, changes)
            if trouble is not None:
                self.troubles[one.path] = trouble
            if time.monotonic() >= deadline:
                break
        self.partial = bool(fresh)
        self._judged.tell(self.troubles)
        if self.partial:
            return changes
        for position, path, content in self._late.find():
            self._admission.follow_away(content, path, self._watch_of(position), now, position)
        self._missing.seek(self._at_path, self.troubles, self._watch_of, now, changes)
        self._ask_for_missed(now)
        self._looked_ns = began_ns - CLOCK_STEP_NS
        self._adoption.settle(now)
        changes.forget += self._known.expire(time.time_ns())
        self._first = self._admission.first = False
        return changes

    def let_go(self, position: Position) -> None:
        """Remember a file that is no longer followed, to know it again by its content."""
        self._known.add(position)

    def leave_copy(self, tail: Tail) -> bool:
        """A file was empty when it was met: leave it if it turns out a copy, or compressed; the next scan judges it. Raises
        InputError."""
        content = tail.content
        if content is None or (
            compression(content.pread(0, 8), tail.path) is None
            and find_original(self.roster, content, content.stat().st_size) is None
        ):
            return False
        self.roster.remove(tail)
        return True

    def ask_before(self, tail: Tail, now: float) -> None:
        """A file that was empty at the last look was written to: it may have been written, copied away and truncated
        before, and such copies are to be read first."""
        self._adoption.ask(tail.stream, tail.path, tail.seen_ns - CLOCK_STEP_NS, tail.watch, now)

    def replace(self, tail: Tail, position: Position, now: float, kept: int) -> Tail | None:
        """A followed file was truncated: follow it anew, and before it the copy of what it held, if one is found.

        Where none is it is remembered as lost: a copy of less than was read may be there, and must not be read again.
        If all that was read is among the ``kept`` bytes that it has (else 0), nothing changes without a copy of more.
        """
        stream, path, watch = tail.stream, tail.path, tail.watch
        copies = [Sibling(copy, 0, 0, 0) for copy in self._judged.copies_of(tail.key)]
        found = find_steadily(position, copies, path, stream, self.roster.follows)
        content, start = tail.content, 0
        assert content is not None
        if kept:
            after = begin_after_cut(position, kept, content, found[1]) if found is not None else None
            if found is not None and after is None:
                found[1].close()
            if after is None:
                if tail.untouched:
                    self._adoption.ask(stream, path, tail.proven_mtime_ns, watch, now)
                return None
            start = after
        tail.content = None
        away_since = tail.away_since
        self.roster.remove(tail)
        anew = Tail(content, path, watch, self._make_extractor, now, stream=stream, start=start)
        anew.away_since, anew.dirty = away_since, anew.dirty or start > 0
        self.roster.add(anew)
        # Files may have come and been copied away since it was last seen.
        if found is None:
            self._adoption.ask(stream, path, tail.proven_mtime_ns, watch, now)
            self._judged.forget_copies(tail.key)
            self.let_go(msgspec.structs.replace(position, lost=True, seen_ns=time.time_ns()))
            return None
        copy = self._admission.follow_away(found[1], found[0].path, watch, now, position)
        self._adoption.ask(stream, path, copy.age_ns, watch, now)
        return copy

    def kept_beside(self, position: Position) -> int:
        """How many bytes of what a truncated file held another followed file of its stream holds, 0 where none does."""
        beside = (tail for tail in self.roster if tail.stream == position.stream and tail.key != position.key)
        return Successors(beside).reach(position)

    # ---- where followed files are, and those before them -------------------------------------------

    def _note_absent(self, found: dict[tuple[int, int], Found], now: float) -> None:
        """Update where followed files are, and which no pattern names any more."""
        for tail in list(self.roster):
            one = found.get((tail.device, tail.inode))
            if one is not None and tail.content is not None and not tail.content.growing:
                continue  # compressed: it is read to its end and let go of
            if one is not None:
                tail.age_ns, tail.found = one.mtime_ns, (one.size, one.mtime_ns)
                tail.dirty = tail.dirty or one.path != tail.path
                tail.moved_to(one.path, named=True)
                if tail.away_since is not None:
                    tail.away_since = tail.rotated_ns = None
                    self.roster.resort(tail)
                continue
            tail.found = (-1, 0)
            if tail.away_since is None and is_there(tail.path, tail.device, tail.inode):
                continue  # behind a folder that can't be listed now; the handle goes on
            if tail.parked:
                # Without a handle it is found again by its content alone.
                self.let_go(tail.position())
                self.roster.remove(tail)
            elif tail.away_since is None:
                tail.away_since, tail.rotated_ns = now, tail.age_ns
                tail.moved_to(tail.path, named=False)
                self.roster.resort(tail)

    def _ask_for_missed(self, now: float) -> None:
        """Between two scans, or while nobody looked, files of a log may have come and been rotated away.

        They are later than the last one known: looked for while a rotation goes on, when a file has
        taken the place of another, and for every known log at the first scan.
        """
        latest: dict[str, int] = {}
        renewed = self._admission.renewed
        for tail in self.roster:
            if tail.untouched:
                continue  # what is to be read before it may not have been found yet
            if tail.away_since is not None or (tail.stream in renewed and tail.key not in self._admission.new):
                latest[tail.stream] = max(latest.get(tail.stream, 0), tail.rotated_ns or tail.age_ns)
        for position in [p for p in self._known.all() if p.stream in renewed] + self._at_start:
            if position.untouched:
                continue
            latest[position.stream] = max(latest.get(position.stream, 0), position.mtime_ns)
        self._at_start = []
        if not self._first:
            # Of a log that nothing is known of: it may have come and been rotated since the last look.
            latest = dict.fromkeys(renewed, self._looked_ns) | latest
        for stream, mtime_ns in latest.items():
            one = self._at_path.get(stream)
            self._adoption.ask(stream, stream, mtime_ns, one.watch if one is not None else self._watches[0], now)

    def _watch_of(self, position: Position) -> FileInput:
        one = self._at_path.get(position.path) or self._at_path.get(position.stream)
        return one.watch if one is not None else self._watches[0]
