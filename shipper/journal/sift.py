"""Sifting: parts a batch into events seen for the first time and copies of recent ones, and counts both."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from shipper.journal.batch import Batch, Counters
from shipper.journal.recent import RecentIds, all_id_bytes
from shipper.record import Encoded, Gap, Malformed


class Sifted(Struct):
    """A batch without its duplicates. ``ids`` are 16 bytes each, ``keys`` the same one by one; ``counts`` are by source."""

    encoded: list[Encoded]
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
        return bool(self.encoded or self.malformed_entries or self.gaps or self.settled)

    @property
    def stored(self) -> int:
        """Events that are new."""
        return len(self.encoded)

    @property
    def duplicates(self) -> int:
        """Events left out as copies."""
        return sum(counts.duplicates for counts in self.counts.values())

    @property
    def malformed(self) -> int:
        """Entries that can't be records."""
        return len(self.malformed_entries)


def sift(batch: Batch, recent: RecentIds) -> Sifted:
    """Part ``batch`` by what ``recent`` remembers and what comes twice in the batch itself."""
    encoded: list[Encoded] = []
    originals: list[bytes] = []
    malformed: list[tuple[str, Malformed]] = []
    fresh: dict[bytes, None] = {}
    counts: dict[str, Counters] = {}
    for piece in batch.pieces:
        before_count = len(encoded)
        # Where no output wants original lines there are none; a piece has one of each record, or none at all.
        kept = piece.originals or [b""] * len(piece.encoded)
        keys = all_id_bytes([record.id for record in piece.encoded])
        unique = dict.fromkeys(keys)
        if len(unique) == len(keys) and recent.has_none_of(unique) and fresh.keys().isdisjoint(unique):
            # As nearly always: nothing was met before.
            if fresh:
                fresh.update(unique)
            else:
                fresh = unique
            encoded.extend(piece.encoded)
            originals.extend(kept)
        else:
            for key, record, original in zip(keys, piece.encoded, kept, strict=True):
                if key not in fresh and key not in recent:
                    fresh[key] = None
                    encoded.append(record)
                    originals.append(original)
        stored = len(encoded) - before_count
        malformed.extend((piece.source, entry) for entry in piece.malformed)
        before = counts.get(piece.source, Counters())
        counts[piece.source] = Counters(
            lines=before.lines + piece.lines,
            bytes=before.bytes + piece.bytes,
            entries=before.entries + piece.entries,
            stored=before.stored + stored,
            duplicates=before.duplicates + len(piece.encoded) - stored,
            malformed=before.malformed + len(piece.malformed),
            not_ours=before.not_ours + piece.not_ours,
            lookalikes=before.lookalikes + piece.lookalikes,
        )
    return Sifted(encoded, originals, malformed, list(batch.gaps), b"".join(fresh), fresh, counts, list(batch.settled))
