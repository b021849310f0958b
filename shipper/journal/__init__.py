"""The journal: what was read is durable here, together with how far it was read, before anything is delivered."""

from shipper.journal.batch import Appended, Batch, Block, Counters, Piece
from shipper.journal.database import refuse_newer
from shipper.journal.delivered import Delivered, DeliveredLedger, Handed, LedgerSummary
from shipper.journal.outbox import Change, Channel, Outbox, Receipt, Refused, Span
from shipper.journal.parcel import Parcel, gap_line
from shipper.journal.position import FeedPosition, Position
from shipper.journal.quarantine import Mended, Quarantine, Quarantined, QuarantineSize, Renewed
from shipper.journal.store import Depth, Journal

__all__ = [
    "Appended",
    "Batch",
    "Block",
    "Change",
    "Channel",
    "Counters",
    "Delivered",
    "DeliveredLedger",
    "Depth",
    "FeedPosition",
    "Handed",
    "Journal",
    "LedgerSummary",
    "Mended",
    "Outbox",
    "Parcel",
    "Piece",
    "Position",
    "Quarantine",
    "QuarantineSize",
    "Quarantined",
    "Receipt",
    "Refused",
    "Renewed",
    "Span",
    "gap_line",
    "refuse_newer",
]
