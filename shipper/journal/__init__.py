"""The journal: what was read is durable here, together with how far it was read, before anything is delivered."""

from shipper.journal.batch import Appended, Batch, Block, Counters, Piece
from shipper.journal.position import FeedPosition, Position
from shipper.journal.quarantine import Mended, Quarantine, Quarantined, QuarantineSize, Renewed
from shipper.journal.store import Depth, Journal

__all__ = [
    "Appended",
    "Batch",
    "Block",
    "Counters",
    "Depth",
    "FeedPosition",
    "Journal",
    "Mended",
    "Piece",
    "Position",
    "Quarantine",
    "QuarantineSize",
    "Quarantined",
    "Renewed",
]
