"""The finder: decides for every file that is found whether it is known, a copy, or new, and for every
known one that is not found where it went.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import msgspec

from shipper.config import FileInput
from shipper.errors import InputError
from shipper.inputs import loss
from shipper.inputs.adoption import Adoption
from shipper.inputs.changes import Changes
from shipper.inputs.content import Content, PlainContent, compression, open_content
from shipper.inputs.discovery import Found, discover, is_there
from shipper.inputs.identity import Known
from shipper.inputs.judged import Judged
from shipper.inputs.late import Latecomers
from shipper.inputs.original import find_original
from shipper.inputs.roster import Roster
from shipper.inputs.search import Names, Sibling, find_holder, find_steadily, siblings_of
from shipper.inputs.sibling import base_name
from shipper.inputs.succession import Successors, is_reused
from shipper.inputs.tail import MakeExtractor, Tail
from shipper.journal import Position

CLOCK_STEP_NS = 100_000_000
"""By so much the times of files may be behind the clock."""
WHOLE_MAX_BYTES = 64 << 20
"""So much of a new compressed file is unpacked to see whether it is whole; a larger one is read as far as it goes."""
MISSING_FOLDER_SECONDS = 60.0
"""How long a file is waited for whose folder can't be listed: it may be mounted again."""


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
        self._streams: set[str] = set()
        self._looked_ns = max((position.seen_ns for position in self._at_start), default=0)
        """When somebody last looked, Unix time; 0 where nobody knows."""
        self._new: set[str] = set()
        self._renewed: set[str] = set()
        self._host = host
        self._grace_seconds = grace_seconds
        self._first = fresh
        self._changes = Changes()
        self._found: dict[tuple[int, int], Found] = {}
        self._at_path: dict[str, Found] = {}
        self._missing_since: dict[str, float] = {}
        self._sought: dict[str, list[Sibling]] = {}
        """Where a missing file was looked for in vain, by key: not again before something changed there."""
        self._judged = Judged()
        self.partial = False
        """Whether the last scan ran out of time, so that it isn't known yet what is new and what is missing."""
        self._late = Latecomers(self._known, self.roster)
        self._adoption = Adoption(
            self.roster,
            self._known,
            make_extractor,
            lambda path: path in self._judged,
            lambda content: find_original(self.roster, content, content.stat().st_size) is not None,
        )

    @property
    def unsettled(self) -> set[str]:
        """Streams of which a file that was not read yet must wait for earlier ones to be found."""
        return self._adoption.unsettled

    def scan(self, now: float, seconds: float) -> Changes:
        """Look for files once. Raises nothing: what can't be read is in ``troubles``.

        After ``seconds`` it leaves the rest for the next scan: a stop must not wait for thousands of new files.
        """
        deadline, began_ns = time.monotonic() + seconds, time.time_ns()
        changes = self._changes = Changes()
        found, self.troubles = discover(self._watches)
        self._found, self._at_path = found, {one.path: one for one in found.values()}
        if not self.partial:
            self._new, self._renewed = set(), set()
        self._streams = {one.path for one in found.values()} | {tail.stream for tail in self.roster}
        self._note_absent(found, now)
        fresh = [one for one in found.values() if self.roster.at(one.device, one.inode) is None]
        fresh = self._judged.keep(fresh)
        known = self._known.inodes() if fresh else set()
        # Known ones first: a copy of a file is known for one only while that is followed. Then the oldest.
        fresh.sort(key=lambda one: (one.inode_key not in known, one.mtime_ns, one.path), reverse=True)
        while fresh:
            self._meet(fresh.pop(), now)
            if time.monotonic() >= deadline:
                break
        self.partial = bool(fresh)
        self._judged.tell(self.troubles)
        if self.partial:
            return changes
        for position, path, content in self._late.find():
            self._follow_away(content, path, self._watch_of(position), now, position)
        self._seek(now, changes)
        self._ask_for_missed(now)
        self._looked_ns = began_ns - CLOCK_STEP_NS
        self._adoption.settle(now)
        changes.forget += self._known.expire(time.time_ns())
        self._first = False
        return changes

    def let_go(self, position: Position) -> None:
        """Remember a file that is no longer followed, to know it again by its content."""
        self._known.add(position)

    def leave_copy(self, tail: Tail) -> bool:
        """A file was empty when it was met: leave it if it turns out a copy; the next scan judges it. Raises InputError."""
        content = tail.content
        if content is None or find_original(self.roster, content, content.stat().st_size) is None:
            return False
        self.roster.remove(tail)
        return True

    def replace(self, tail: Tail, position: Position, now: float) -> Tail | None:
        """A followed file was truncated: follow it anew, and before it the copy of what it held, if one is found.

        Where none is it is remembered as lost: a copy of less than was read may be there, and must not be read again.
        """
        stream, path, watch = tail.stream, tail.path, tail.watch
        copies = [Sibling(copy, 0, 0, 0) for copy in self._judged.copies_of(tail.key)]
        found = find_steadily(position, copies, path, stream, self.roster.follows)
        content, tail.content = tail.content, None
        away_since = tail.away_since
        self.roster.remove(tail)
        assert content is not None
        anew = Tail(content, path, watch, self._make_extractor, now, stream=stream)
        anew.away_since = away_since
        self.roster.add(anew)
        # Files may have come and been copied away since it was last seen.
        if found is None:
            self._adoption.ask(stream, path, tail.proven_mtime_ns, watch, now)
            self._judged.forget_copies(tail.key)
            self.let_go(msgspec.structs.replace(position, lost=True, seen_ns=time.time_ns()))
            return None
        copy = self._follow_away(found[1], found[0].path, watch, now, position)
        self._adoption.ask(stream, path, copy.age_ns, watch, now)
        return copy

    # ---- deciding ------------------------------------------------------------------------------

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

    def _meet(self, one: Found, now: float) -> None:
        """A file that is not followed: go on with it if it is known, leave it if it is a copy, else it is new."""
        try:
            content: Content = PlainContent(one.path)
        except InputError as error:
            self.troubles[one.path] = str(error)
            return
        try:
            if not self._settle(one, content, now):
                content.close()
        except InputError as error:
            content.close()
            self.troubles[one.path] = str(error)

    def _settle(self, one: Found, content: Content, now: float) -> bool:
        """Whether the file is followed from now on."""
        status = content.stat()
        if (status.st_dev, status.st_ino) != one.inode_key:
            return False  # replaced since it was found; the next scan sees it
        if compression(content.pread(0, 8)) is not None:
            self._settle_packed(one, now)
            return False
        position = self._known.match(content.pread, one.device, one.inode)
        if position is not None:
            tail = self._resume(content, one.path, one.watch, now, position)
            was = (position.device, position.inode)
            if (
                one.inode_key != was
                and was in self._found
                and not is_reused(position, self.roster.at(*was), self._found[was])
            ):
                # The file itself is still there, but what it held is here: a copy, and then a truncation.
                self._changes.gaps.append(loss.truncated(position, position.offset, status.st_size, self._host))
                tail.age_ns = 0
                self.roster.resort(tail)
            return True
        original = find_original(self.roster, content, status.st_size)
        if original is not None:
            self._judged.copy(one, original.key)
            return False
        at_end = self._first and one.watch.read_from == "end"
        stream = self._stream_of(one.path)
        # Of the log itself anything may be new; a copy of it begins with what was read.
        copied = self._known.begin_in(content.pread, stream) if stream != one.path else 0
        start = status.st_size if at_end else copied
        tail = Tail(content, one.path, one.watch, self._make_extractor, now, start=start, stream=stream)
        tail.dirty = tail.dirty or start > 0
        self.roster.add(tail)
        self._new.add(tail.key)
        self._renewed.add(stream)
        return True

    def _settle_packed(self, one: Found, now: float) -> None:
        """A compressed file that a pattern names: what was not read of it before, under whatever name, is read, once."""
        if self._first and one.watch.read_from == "end":
            self._judged.packed(one)
            return
        content = open_content(one.path)
        try:
            position = self._known.match(content.pread, one.device, one.inode)
            if position is None:
                original = find_original(self.roster, content, one.size)
                key = None if original is None else original.key
                # One that is still being written is an error as soon as its end is come to, and looked at again.
                content.pread(WHOLE_MAX_BYTES, 1)
            else:
                key = None if content.pread(position.offset, 1) else position.key
        except InputError:
            content.close()
            raise
        if key is not None:
            self._judged.copy(one, key)
            content.close()
        elif position is not None:
            self._follow_away(content, one.path, one.watch, now, position)
        else:
            stream = self._stream_of(one.path)
            tail = Tail(content, one.path, one.watch, self._make_extractor, now, stream=stream)
            tail.away_since = now
            self.roster.add(tail)
            self._new.add(tail.key)
            self._renewed.add(stream)

    def _stream_of(self, path: str) -> str:
        """A rotated file that a pattern names belongs to the log that it comes from, if that is followed."""
        folder, _, name = path.rpartition("/")
        base = f"{folder}/{base_name(name)}"
        return base if base in self._streams else path

    def _resume(self, content: Content, path: str, watch: FileInput, now: float, position: Position) -> Tail:
        tail = Tail(content, path, watch, self._make_extractor, now, position=position)
        tail.dirty = True
        self._known.remove(position.key)
        self._stop_seeking(position.key)
        self.roster.add(tail)
        return tail

    def _follow_away(self, content: Content, path: str, watch: FileInput, now: float, position: Position) -> Tail:
        """Read the rest of a rotated file, before the current one."""
        tail = self._resume(content, path, watch, now, position)
        tail.away_since, tail.rotated_ns = now, position.mtime_ns or None
        tail.moved_to(path, named=False)
        status = content.stat()
        if content.growing:
            tail.size = status.st_size
        self.roster.resort(tail)
        return tail

    # ---- where known files went ----------------------------------------------------------------

    def _seek(self, now: float, changes: Changes) -> None:
        listed: Names = {}
        given_up: list[tuple[Position, bool]] = []
        for position in self._known.all():
            if position.done or position.lost or position.backfilled:
                continue
            first_look = position.key not in self._missing_since
            since = self._missing_since.setdefault(position.key, now)
            siblings = siblings_of(position.path, position.stream, listed)
            watch = self._watch_of(position)
            one = self._at_path.get(position.path)
            same_inode = (
                one is not None
                and one.inode_key == (position.device, position.inode)
                and not is_reused(position, self.roster.at(*one.inode_key), one)
            )
            if one is not None and one.path in self.troubles:
                continue  # it may be the very file, once it can be read again
            sought = siblings is not None and siblings == self._sought.get(position.key)
            holder = find_holder(position, siblings or [], self.roster.follows) if not sought else None
            if holder is None and siblings is not None:
                self._sought[position.key] = siblings
            if holder is not None:
                tail = self._follow_away(holder[1], holder[0].path, watch, now, position)
                if same_inode:
                    changes.gaps.append(loss.truncated(position, position.offset, tail.size, self._host))
            if first_look or holder is not None:
                self._adoption.ask(position.stream, position.path, position.mtime_ns, watch, now)
            if holder is None and now - since >= (
                self._grace_seconds if siblings is not None else MISSING_FOLDER_SECONDS
            ):
                given_up.append((position, same_inode))
        successors = Successors(self.roster)
        for position, same_inode in given_up:
            self._stop_seeking(position.key)
            if successors.has(position):
                self._known.remove(position.key)
                changes.forget.append(position.key)
                continue
            kept = loss.truncated(position, position.offset, 0, self._host) if same_inode else None
            changes.gaps.append(kept or loss.vanished(position, self._host))
            gone = msgspec.structs.replace(position, lost=True, seen_ns=time.time_ns())
            self._known.add(gone)
            changes.positions.append(gone)

    def _ask_for_missed(self, now: float) -> None:
        """Between two scans, or while nobody looked, files of a log may have come and been rotated away.

        They are later than the last one known: looked for while a rotation goes on, when a file has
        taken the place of another, and for every known log at the first scan.
        """
        latest: dict[str, int] = {}
        for tail in self.roster:
            if tail.untouched:
                continue  # what is to be read before it may not have been found yet
            if tail.away_since is not None or (tail.stream in self._renewed and tail.key not in self._new):
                latest[tail.stream] = max(latest.get(tail.stream, 0), tail.rotated_ns or tail.age_ns)
        for position in [p for p in self._known.all() if p.stream in self._renewed] + self._at_start:
            if position.untouched:
                continue
            latest[position.stream] = max(latest.get(position.stream, 0), position.mtime_ns)
        self._at_start = []
        if not self._first:
            # Of a log that nothing is known of: it may have come and been rotated since the last look.
            latest = dict.fromkeys(self._renewed, self._looked_ns) | latest
        for stream, mtime_ns in latest.items():
            one = self._at_path.get(stream)
            self._adoption.ask(stream, stream, mtime_ns, one.watch if one is not None else self._watches[0], now)

    def _stop_seeking(self, key: str) -> None:
        self._missing_since.pop(key, None)
        self._sought.pop(key, None)

    def _watch_of(self, position: Position) -> FileInput:
        one = self._at_path.get(position.path) or self._at_path.get(position.stream)
        return one.watch if one is not None else self._watches[0]
