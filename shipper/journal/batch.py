"""What goes into the journal in one transaction, and what an output gets of it."""

from __future__ import annotations

from msgspec import Struct

from shipper.journal.bale import Bale, Baler
from shipper.journal.position import FeedPosition, Position
from shipper.record import Encoded, Gap, Malformed, Record, Yield


class Piece(Struct):
    """What one source gave since the last batch: the records of ``bales``, then those of ``encoded``, in their compact form.
    ``originals`` runs beside both, or there are none.

    ``entries == count + len(malformed) + not_ours``; ``lookalikes`` is a part of ``not_ours``.
    """

    source: str
    encoded: list[Encoded] = []
    originals: list[bytes] = []
    malformed: list[Malformed] = []
    entries: int = 0
    not_ours: int = 0
    lookalikes: int = 0
    lines: int = 0
    bytes: int = 0
    drift: list[str] = []
    bales: list[Bale] = []

    @property
    def count(self) -> int:
        """Its records."""
        return len(self.encoded) + sum(bale.count for bale in self.bales)

    def add(self, got: Yield, baler: Baler | None = None) -> None:
        """Add what an extractor of this source gave; ``baler`` seals what fills whole segments by now."""
        if len(self.originals) == self.count and len(got.originals) == len(got.encoded):
            self.originals += got.originals
        else:
            # Where they began to be wanted, or ceased to be, while this was gathered.
            self.originals = []
        self.encoded += got.encoded
        self.malformed += got.malformed
        self.entries += got.entries
        self.not_ours += got.not_ours
        self.lookalikes += got.lookalikes
        self.lines += got.lines
        self.bytes += got.bytes
        self.drift += got.drift
        bale = None if baler is None else baler.bale(self.encoded)
        if bale is not None:
            self.bales.append(bale)


class Batch(Struct, frozen=True):
    """One transaction: pieces of any number of sources, the positions they were read up to, known losses.

    ``feeds`` are the positions of sources that are no files, ``forget`` holds the keys of positions that are no longer
    needed; ``began`` says that with this batch the inputs have been looked at for the first time; ``settled`` are
    malformed entries that have left the quarantine, so that no output tells of them any more.
    """

    pieces: tuple[Piece, ...] = ()
    positions: tuple[Position, ...] = ()
    forget: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    began: bool = False
    feeds: tuple[FeedPosition, ...] = ()
    settled: tuple[Malformed, ...] = ()

    @property
    def notices_only(self) -> bool:
        """Whether it only tells of losses, or of what has left the quarantine."""
        return bool(self.gaps or self.settled) and not (self.pieces or self.positions or self.forget or self.feeds)

    @property
    def empty(self) -> bool:
        """Whether writing it would change nothing."""
        told = self.pieces or self.positions or self.forget or self.gaps or self.began or self.feeds or self.settled
        return not told


class Appended(Struct, frozen=True):
    """What became of a batch: ``seq`` is None where it held nothing for the outputs.

    ``textless`` of the malformed entries were kept without their text, ``trimmed`` older ones made room;
    ``drift`` names what no batch before had.
    """

    seq: int | None
    stored: int
    duplicates: int
    malformed: int
    textless: int = 0
    trimmed: int = 0
    drift: tuple[str, ...] = ()


class Block(Struct, frozen=True):
    """One batch as an output reads it; ``originals`` runs beside ``records``, ``stored_ns`` is Unix time; ``settled``
    as in ``Batch``."""

    seq: int
    stored_ns: int
    records: list[Record]
    originals: list[bytes]
    gaps: list[Gap]
    malformed: list[Malformed]
    settled: list[Malformed] = []


class Counters(Struct, frozen=True):
    """Counts of one source since the journal began; entries = stored + duplicates + malformed + not_ours."""

    lines: int = 0
    bytes: int = 0
    entries: int = 0
    stored: int = 0
    duplicates: int = 0
    malformed: int = 0
    not_ours: int = 0
    lookalikes: int = 0

    @property
    def conserved(self) -> bool:
        """Whether every entry is accounted for."""
        return self.entries == self.stored + self.duplicates + self.malformed + self.not_ours
