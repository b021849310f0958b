"""The supply: gives slices to send: what came back first, then what was put back, then new events and the backlog by turns.

It reads the journal batch by batch, at most two at a time, and knows with ``Progress`` what is taken already. While it
is far behind, new events do not wait for the backlog: each second slice is of new ones. Not for two threads at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from shipper.errors import StateError
from shipper.journal import Parcel, Span
from shipper.outputs.hec.envelope import Renderer
from shipper.outputs.hec.parcels import Parcels
from shipper.outputs.hec.progress import Progress
from shipper.outputs.hec.sealed import AnySlice, SealedSlice, Sheet, sheets_of
from shipper.outputs.hec.slice import Slice, spans_of
from shipper.record import Record, decode_record

BEHIND_NS = 30_000_000_000
"""Events that were stored so long ago, with others as old behind them, are a backlog."""
LOOK_NS = 1_000_000_000
"""How often it is looked for events that another process put back."""


class Limits(Struct):
    """What a slice may hold, and how long it may wait to be full."""

    bytes: int
    events: int
    age_ns: int


class _Walk:
    """A way through the batches after ``after`` up to ``until``, or without an end."""

    def __init__(self, after: int, until: int | None = None) -> None:
        self.after = after
        self.until = until
        self.parcel: Parcel | None = None
        self.places: Sequence[int] = ()
        self.sheets: deque[Sheet] = deque()
        """What of ``parcel``, from ``places[at]`` on, can be sent as it is."""
        self.at = 0
        self.since_ns = 0
        """When the first item of the slice that is being filled was stored."""


class Supply:
    """Goes on behind the cursor of ``progress``; ``skipped`` spans are taken, or wait for their acknowledgement.

    ``keeps`` is the output's filter, None for none; ``gaps`` whether known losses are sent. What the journal keeps in the
    wrapping ``wrap`` is sent as it is kept.
    """

    def __init__(
        self,
        outbox: Parcels,
        renderer: Renderer,
        progress: Progress,
        limits: Limits,
        *,
        keeps: Callable[[Record], bool] | None,
        gaps: bool,
        taken: Sequence[Span],
        waiting: Sequence[Span],
        wrap: str = "",
    ) -> None:
        self._outbox = outbox
        self._renderer = renderer
        self._progress = progress
        self.limits = limits
        self._keeps = keeps
        self._wrap = wrap
        self._gaps = gaps
        self._returned: deque[AnySlice] = deque()
        self._spans: deque[Span] = deque()
        self._taken = _by_seq(taken)
        self._waiting = _by_seq(waiting)
        self._new = _Walk(progress.cursor)
        self._backlog: _Walk | None = None
        self._partial: AnySlice | None = None
        self._again = 0
        self._looked_ns = 0
        self._turn = False

    # ---- what comes back -----------------------------------------------------------------------

    def give_back(self, pieces: Sequence[AnySlice]) -> None:
        """To be sent again, first of all."""
        self._returned.extendleft(reversed(pieces))

    def send_again(self, spans: Sequence[Span]) -> None:
        """To be read and sent again."""
        self._spans.extend(spans)

    @contextmanager
    def _kept(self, piece: AnySlice) -> Iterator[None]:
        """Where the journal can't be read further, what was read already is not lost: it goes first next time."""
        try:
            yield
        except StateError:
            if len(piece):
                self._returned.append(piece)
            raise

    # ---- what goes -----------------------------------------------------------------------------

    def take(self, now_ns: int, *, flush: bool = False) -> tuple[AnySlice | None, float]:
        """The next slice, or None and the seconds until one that waits for more is due (infinite: none does).
        With ``flush`` nothing waits."""
        if self._returned:
            return self._first_returned(), 0.0
        piece: AnySlice | None = self._of_spans() or self._put_back(now_ns)
        if piece is not None:
            return piece, 0.0
        self._turn = not self._turn
        if self._backlog is not None and self._turn:
            piece = self._of_backlog()
            if piece is not None:
                return piece, 0.0
        piece, wait = self._of_new(now_ns, flush)
        if piece is None and self._backlog is not None:
            piece = self._of_backlog()
        return piece, 0.0 if piece is not None else wait

    def _first_returned(self) -> AnySlice:
        piece = self._returned.popleft()
        fits = min(piece.within(self.limits.bytes), self.limits.events)
        if fits < len(piece):
            self._returned.appendleft(piece.cut(fits, len(piece)))
            piece = piece.cut(0, fits)
        return piece

    def _of_spans(self) -> Slice | None:
        piece = _empty()
        while self._spans:
            with self._kept(piece):
                parcel = self._outbox.at(self._spans[0].seq)
            span = self._spans.popleft()
            if parcel is None:
                continue
            places = [at for at in range(span.first, span.until) if not self._progress.is_taken(span.seq, at)]
            stop = self._renderer.render(parcel, places, 0, piece, self.limits.bytes, self.limits.events)
            if stop < len(places):
                self._spans.extendleft(reversed(spans_of((span.seq, at) for at in places[stop:])))
                break
        return piece if len(piece) else None

    def _put_back(self, now_ns: int) -> Slice | None:
        if 0 <= now_ns - self._looked_ns < LOOK_NS:
            return None
        parcel = self._outbox.put_back(self._again)
        if parcel is None:
            self._looked_ns = now_ns
            return None
        self._again = parcel.seq
        places = self._begin(parcel)
        if not places:
            return None
        piece = _empty()
        stop = self._renderer.render(parcel, places, 0, piece, self.limits.bytes, self.limits.events)
        self._spans.extend(spans_of((parcel.seq, at) for at in places[stop:]))
        return piece

    def _of_backlog(self) -> AnySlice | None:
        assert self._backlog is not None
        piece, _ = self._fill(self._backlog, SealedSlice([]))
        if self._backlog.parcel is None:
            self._backlog = None
            self._progress.read_until = self._new.after
        return piece if len(piece) else None

    def _of_new(self, now_ns: int, flush: bool) -> tuple[AnySlice | None, float]:
        piece = self._partial if self._partial is not None else SealedSlice([])
        self._partial = None
        piece, full = self._fill(self._new, piece)
        age_ns = now_ns - self._new.since_ns
        with self._kept(piece):
            if self._backlog is None and self._new.parcel is not None and age_ns > BEHIND_NS:
                self._split(now_ns)
        if not len(piece):
            return None, float("inf")
        if full or flush or not 0 <= age_ns < self.limits.age_ns:
            return piece, 0.0
        self._partial = piece
        return None, (self.limits.age_ns - age_ns) / 1e9

    def _split(self, now_ns: int) -> None:
        """What has been in the journal for long becomes the backlog; what came lately, and what comes, is new."""
        newest = self._outbox.newest(now_ns - BEHIND_NS)
        if newest > self._new.after:
            self._backlog, self._new = self._new, _Walk(newest)
            self._backlog.until = newest

    def _fill(self, walk: _Walk, piece: AnySlice) -> tuple[AnySlice, bool]:
        """Add what there is to a slice, which an empty one may be of either kind; returns it, and whether it is full.
        ``walk.parcel`` is None where nothing is left."""
        while True:
            with self._kept(piece):
                if walk.parcel is None and not self._load(walk):
                    return piece, False
            parcel = walk.parcel
            assert parcel is not None
            if not len(piece):
                walk.since_ns = parcel.stored_ns
                piece = SealedSlice([])
            if isinstance(piece, SealedSlice) and self._add_sheets(walk, piece):
                return piece, True
            if walk.at < len(walk.places):
                if isinstance(piece, SealedSlice):
                    if len(piece):
                        return piece, True
                    piece = _empty()
                walk.sheets.clear()
                walk.at = self._renderer.render(
                    parcel, walk.places, walk.at, piece, self.limits.bytes, self.limits.events
                )
                if walk.at < len(walk.places):
                    return piece, True
            walk.parcel = None
            if len(piece) >= self.limits.events:
                with self._kept(piece):
                    self._load(walk)  # so that it is known whether more is there
                return piece, True

    def _add_sheets(self, walk: _Walk, piece: SealedSlice) -> bool:
        """Add sheets as they are while they fit; returns whether the next one doesn't."""
        while walk.sheets:
            sheet = walk.sheets[0]
            size, count = piece.size + sheet.segment.plain, len(piece) + sheet.segment.count
            if size > self.limits.bytes or count > self.limits.events:
                if not len(piece):
                    # Not even alone: one by one.
                    walk.sheets.clear()
                return len(piece) > 0
            piece.add(walk.sheets.popleft())
            walk.at += sheet.segment.count
        return False

    def _load(self, walk: _Walk) -> bool:
        while True:
            parcel = self._outbox.after(walk.after)
            if parcel is None or (walk.until is not None and parcel.seq > walk.until):
                return False
            walk.after = parcel.seq
            walk.places, walk.at = self._begin(parcel), 0
            walk.sheets = deque(self._sheets(parcel, len(walk.places)))
            if self._backlog is None or walk is self._backlog:
                self._progress.read_until = parcel.seq
            if walk.places:
                walk.parcel = parcel
                return True

    def _sheets(self, parcel: Parcel, count: int) -> list[Sheet]:
        """The sheets of a batch of which ``count`` items are to be sent, where all of them are, as they are kept."""
        lines = parcel.sealed
        if lines is None or lines.sealed.wrap != self._wrap or count != parcel.count:
            return []
        return sheets_of(lines, parcel.seq)

    def _begin(self, parcel: Parcel) -> Sequence[int]:
        """Make a batch known, and return the places in it that are to be sent."""
        records, count, seq = len(parcel.lines), parcel.count, parcel.seq
        self._progress.add(seq, count)
        taken = self._taken.pop(seq, ())
        self._progress.take(taken)
        out: set[int] = {at for span in (*taken, *self._waiting.pop(seq, ())) for at in range(span.first, span.until)}
        left_out: list[int] = []
        if self._keeps is not None and seq > 0:
            keeps = self._keeps
            left_out = [at for at, line in enumerate(parcel.lines) if not keeps(decode_record(line))]
        if not self._gaps:
            left_out += range(records, count)
        if left_out:
            self._progress.take(spans_of((seq, at) for at in left_out))
            out.update(left_out)
        return [at for at in range(count) if at not in out] if out else range(count)


def _by_seq(spans: Sequence[Span]) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for span in spans:
        found.setdefault(span.seq, []).append(span)
    return found


def _empty() -> Slice:
    return Slice([], [], [], [])
