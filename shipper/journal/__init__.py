"""The journal: what was read is durable here, together with how far it was read, before anything is delivered."""

from shipper.journal.bale import Bale, Baler
from shipper.journal.batch import Appended, Batch, Block, Counters, Piece
from shipper.journal.database import refuse_newer
from shipper.journal.delivered import Delivered, DeliveredLedger, Handed, HandedSealed, LedgerSummary, sent_times
from shipper.journal.outbox import Change, Channel, Outbox, Receipt, Refused, Span
from shipper.journal.parcel import Parcel, SealedLines, gap_line
from shipper.journal.position import FeedPosition, Position
from shipper.journal.quarantine import Mended, Quarantine, Quarantined, QuarantineSize, Renewed
from shipper.journal.seal import Sealed, Segment, Wrapped, Wrapping, gzip_member, unpack_segment
from shipper.journal.store import Depth, Journal, OutputState

__all__ = [
    "Appended",
    "Bale",
    "Baler",
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
    "HandedSealed",
    "Journal",
    "LedgerSummary",
    "Mended",
    "Outbox",
    "OutputState",
    "Parcel",
    "Piece",
    "Position",
    "Quarantine",
    "QuarantineSize",
    "Quarantined",
    "Receipt",
    "Refused",
    "Renewed",
    "Sealed",
    "SealedLines",
    "Segment",
    "Span",
    "Wrapped",
    "Wrapping",
    "gap_line",
    "gzip_member",
    "refuse_newer",
    "sent_times",
    "unpack_segment",
]
