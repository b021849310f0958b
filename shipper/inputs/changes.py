"""The changes: what a look at the file system found out that the journal must know."""

from __future__ import annotations

from msgspec import Struct

from shipper.journal import Position
from shipper.record import Gap


class Changes(Struct):
    """Positions to keep, keys of those to forget, and losses."""

    positions: list[Position] = []
    forget: list[str] = []
    gaps: list[Gap] = []
