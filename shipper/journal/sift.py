"""Sifting: parts a batch into events seen for the first time and copies of recent ones, and counts both."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from shipper.journal.bale import Bale
from shipper.journal.batch import Batch, Counters
from shipper.journal.recent import RecentIds, all_id_bytes
from shipper.key import split_ids
from shipper.record import Encoded, Gap, Malformed


class Sifted(Struct):
    """A batch without its duplicates: the records of ``parts`` in the order in which they came, and ``originals`` beside them.
    ``ids`` are theirs, 16 bytes each, ``keys`` the same one by one; ``counts`` are by source."""

    parts: list[Bale | list[Encoded]]
    originals: list[bytes]
    malformed_entries: list[tuple[str, Malformed]]
    gaps: list[Gap]
    ids: bytes
    keys: Collection[bytes]
    counts: dict[str, Counters]
    settled: list[Malformed] = []

    @property
    def for_outputs(self) -> bool:
        """Whether there is anything in it that an output must get."""
        return bool(self.ids or self.malformed_entries or self.gaps or self.settled)

    @property
    def stored(self) -> int:
        """Events that are new."""
        return len(self.keys)

    @property
    def duplicates(self) -> int:
        """Events left out as copies."""
        return sum(counts.duplicates for counts in self.counts.values())

    @property
    def malformed(self) -> int:
        """Entries that can't be records."""
        return len(self.malformed_entries)


class _Kept:
    """What is new, of all pieces."""

    def __init__(self, recent: RecentIds) -> None:
        self._recent = recent
        self.parts: list[Bale | list[Encoded]] = []
        self.originals: list[bytes] = []
        self.fresh: dict[bytes, None] = {}

    def all_new(self, keys: Sequence[bytes]) -> bool:
        """Whether none of these was met before, as nearly always; then they are met now."""
        unique = dict.fromkeys(keys)
        if len(unique) < len(keys) or not self._recent.has_none_of(unique) or not self.fresh.keys().isdisjoint(unique):
            return False
        if self.fresh:
            self.fresh.update(unique)
        else:
            self.fresh = unique
        return True

    def run(self) -> list[Encoded]:
        """Where single records go on: behind those that came before, as long as no bale is between."""
        last = self.parts[-1] if self.parts else None
        if not isinstance(last, list):
            last = []
            self.parts.append(last)
        return last

    def take(self, keys: Sequence[bytes], encoded: Sequence[Encoded], originals: Sequence[bytes]) -> None:
        """Records that are looked at one by one."""
        for key, record, original in zip(keys, encoded, originals, strict=True):
            if key not in self.fresh and key not in self._recent:
                self.fresh[key] = None
                self.run().append(record)
                self.originals.append(original)


def sift(batch: Batch, recent: RecentIds, wrap: str | None) -> Sifted:
    """Part ``batch`` by what ``recent`` remembers and what comes twice in the batch itself. ``wrap`` names the wrapping in
    which its bales are of use."""
    kept = _Kept(recent)
    malformed: list[tuple[str, Malformed]] = []
    counts: dict[str, Counters] = {}
    for piece in batch.pieces:
        before_count = len(kept.fresh)
        count = piece.count
        # Where no output wants original lines there are none; a piece has one of each record, or none at all.
        originals = piece.originals or [b""] * count
        at = 0
        for bale in piece.bales:
            keys, of_bale = split_ids(bale.ids), originals[at : at + bale.count]
            at += bale.count
            if bale.sealed.wrap == wrap and kept.all_new(keys):
                kept.parts.append(bale)
                kept.originals += of_bale
            elif not all(key in recent for key in keys):
                kept.take(keys, bale.opened(), of_bale)
        keys, rest = all_id_bytes([record.id for record in piece.encoded]), originals[at:]
        if keys and kept.all_new(keys):
            kept.run().extend(piece.encoded)
            kept.originals += rest
        else:
            kept.take(keys, piece.encoded, rest)
        stored = len(kept.fresh) - before_count
        malformed.extend((piece.source, entry) for entry in piece.malformed)
        before = counts.get(piece.source, Counters())
        counts[piece.source] = Counters(
            lines=before.lines + piece.lines,
            bytes=before.bytes + piece.bytes,
            entries=before.entries + piece.entries,
            stored=before.stored + stored,
            duplicates=before.duplicates + count - stored,
            malformed=before.malformed + len(piece.malformed),
            not_ours=before.not_ours + piece.not_ours,
            lookalikes=before.lookalikes + piece.lookalikes,
        )
    return Sifted(
        kept.parts,
        kept.originals,
        malformed,
        list(batch.gaps),
        b"".join(kept.fresh),
        kept.fresh,
        counts,
        list(batch.settled),
    )
