"""Gathering: joins the batches of several turns into one, until it is worth a transaction."""

from __future__ import annotations

from shipper.journal import Batch, FeedPosition, Piece, Position
from shipper.record import Gap

HOLD_SECONDS = 1.0
"""How long lines wait that hold no event of ours: their position alone is not worth a write to the disk."""
HOLD_MAX_BYTES = 32 << 20
BUSY_SECONDS = 0.2
"""How long events wait while more can be read at once: a transaction costs as much for few of them as for many."""
BUSY_MAX_BYTES, BUSY_MAX_COUNT = 16 << 20, 4096
"""Of lines, and of events, that are gathered meanwhile."""


class Gathering:
    """What was read and is not in the journal yet. At most ``HOLD_MAX_BYTES`` and a turn more are gathered."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._pieces: list[Piece] = []
        self._positions: dict[str, Position] = {}
        self._feeds: dict[str, FeedPosition] = {}
        self._forget: dict[str, None] = {}
        self._gaps: list[Gap] = []
        self._began = False
        self._since: float | None = None
        self._bytes = 0
        self._urgent = False
        self._urgent_since = 0.0
        self._pressing = False
        self._count = 0
        """Events and malformed entries."""

    def add(self, batch: Batch, now: float) -> None:
        """Add what a turn gave."""
        if batch.empty:
            return
        if self._since is None:
            self._since = now
        self._pieces.extend(batch.pieces)
        for position in batch.positions:
            self._positions[position.key] = position
            self._forget.pop(position.key, None)
        for feed in batch.feeds:
            self._feeds[feed.key] = feed
        for key in batch.forget:
            self._positions.pop(key, None)
            self._forget[key] = None
        self._gaps.extend(batch.gaps)
        self._began = self._began or batch.began
        self._bytes += sum(piece.bytes for piece in batch.pieces)
        self._count += sum(piece.count + len(piece.malformed) for piece in batch.pieces)
        if not self._urgent and (self._count or self._gaps):
            self._urgent, self._urgent_since = True, now
        # A file that was seen and not read yet may be destroyed at any moment.
        self._pressing = self._pressing or any(position.only_seen for position in batch.positions)

    def due(self, now: float, *, busy: bool = False) -> bool:
        """Whether it should be written now; ``busy``: there is more to read at once."""
        if self._since is None:
            return False
        if self._pressing:
            return True
        if self._urgent:
            full = self._count >= BUSY_MAX_COUNT or self._bytes >= BUSY_MAX_BYTES
            return full or not busy or now - self._urgent_since >= BUSY_SECONDS
        return self._bytes >= HOLD_MAX_BYTES or now - self._since >= HOLD_SECONDS

    def take(self) -> Batch:
        """All of it as one batch; nothing is left."""
        batch = Batch(
            tuple(self._pieces),
            tuple(self._positions.values()),
            tuple(self._forget),
            tuple(self._gaps),
            self._began,
            tuple(self._feeds.values()),
        )
        self._clear()
        return batch
