"""The parcel: one batch as an output reads it that passes records on as they are, as bytes, without decoding them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import overload

import msgspec
import zstandard
from msgspec import Struct

from shipper.decoder import json_decoder
from shipper.errors import StateDamaged
from shipper.journal.blob import BLOB_MAX_BYTES, Notices, Row, verify
from shipper.journal.seal import Sealed
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
_notices_decoder = json_decoder(Notices)
_gap_encoder = msgspec.json.Encoder()


class Parcel(Struct, frozen=True):
    """A batch's events. ``seq`` is the batch's number, or below 0 for what was put back into an output's queue.

    ``lines`` are records as compact JSON, ``gaps`` stand behind them in the count of items, ``stored_ns`` is Unix time.
    ``sealed`` are the same records where they are kept as an output sends them.
    """

    seq: int
    stored_ns: int
    lines: Sequence[bytes]
    gaps: list[Gap]
    sealed: SealedLines | None = None

    @property
    def count(self) -> int:
        """Items: records, then gaps."""
        return len(self.lines) + len(self.gaps)


class SealedLines(Sequence[bytes]):
    """The records of a sealed batch, unpacked when one is asked for; ``ids`` are 16 bytes each. Raises StateDamaged."""

    def __init__(self, sealed: Sealed, ids: bytes) -> None:
        self.sealed = sealed
        self.ids = ids
        self._count = sealed.count
        self._lines: list[bytes] | None = None

    def opened(self) -> list[bytes]:
        """All of them."""
        if self._lines is None:
            self._lines = self.sealed.lines()
        return self._lines

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        return self.opened()[at]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.opened())


class Unpacker:
    """Makes parcels. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._decompress = zstandard.ZstdDecompressor().decompress

    def batch(self, row: Row) -> Parcel:
        """The parcel of a row of batches; one that is not sound comes as a gap that says so. Originals stay packed."""
        seq, stored_ns, count, low, high, ids, records, _, notices, *_ = row
        try:
            sealed = verify(row)
            gaps = _notices_decoder.decode(self._unpack(notices)).gaps
            if sealed is not None:
                lines = SealedLines(sealed, ids)
                return Parcel(seq, stored_ns, lines, gaps, lines)
            return Parcel(seq, stored_ns, self._lines(records), gaps)
        except (StateDamaged, msgspec.MsgspecError, ValueError) as error:
            reason = f"batch {seq} of the journal, stored {from_ns(stored_ns)} with {count} events, is lost: {error}"
            log.warning("%s", reason)
            gap = Gap(
                SCHEMA, "journal_damaged", Source(), low, high, len(records), False, from_ns(time.time_ns()), reason
            )
            return Parcel(seq, stored_ns, [], [gap])

    def again(self, row: tuple[int, int, int, bytes]) -> Parcel:
        """The parcel of a row of ``again``."""
        n, stored_ns, count, records = row
        try:
            return Parcel(-n, stored_ns, self._lines(records), [])
        except StateDamaged as error:
            log.warning("%d events that were put back into a queue are lost: %s", count, error)
            return Parcel(-n, stored_ns, [], [])

    def _lines(self, blob: bytes) -> list[bytes]:
        data = self._unpack(blob)
        return data.split(b"\n") if data else []

    def _unpack(self, blob: bytes) -> bytes:
        try:
            if zstandard.frame_content_size(blob) > BLOB_MAX_BYTES:
                raise StateDamaged("it claims an impossible size")
            return self._decompress(blob)
        except zstandard.ZstdError as error:
            raise StateDamaged(f"it can't be unpacked: {error}") from error


def pack_lines(lines: Sequence[bytes]) -> bytes:
    """Records as compact JSON, compressed as the journal keeps them."""
    return zstandard.ZstdCompressor(level=3).compress(b"\n".join(lines))


def gap_line(gap: Gap) -> bytes:
    """A gap in its JSON form."""
    return _gap_encoder.encode(gap)


__all__ = ["Parcel", "SealedLines", "Unpacker", "gap_line", "pack_lines"]
