"""The parcel: one batch as an output reads it that passes records on as they are, as bytes, without decoding them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec
import zstandard
from msgspec import Struct

from shipper.errors import StateDamaged
from shipper.journal.blob import BLOB_MAX_BYTES, Notices, checksum
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
_notices_decoder = msgspec.json.Decoder(Notices)
_gap_encoder = msgspec.json.Encoder()


class Parcel(Struct, frozen=True):
    """A batch's events. ``seq`` is the batch's number, or below 0 for what was put back into an output's queue.

    ``lines`` are records as compact JSON, ``gaps`` stand behind them in the count of items, ``stored_ns`` is Unix time.
    """

    seq: int
    stored_ns: int
    lines: list[bytes]
    gaps: list[Gap]

    @property
    def count(self) -> int:
        """Items: records, then gaps."""
        return len(self.lines) + len(self.gaps)


class Unpacker:
    """Makes parcels. Not for use by two threads at once."""

    def __init__(self) -> None:
        self._decompress = zstandard.ZstdDecompressor().decompress

    def batch(self, row: tuple[int, int, int, str | None, str | None, bytes, bytes, bytes, bytes, bytes]) -> Parcel:
        """The parcel of a row of batches; one that is not sound comes as a gap that says so. Originals stay packed."""
        seq, stored_ns, count, low, high, ids, records, originals, notices, proof = row
        try:
            if checksum((count, ids, records, originals, notices)) != proof:
                raise StateDamaged("its checksum does not fit")  # noqa: TRY301 - one way out for all that is unsound
            gaps = _notices_decoder.decode(self._unpack(notices)).gaps
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


__all__ = ["Parcel", "Unpacker", "gap_line", "pack_lines"]
