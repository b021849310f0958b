"""The admission: decides for a file that was found and is not followed whether it is known, a copy, or new.

A file that an earlier life saw and did not come to read is new, and is read behind those that come before it; what
was seen of it only says that it was there.
"""

from __future__ import annotations

from collections.abc import Mapping

from shipper.config import FileInput
from shipper.errors import InputError
from shipper.inputs import loss
from shipper.inputs.changes import Changes
from shipper.inputs.content import Content, PlainContent, compression, open_content
from shipper.inputs.discovery import Found
from shipper.inputs.identity import Known
from shipper.inputs.judged import Judged
from shipper.inputs.maker import MakeExtractor
from shipper.inputs.original import find_original
from shipper.inputs.roster import Roster
from shipper.inputs.sibling import base_name
from shipper.inputs.succession import is_reused
from shipper.inputs.tail import Tail
from shipper.journal import Position

WHOLE_MAX_BYTES = 64 << 20
"""So much of a new compressed file is unpacked to see whether it is whole; a larger one is read as far as it goes."""


class Admission:
    """Gives each file that is to be read a tail in ``roster``. ``first`` says that ``read_from`` counts."""

    def __init__(
        self,
        roster: Roster,
        known: Known,
        judged: Judged,
        make_extractor: MakeExtractor,
        host: str,
        *,
        first: bool,
    ) -> None:
        self.first = first
        self.new: set[str] = set()
        """Keys of tails of files that were not known before this scan."""
        self.renewed: set[str] = set()
        """Their streams."""
        self._roster = roster
        self._known = known
        self._judged = judged
        self._make_extractor = make_extractor
        self._host = host
        self._found: Mapping[tuple[int, int], Found] = {}
        self._streams: set[str] = set()

    def begin(self, found: Mapping[tuple[int, int], Found], *, goes_on: bool) -> None:
        """A scan begins that ``found`` these files; or it ``goes_on`` where the last one had no time left."""
        self._found = found
        if not goes_on:
            self.new, self.renewed = set(), set()
        self._streams = {one.path for one in found.values()} | {tail.stream for tail in self._roster}

    def meet(self, one: Found, now: float, changes: Changes) -> str | None:
        """Go on with a known file, leave a copy, read a new one; returns why it can't be read, where it can't."""
        try:
            content: Content = PlainContent(one.path)
        except InputError as error:
            return str(error)
        try:
            if not self._settle(one, content, now, changes):
                content.close()
        except InputError as error:
            content.close()
            return str(error)
        return None

    def follow_away(self, content: Content, path: str, watch: FileInput, now: float, position: Position) -> Tail:
        """Read the rest of a rotated file, before the current one."""
        tail = self._resume(content, path, watch, now, position)
        tail.away_since, tail.rotated_ns = now, position.mtime_ns or None
        tail.moved_to(path, named=False)
        status = content.stat()
        if content.growing:
            tail.size = status.st_size
        self._roster.resort(tail)
        return tail

    def _settle(self, one: Found, content: Content, now: float, changes: Changes) -> bool:
        """Whether the file is followed from now on."""
        status = content.stat()
        if (status.st_dev, status.st_ino) != one.inode_key:
            return False  # replaced since it was found; the next scan sees it
        if compression(content.pread(0, 8), one.path) is not None:
            self._settle_packed(one, now, changes)
            return False
        position = self._known.match(content.pread, one.device, one.inode)
        if (
            position is not None
            and position.only_seen
            and status.st_size < position.size
            and (one.inode_key != (position.device, position.inode) or content.generation != position.generation)
        ):
            position = None  # it begins as one did that had more, which is gone
        if position is not None and not position.only_seen:
            tail = self._resume(content, one.path, one.watch, now, position)
            if self._is_copied(one, position):
                self._tell_lack(position, tail, changes, truncated=True)
                tail.age_ns = 0
                self._roster.resort(tail)
            elif position.lost:
                tail.missed()
            return True
        original = find_original(self._roster, content, status.st_size)
        if original is not None:
            self._judged.copy(one, original.key)
            return False
        at_end = self.first and one.watch.read_from == "end"
        stream = self._stream_of(one.path)
        # Of the log itself anything may be new; a copy of it begins with what was read.
        begin = self._known.begin_in(content.pread, stream) if stream != one.path else 0
        start = status.st_size if at_end else begin
        tail = Tail(content, one.path, one.watch, self._make_extractor, now, start=start, stream=stream)
        tail.dirty = tail.dirty or start > 0
        if position is not None:
            if self._is_copied(one, position):
                changes.gaps.append(loss.truncated(position, 0, status.st_size, self._host))
            else:
                tail.remember(position)
            self._forget(position, changes)
        self._add(tail)
        return True

    def _settle_packed(self, one: Found, now: float, changes: Changes) -> None:
        """A compressed file that a pattern names: what was not read of it before, under whatever name, is read, once."""
        if self.first and one.watch.read_from == "end":
            self._judged.packed(one)
            return
        content = open_content(one.path)
        try:
            position = self._known.match(content.pread, one.device, one.inode)
            if position is None or position.only_seen:
                original = find_original(self._roster, content, one.size)
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
        elif position is not None and not position.only_seen:
            tail = self.follow_away(content, one.path, one.watch, now, position)
            self._tell_lack(position, tail, changes, truncated=self._is_copied(one, position))
        else:
            if position is not None:
                self._forget(position, changes)
            tail = Tail(content, one.path, one.watch, self._make_extractor, now, stream=self._stream_of(one.path))
            tail.away_since = now
            self._add(tail)

    def _tell_lack(self, position: Position, tail: Tail, changes: Changes, *, truncated: bool) -> None:
        """``tail`` goes on for the file of ``position``, which was ``truncated`` or is gone: what it lacks is named, but
        if all of that was given up before."""
        if not position.lost and truncated:
            changes.gaps.append(loss.truncated(position, position.offset, tail.kept, self._host))
        elif not position.lost and tail.kept < position.size:
            changes.gaps.append(loss.vanished(position, self._host, kept=tail.kept))
        tail.missed()

    def _is_copied(self, one: Found, position: Position) -> bool:
        """Whether the file of ``position`` itself is still there, but what it held is in the file ``one``: a copy, and
        then a truncation."""
        was = (position.device, position.inode)
        return (
            one.inode_key != was
            and was in self._found
            and not is_reused(position, self._roster.at(*was), self._found[was])
        )

    def _stream_of(self, path: str) -> str:
        """A rotated file that a pattern names belongs to the log that it comes from, if that is followed."""
        folder, _, name = path.rpartition("/")
        base = f"{folder}/{base_name(name)}"
        return base if base in self._streams else path

    def _add(self, tail: Tail) -> None:
        self._roster.add(tail)
        self.new.add(tail.key)
        self.renewed.add(tail.stream)

    def _forget(self, position: Position, changes: Changes) -> None:
        """What was only seen of a file is known anew."""
        self._known.remove(position.key)
        changes.forget.append(position.key)

    def _resume(self, content: Content, path: str, watch: FileInput, now: float, position: Position) -> Tail:
        tail = Tail(content, path, watch, self._make_extractor, now, position=position)
        tail.dirty = True
        self._known.remove(position.key)
        self._roster.add(tail)
        return tail
