"""The unit: entries of one unit, identifier or container in, records out, with the cursor that belongs to them.

The cursor moves only with the records: what ``take`` gives holds both.
"""

from __future__ import annotations

import logging
import time

import msgspec

from shipper.config import JournaldInput
from shipper.extraction import Extractor, Yield
from shipper.framing.chain import NEEDLE
from shipper.inputs import lost_cursor
from shipper.inputs.entry import cursor_of, dropped_count, fields_of, time_of
from shipper.inputs.journalctl import PROGRAM, Match, oldest
from shipper.inputs.lines import Line, Lines
from shipper.inputs.lost_cursor import LostCursor
from shipper.journal import FeedPosition, Piece
from shipper.record import Gap, Malformed, Source

MISSED_COUNT = 3
"""So often journalctl must miss the entry that was read last, some time apart, before it is believed. While journald begins
anew or rotates, journalctl may find a file or a part of one that is not there a moment later, and the other way round."""
_JSON_FACTOR = 6  # a byte of a message takes up to four in JSON, and there are other fields
log = logging.getLogger(__name__)


class Unit:
    """Takes what journalctl prints of ``match`` from ``position`` on, or as the configuration says where there is none.

    ``known`` says that the journal of connlog counts entries of it although it has no position: it was recovered, so
    all that is there is read again, whatever ``read_from`` says.
    """

    def __init__(
        self, match: Match, watch: JournaldInput, position: FeedPosition | None, *, host: str, known: bool = False
    ) -> None:
        self.match = match
        self._watch = watch
        self._host = host
        at_end = position is None and watch.read_from == "end" and not known
        held = position or FeedPosition(match.key, seen_ns=time.time_ns() if at_end else 0)
        self._since_ns = 0 if held.cursor else held.seen_ns
        self._cursor, self.time_ns, self._seen_ns = held.cursor, held.time_ns, held.seen_ns
        self._extractor = Extractor(
            Source(host=host, input="journald"),
            format=watch.format,
            wrapper="journald",
            tz=watch.tz,
            line_max_bytes=watch.line_max_bytes,
            offset=held.offset,
            line=held.line,
            carry=held.carry,
            # An offset in what journalctl printed this time tells nobody anything: the cursor is the place.
            placed=False,
        )
        self.flushed = not self._extractor.waiting
        """Whether what is complete of what was held back was given."""
        self.given = False
        """Whether the child gave anything."""
        self._lines = Lines(_JSON_FACTOR * watch.line_max_bytes + 65_536)
        self._sure = match.sure
        self._piece = Piece(match.source)
        self._gaps: list[Gap] = []
        self._dirty = at_end
        self._expected = ""
        """The cursor that the child's first entry must have."""
        self._lost: LostCursor | None = None
        self._anew = False
        self.missed_count = 0
        """How often journalctl missed the entry that was read last, and was not believed yet."""

    @property
    def waiting(self) -> bool:
        """Whether an entry or a part of a line is held back."""
        return self._extractor.waiting

    @property
    def expects(self) -> bool:
        """Whether the child must begin with the entry that was read last, and has not yet."""
        return bool(self._expected)

    @property
    def seen_ns(self) -> int:
        """When there was last known to be nothing behind the cursor, Unix time; 0 where never."""
        return self._seen_ns

    def begin(self) -> tuple[str, int]:
        """A child begins: the cursor at which, or the time (Unix, ns) from which on; neither is the oldest entry."""
        self._lines.clear()
        self.given = False
        # Of a lost cursor it is known that it is gone; what else there is comes from the oldest entry on.
        self._expected = "" if self._lost is not None else self._cursor
        return self._expected, 0 if self._cursor else self._since_ns

    def flush(self, final: bool = False) -> None:
        """Give what is complete; with ``final`` all that is held back."""
        self.flushed = True
        self._keep(self._extractor.flush(final))

    def drained(self) -> None:
        """There is nothing behind the cursor now."""
        if self._cursor and self.given:
            self._seen_ns = time.time_ns()

    def end(self) -> None:
        """The last ``take`` tells the position in any case."""
        self._dirty = bool(self._cursor or self._since_ns)

    def feed(self, data: bytes) -> bool:
        """Give the lines of the unit to the extractor, and count the others; the cursor moves behind them. False where
        the child must begin anew, from another place."""
        ready: list[bytes] = []
        last = b""
        for line in self._lines.feed(data):
            text = line.text
            place = text if b'"__CURSOR"' in text else line.end
            if self._judging and b'"__CURSOR"' in place and not self._is_new(place):
                if self._anew:
                    self._anew = False
                    return False
                continue
            if line.cut or place is not text:
                self._extract(ready, last)
                ready, last = [], b""
                self._odd(line, place)
                continue
            last = text
            if (self._sure is not None and self._sure in text) or self._belongs(text):
                ready.append(text)
            else:
                self._count(line)
        self._extract(ready, last)
        return True

    def _extract(self, ready: list[bytes], last: bytes) -> None:
        """What the lines give; the cursor moves to that of the ``last`` one with the same step."""
        if ready:
            self.flushed = False
            self._keep(self._extractor.feed(b"\n".join(ready) + b"\n"))
        if last:
            self._move(last)

    def _move(self, place: bytes) -> None:
        cursor = cursor_of(place)
        if cursor is None:
            return
        self._cursor, self.time_ns, self._dirty = cursor, time_of(place), True
        self._seen_ns = max(self._seen_ns if self._seen_ns <= time.time_ns() else 0, self.time_ns)

    def take(self) -> tuple[Piece | None, FeedPosition | None, list[Gap]]:
        """What was read since the last call; the position where it moved."""
        piece, self._piece = self._piece, Piece(self.match.source)
        gaps, self._gaps = self._gaps, []
        position = self._position() if self._dirty else None
        self._dirty = False
        return piece if piece.lines or piece.entries or piece.drift else None, position, gaps

    def _position(self) -> FeedPosition:
        """How far it was read."""
        extractor = self._extractor
        return FeedPosition(
            self.match.key,
            self._cursor,
            self.time_ns,
            self._seen_ns,
            extractor.offset,
            extractor.line,
            extractor.carry,
        )

    @property
    def _judging(self) -> bool:
        """Whether it isn't known yet if the child's next entry is new."""
        return not self.given or bool(self._expected) or self._lost is not None

    def _is_new(self, text: bytes) -> bool:
        """Judge the child's first entries: whether this one was not read yet."""
        self.given = True
        cursor = cursor_of(text) or ""
        if self._expected:
            expected, self._expected = self._expected, ""
            if cursor == expected:
                self.missed_count = 0
                return False
            if self.lose(cursor):
                self._anew = True
                return False
        if self._lost is None:
            return True
        if cursor == self._lost.cursor:
            self._lost = None  # journalctl had only missed it
            return False
        if self._lost.before(cursor):
            return False
        if not self._lost.told:
            self._gaps.append(self._lost.gap(self._host, self.match.source, time_of(text), "oldest"))
        self._lost = None
        return True

    def lose(self, found: str = "") -> bool:
        """The cursor seems to be gone; ``found`` is the nearest entry that is there, if there is one. True where the child
        must begin anew: as long as that is not sure, at the cursor again."""
        self.missed_count += 1
        if self.missed_count < MISSED_COUNT:
            log.info("%s: %s does not find the entry that was read last; asked again", self.match.source, PROGRAM)
            return True
        self.missed_count = 0
        lost = LostCursor(self._cursor, max(self._seen_ns, self.time_ns))
        policy = self._watch.on_lost_cursor
        self._expected = ""
        harmless = lost.harmless(oldest(self.match.where))
        log.warning(
            "%s: the journal no longer has the entry that was read last%s",
            self.match.source,
            "; it goes back far enough that nothing is missing" if harmless else "",
        )
        if found and (harmless or policy == "nearest"):
            if not harmless:
                self._gaps.append(lost.gap(self._host, self.match.source, time.time_ns(), "nearest"))
            self._lost = msgspec.structs.replace(lost, told=True)
            return False
        if policy == "newest":
            self._since_ns = self._seen_ns = time.time_ns()
            self._cursor, self._dirty = "", True
            self._gaps.append(lost.gap(self._host, self.match.source, self._since_ns, policy))
        else:
            self._lost = msgspec.structs.replace(lost, told=harmless)
        return True

    def _belongs(self, text: bytes) -> bool:
        fields = fields_of(text)
        if fields is None:
            return False
        count = dropped_count(fields)
        if count is not None and self.match.about(fields):
            self._gaps.append(lost_cursor.dropped(count, self._host, self.match.source, cursor_of(text), time_of(text)))
        return self.match.holds(fields)

    def _count(self, line: Line) -> None:
        """An entry that is about the unit and not of it."""
        self._piece.entries += 1
        self._piece.not_ours += 1
        self._piece.lookalikes += NEEDLE in line.text
        self._piece.lines += 1
        self._piece.bytes += line.length

    def _odd(self, line: Line, place: bytes) -> None:
        """A line that is too long, or no entry: kept as malformed where it may have been one of ours."""
        if NEEDLE in line.text:
            why = "is longer than line_max allows" if line.cut else f"is not what {PROGRAM} prints for an entry"
            source = Source(self._host, "journald", None, None, cursor_of(place), {"source": self.match.source})
            text = line.text[: self._watch.line_max_bytes]
            self._piece.malformed.append(Malformed(text, f"the line {why}", 0, 1, source, line.length))
            self._piece.entries += 1
            self._piece.lines += 1
            self._piece.bytes += line.length
        else:
            self._count(line)
        self._move(place)

    def _keep(self, got: Yield) -> None:
        self._dirty = True
        got.malformed = [msgspec.structs.replace(one, line=0) for one in got.malformed]
        self._piece.add(got)
