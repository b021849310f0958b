"""The tail: one file being followed. It is built from a position and gives one back at any time.

The handle is expendable, the position is not: every byte is read together with the bytes before it,
so that a file that was truncated and has grown again is never taken for its continuation.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import suppress

from shipper.config import FileInput
from shipper.errors import InputError
from shipper.extraction import Yield
from shipper.framing.chain import hand_over
from shipper.inputs.content import Content, PlainContent, target_of
from shipper.inputs.continuation import continued, with_known
from shipper.inputs.ending import Ending, kept_of, same_length
from shipper.inputs.maker import MakeExtractor
from shipper.inputs.marks import Marks
from shipper.inputs.truncation import Cut, Truncated
from shipper.journal import Position
from shipper.journal.position import HEAD_MAX_BYTES, MARKER_MAX_BYTES, digest

STEP_BYTES = 256 << 10
"""What is taken to the end, from a line to a sealed record, before more is: the processor's caches hold all of that."""


class Tail:
    """One file being followed; not for use by two threads.

    ``away_since`` (monotonic seconds) says since when no pattern names the file; ``grown_at`` when it last grew;
    ``age_ns`` orders the files of a stream; ``proven_mtime_ns`` is when what was read of it was last written to,
    ``proven_size`` how many bytes it is known to have held, ``seen_ns`` when it was last known to be the same.
    """

    def __init__(
        self,
        content: Content,
        path: str,
        watch: FileInput,
        make_extractor: MakeExtractor,
        now: float,
        *,
        position: Position | None = None,
        stream: str | None = None,
        start: int = 0,
    ) -> None:
        self.content: Content | None = content
        self.watch = watch
        self._make_extractor = make_extractor
        status = content.stat()
        self.device, self.inode, self.generation = status.st_dev, status.st_ino, content.generation
        self.seen_ns = time.time_ns() if position is None else position.seen_ns
        # Of an empty file nothing else tells whether it was written and truncated since.
        self.size, self.mtime_ns = start, 0 if status.st_size else status.st_mtime_ns
        self.proven_size, self.proven_mtime_ns = start, status.st_mtime_ns
        self.kept = start
        """Of the bytes that its position says were there so many are."""
        self.age_ns = status.st_mtime_ns
        self.path = path
        self._target = target_of(path)
        self.grown_at = now
        self.behind_ns = 0
        """Since when there have been bytes that are not read yet, Unix time; 0 where there are none."""
        self.away_since: float | None = None
        self.rotated_ns: int | None = None
        """``age_ns`` when it was rotated away: a late line makes it younger than files that came after it."""
        self.found = (-1, 0)
        """Size and time of the last change as the last scan found them."""
        self.flushed = True
        self.dirty = False
        self._shrunk = False
        """Whether the last look found it shorter than it is known to have been, and longer than it was read."""
        self._ending = Ending()
        self.stream: str
        if position is None:
            self.key = uuid.uuid4().hex
            self.stream = stream or path
            self.head_at, self.fed = 0, start
            self._extractor = make_extractor(path, watch, start, 1, b"")
        else:
            self.key, self.stream = position.key, position.stream
            self.head_at, self.fed = position.head_at, position.offset
            self._extractor = make_extractor(path, watch, position.offset, position.line, position.carry)
            self.flushed = not self._extractor.waiting
            self.kept = kept_of(content, position)
            self.proven_mtime_ns = position.mtime_ns
            self.remember(position)
            if not content.growing and position.mtime_ns:
                # Compressed later than files that were written after it: what was in them is looked for from here on.
                self.age_ns = position.mtime_ns
        at = self.head_at
        self._head = content.pread(at, min(HEAD_MAX_BYTES, self.fed - at)) if self.fed > at else b""
        self._glimpse = b""
        self.glance()
        overlap = min(MARKER_MAX_BYTES, self.fed - at)
        self._recent = content.pread(self.fed - overlap, overlap) if overlap > 0 else b""
        if len(self._recent) < overlap or not (position is None or _ends_as_known(self._recent, position)):
            raise InputError(f"{path}: it was truncated while it was opened; it is looked at again")
        self._marks = Marks(() if position is None else position.marks)

    @property
    def waiting(self) -> bool:
        """Whether an entry or a part of a line is held back."""
        return self._extractor.waiting

    @property
    def parked(self) -> bool:
        """Whether its handle was given back for now."""
        return isinstance(self.content, PlainContent) and self.content.parked

    def moved_to(self, path: str, *, named: bool) -> None:
        """It was found at ``path``; or, if not ``named``, no pattern names it any more: then its handle is kept."""
        if path != self.path:
            self.path, self._target = path, target_of(path)
        if isinstance(self.content, PlainContent):
            self.content.path, self.content.pinned = path, not named

    @property
    def read_head(self) -> bytes:
        """The first bytes that were read."""
        return self._head

    @property
    def head(self) -> bytes:
        """The first bytes that were read, or were seen where nothing was read yet."""
        return self._head or self._glimpse

    @property
    def blank(self) -> bool:
        """Whether nothing was ever seen of it, though it is there: it was empty, and more may come."""
        return not self.head and self.content is not None and self.content.growing

    def glance(self) -> None:
        """See how a file begins of which nothing was read yet: it is known by that all the same, so that its copies are
        not read as well and its truncation is noticed, in another life too."""
        if self.untouched and self.content is not None and len(self._glimpse) < HEAD_MAX_BYTES:
            with suppress(InputError):
                seen = self.content.pread(self.head_at, HEAD_MAX_BYTES)
                if not seen.startswith(self._glimpse) or seen == self._glimpse:
                    return
                self._glimpse = seen
                self._prove(self.head_at + len(seen))
                if self.content.growing and len(seen) == HEAD_MAX_BYTES:
                    size = self.content.stat().st_size
                    # Only if it still begins so, its size was that of this file and not of one that came after it.
                    if self.content.pread(self.head_at, HEAD_MAX_BYTES) == seen:
                        self._prove(size)
                        self._ending.renew(self.fed, self.proven_size, self.content.pread)

    def verify(self) -> None:
        """See whether what was read, or seen, is still there, and how far the file goes by now: as the last scan found it.
        Raises Truncated and InputError."""
        size, _ = self.found
        if self.content is None or not self.content.growing:
            return
        if self.untouched:
            if size < self.head_at:
                raise Truncated  # in the hole that it began with
            if self._glimpse:
                self._see_begin(self.content.pread(self.head_at, len(self._glimpse)))
                self._see_size(size)
            self.glance()
            return
        overlap = self._recent[-MARKER_MAX_BYTES:]
        if self.content.pread(self.fed - len(overlap), len(overlap)) != overlap:
            raise Truncated
        self._see_size(size)

    def _see_begin(self, data: bytes) -> None:
        """An unread file begins with ``data`` now: as many bytes as were seen, or all that it has. Raises Truncated."""
        if data != self._glimpse:
            kept = self.head_at + same_length(data, self._glimpse)
            raise Cut(kept) if data and self._glimpse.startswith(data) else Truncated(kept)

    def _see_size(self, size: int) -> None:
        """What was read is there, and the last scan found so many bytes. Raises Truncated and InputError."""
        if self.content is None:
            return
        if size < self.proven_size:
            size = self.content.stat().st_size  # it may be more by now
            if size < self.proven_size:
                raise Cut(size) if size >= self.fed else Truncated
        self._ending.verify(self.content.pread)
        self._prove(size)
        self._ending.renew(self.fed, self.proven_size, self.content.pread)

    def remember(self, position: Position) -> None:
        """Of the file of ``position`` more was seen than read; whether it is still there will be noticed."""
        self.proven_size = max(self.proven_size, position.size)
        if self.content is not None and self.content.growing:
            self._ending = Ending(position.size, position.ending)

    def cut_to(self, kept: int) -> None:
        """It has ``kept`` bytes, and what was seen behind them is missed elsewhere."""
        self.size = self.proven_size = max(kept, self.fed)
        self._glimpse = self._glimpse[: self.proven_size - self.head_at]
        self._shrunk = False
        self._ending.clear()
        self.dirty = True

    def missed(self) -> None:
        """What it lacks of what its position says was there is missed elsewhere."""
        self.proven_size = max(self.kept, self.fed)
        self._ending.clear()

    def _prove(self, size: int) -> None:
        """It held so many bytes."""
        if size > self.proven_size:
            self.proven_size = size
            self.dirty = True

    @property
    def untouched(self) -> bool:
        """Whether nothing of the file was read yet, in this life or an earlier one."""
        return self.fed == self.head_at

    def begins(self, data: bytes) -> bool:
        """Whether the file's first bytes may be those of ``data``, as far as both are known."""
        head = self.head
        # Asked for every followed file whenever a new one comes: most differ in their first bytes.
        if not head or (head[:32] != data[:32] and len(head) >= 32 and len(data) >= 32):
            return False
        return head[: len(data)] == data[: len(head)]

    @property
    def lag_bytes(self) -> int:
        """Bytes of the file that are not read yet, as of the last look."""
        return max(0, self.size - self.fed)

    def rests(self, since: float) -> bool:
        """Whether the last scan, a moment ago, found it as it was read, not grown ``since`` and with nothing to be done."""
        if (
            self.found != (self.fed, self.mtime_ns)
            or self.size > self.fed
            or self.proven_size > self.fed
            or self.grown_at > since
            or self.away_since is not None
            or self.content is None
            or not self.content.growing
            or self._extractor.waiting
        ):
            return False
        self.seen_ns = time.time_ns()
        return True

    def look(self, *, just_found: bool = False) -> bool:
        """Whether there may be something to read or to notice: the file has grown, shrunk or was written to.

        ``just_found``: the last scan was a moment ago, and what it found tells that.
        """
        if self.content is None:
            return False
        if not self.content.growing:
            return True
        all_read = self.proven_size <= self.fed
        if all_read and (just_found or self.parked) and self.found == (self.fed, self.mtime_ns):
            self.seen_ns = time.time_ns()
            return False
        status = self.content.stat()
        changed = status.st_size != self.fed or status.st_mtime_ns != self.mtime_ns or not all_read
        self._shrunk = self.fed <= status.st_size < self.proven_size
        # A file that shrank keeps its old size here: it tells what the truncation destroyed.
        if not changed:
            self.seen_ns = time.time_ns()
        if status.st_size >= self.fed:
            self.size, self.mtime_ns = status.st_size, status.st_mtime_ns
            self.age_ns = status.st_mtime_ns
        if self.lag_bytes and not self.behind_ns:
            self.behind_ns = time.time_ns()
        return changed

    def read(self, limit: int, now: float, keep: Callable[[Yield], None]) -> bool:
        """Give ``keep`` what the next ``limit`` bytes hold; False at the end. Raises Truncated and InputError."""
        assert self.content is not None
        begun = self.fed - self._extractor.offset
        seen = continued(self.content, self._recent, self.fed, begun, limit)
        if seen is None:
            raise Truncated
        fresh = len(seen) - begun
        if self.untouched:
            size = len(self._glimpse)
            self._see_begin(seen[:size] if size <= limit else self.content.pread(self.head_at, size))
        if self._shrunk:
            raise Cut(self.size)
        if self._ending.data and (self.size > self._ending.end or self._ending.end <= self.fed + fresh):
            self._ending.verify(self.content.pread)
        self.seen_ns = time.time_ns()
        # Only now it is known that size and time seen are those of the bytes being followed.
        self.proven_size, self.proven_mtime_ns = max(self.proven_size, self.size, self.fed), self.mtime_ns
        if not fresh:
            return False
        if self.untouched:
            seen = self._skip_hole(seen)
            if not (fresh := len(seen)):
                return True
        if len(self._head) < HEAD_MAX_BYTES and self.fed == self.head_at + len(self._head):
            self._head += seen[begun : begun + HEAD_MAX_BYTES - len(self._head)]
        self.fed += fresh
        self.size = max(self.size, self.fed)
        self.proven_size = max(self.proven_size, self.fed)
        self.behind_ns = self.behind_ns if self.lag_bytes else 0
        if self.content.growing and (self._ending.data or self.proven_size > self.fed):
            with suppress(InputError):
                self._ending.renew(self.fed, self.proven_size, self.content.pread)
        self.grown_at = now
        self.flushed = False
        self.dirty = True
        # A piece is large: no copies of it are made that aren't needed.
        for at in range(0, len(seen), STEP_BYTES):
            keep(self._extractor.feed(seen[at : at + STEP_BYTES], again=not at))
        known = self.fed - self._extractor.offset + MARKER_MAX_BYTES
        seen = with_known(self._recent, begun, seen, known)
        self._marks.add(self.fed, seen)
        self._recent = seen[-known:]
        return True

    def flush(self, final: bool = False) -> Yield:
        """What was held back and is complete; with ``final`` all of it, because nothing more will come."""
        self.flushed = True
        self.dirty = True
        return self._extractor.flush(final)

    def position(self, *, done: bool = False) -> Position:
        """The position now. A file of which nothing was even seen has an empty head and is not worth keeping."""
        offset = self._extractor.offset
        head = self.head
        marker = self._recent[: len(self._recent) - (self.fed - offset)][-MARKER_MAX_BYTES:]
        return Position(
            key=self.key,
            stream=self.stream,
            path=self.path,
            device=self.device,
            inode=self.inode,
            head_at=self.head_at,
            head_length=len(head),
            head=digest(head),
            marker_length=len(marker),
            marker=digest(marker),
            offset=offset,
            line=self._extractor.line,
            carry=self._extractor.carry,
            size=self.proven_size,
            mtime_ns=self.proven_mtime_ns,
            seen_ns=time.time_ns() if done else self.seen_ns,
            done=done,
            generation=self.generation,
            marks=self._marks.all,
            target=self._target,
            ending=self._ending.data if self._ending.end == self.proven_size else b"",
        )

    @property
    def holds_cut(self) -> bool:
        """Whether it holds back what may go on in the next file."""
        return self.waiting and hand_over(self._extractor.carry) is not None

    def take_over(self, earlier: Tail) -> None:
        """Go on with what ``earlier`` holds back: a line that its container's runtime cut, an entry with more lines.
        Only for a tail that is untouched; nothing happens before the file holds anything. Raises InputError."""
        if not earlier.waiting or self.content is None or not self.content.pread(self.fed, 1):
            return
        parted = hand_over(earlier._extractor.carry)
        if parted is None:
            return
        earlier._let_go(parted[0])
        self._extractor = self._make_extractor(self.path, self.watch, self.fed, 1, parted[1])
        self.dirty = True

    def _let_go(self, carry: bytes) -> None:
        """Hold back no more than ``carry`` and the part of a line that has begun."""
        offset, line = self._extractor.offset, self._extractor.line
        begun = self._recent[len(self._recent) - (self.fed - offset) :]
        self._extractor = self._make_extractor(self.path, self.watch, offset, line, carry)
        if begun:
            self._extractor.feed(begun)
        self.dirty = True

    def close(self) -> None:
        """Give the handle back; the position stays valid."""
        if self.content is not None:
            self.content.close()
            self.content = None

    def _skip_hole(self, data: bytes) -> bytes:
        """Leave out NUL bytes at the start: what a writer without O_APPEND leaves after copytruncate."""
        rest = data.lstrip(b"\0")
        if len(rest) < len(data):
            self.head_at = self.fed = self.fed + len(data) - len(rest)
            self._recent, self._marks = b"", Marks()
            self._extractor = self._make_extractor(self.path, self.watch, self.fed, 1, b"")
        return rest


def _ends_as_known(read: bytes, position: Position) -> bool:
    return digest(read[len(read) - position.marker_length :]) == position.marker
