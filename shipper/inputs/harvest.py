"""The harvest: what one turn of the tailer gives, gathered piece by piece into one batch for the journal."""

from __future__ import annotations

from shipper.extraction import Yield
from shipper.journal import Baler, Batch, Piece, Position
from shipper.record import Gap


class Harvest:
    """Pieces by stream, positions by key, and losses. ``began`` says that all files have been looked for once; ``baler`` seals
    what was read, for the output that wants it so."""

    def __init__(self, baler: Baler | None = None) -> None:
        self._baler = baler
        self._pieces: dict[str, Piece] = {}
        self._positions: dict[str, Position] = {}
        self._forget: dict[str, None] = {}
        self._gaps: list[Gap] = []
        self.began = False

    def keep(self, stream: str, got: Yield) -> None:
        """What a piece of this stream's bytes gave."""
        piece = self._pieces.get(stream)
        if piece is None:
            piece = self._pieces[stream] = Piece(stream)
        piece.add(got, self._baler)

    def put(self, position: Position) -> None:
        """Remember how far a file was read."""
        self._positions[position.key] = position
        self._forget.pop(position.key, None)

    def drop(self, key: str) -> None:
        """Forget a position."""
        self._positions.pop(key, None)
        self._forget[key] = None

    def tell(self, *gaps: Gap) -> None:
        """Record losses."""
        self._gaps += gaps

    def take(self) -> Batch:
        """All of it; nothing is left."""
        batch = Batch(
            tuple(self._pieces.values()),
            tuple(self._positions.values()),
            tuple(self._forget),
            tuple(self._gaps),
            self.began,
        )
        self._pieces, self._positions, self._forget, self._gaps, self.began = {}, {}, {}, [], False
        return batch
