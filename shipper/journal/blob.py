"""The blob: records and lines of a batch as compressed bytes whose soundness can be proved."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import zstandard
from xxhash import xxh3_128

from shipper.decoder import json_decoder
from shipper.errors import StateDamaged
from shipper.journal.seal import Sealed, unseal
from shipper.record import Encoded, Gap, Malformed, Record, decode_records

BLOB_MAX_BYTES = 1 << 30
"""A blob that claims to be larger when unpacked is taken for damaged."""

_length = struct.Struct("<I")
_XXH3, _XXH3_BYTES = b"\x01", 17
_notices_encoder = msgspec.json.Encoder()


class Notices(msgspec.Struct, frozen=True):
    """What a batch holds beside records; ``settled`` are malformed entries, without their text, that have left the
    quarantine."""

    gaps: list[Gap] = []
    malformed: list[Malformed] = []
    settled: list[Malformed] = []


_notices_decoder = json_decoder(Notices)


class Codec:
    """Packs and unpacks blobs. Not for use by two threads at once: each thread makes its own."""

    def __init__(self, level: int = 1) -> None:
        self._compress = zstandard.ZstdCompressor(level=level).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    def pack_records(self, encoded: Iterable[Encoded]) -> bytes:
        """Records as NDJSON, compressed."""
        return self._compress("\n".join([record.json for record in encoded]).encode())

    def pack_lines(self, lines: Sequence[bytes]) -> bytes:
        """Lines of any bytes, each behind its length (32 bits, little endian), compressed."""
        count = len(lines)
        lengths = struct.pack(f"<{count}I", *map(len, lines))
        parts = [b""] * (2 * count)
        parts[::2] = [length for (length,) in struct.iter_unpack("4s", lengths)]
        parts[1::2] = lines
        return self._compress(b"".join(parts))

    def pack_notices(self, notices: Notices) -> bytes:
        """Gaps and malformed entries, compressed."""
        return self._compress(_notices_encoder.encode(notices))

    def unpack_records(self, blob: bytes, count: int) -> list[Record]:
        """The records of a blob, so many; raises StateDamaged."""
        return self.decode(self._unpack(blob), count)

    def decode(self, lines: bytes, count: int) -> list[Record]:
        """So many records from their JSON, a line each; raises StateDamaged."""
        try:
            made = decode_records(lines)
        except (msgspec.MsgspecError, ValueError) as error:
            raise StateDamaged(f"a batch of the journal holds no records: {error}") from error
        if len(made) != count:
            raise StateDamaged(f"a batch of the journal holds {len(made)} records, not {count}")
        return made

    def unpack_lines(self, blob: bytes) -> list[bytes]:
        """The lines of a blob; raises StateDamaged."""
        data = self._unpack(blob)
        lines: list[bytes] = []
        at, end, length = 0, len(data), _length.unpack_from
        try:
            while at < end:
                start = at + 4
                at = start + length(data, at)[0]
                lines.append(data[start:at])
        except struct.error as error:
            raise StateDamaged("a batch of the journal ends inside a line's length") from error
        if at > end:
            raise StateDamaged("a batch of the journal ends inside a line")
        return lines

    def unpack_notices(self, blob: bytes) -> Notices:
        """Gaps and malformed entries of a blob; raises StateDamaged."""
        try:
            return _notices_decoder.decode(self._unpack(blob))
        except (msgspec.MsgspecError, ValueError) as error:
            raise StateDamaged(f"a batch of the journal holds no notices: {error}") from error

    def _unpack(self, blob: bytes) -> bytes:
        try:
            if zstandard.frame_content_size(blob) > BLOB_MAX_BYTES:
                raise StateDamaged("a batch of the journal claims an impossible size")
            return self._decompress(blob)
        except zstandard.ZstdError as error:
            raise StateDamaged(f"a batch of the journal can't be unpacked: {error}") from error


Row = tuple[
    int, int, int, str | None, str | None, bytes, bytes, bytes, bytes, bytes, str | None, bytes | None, bytes | None
]
"""A row of ``batches``: seq, stored_ns, count, time_min, time_max, ids, records, originals, notices, checksum, wrap,
segments, times; the last three are None where the records are compressed by themselves."""


def verify(row: Row) -> Sealed | None:
    """Raises StateDamaged where a batch is not what was written; gives its records where they are sealed."""
    _, _, count, _, _, ids, records, originals, notices, proof, wrap, segments, times = row
    if wrap is None or segments is None or times is None:
        if not _fits((count, ids, records, originals, notices), proof):
            raise StateDamaged("its checksum does not fit")
        return None
    if not _fits((count, ids, records, originals, notices, wrap.encode(), segments, times), proof):
        raise StateDamaged("its checksum does not fit")
    sealed = unseal(wrap, segments, records, times)
    if sealed.count != count:
        raise StateDamaged("its segments hold other records than it counts")
    return sealed


def checksum(parts: Sequence[bytes | int]) -> bytes:
    """Its kind and XXH3's 128 bits over the parts of a batch, each with its length, so that no two batches share them. It
    is there for what a disk or a copy does to them: it takes a thirtieth of a hash that withstands an enemy, who would
    write a new checksum too."""
    return _XXH3 + _digest(xxh3_128(), parts)


def _fits(parts: Sequence[bytes | int], proof: object) -> bool:
    """Whether ``proof`` is the checksum of a batch with these parts. Before schema 7 it was BLAKE2b's 16 bytes; in a
    damaged row it may be anything."""
    if not isinstance(proof, bytes):
        return False
    if proof[:1] == _XXH3 and len(proof) == _XXH3_BYTES:
        return checksum(parts) == proof
    from hashlib import blake2b  # loads all of OpenSSL

    return _digest(blake2b(digest_size=16), parts) == proof


class _Hash(Protocol):
    @property
    def update(self) -> Callable[[bytes], object]: ...
    @property
    def digest(self) -> Callable[[], bytes]: ...


def _digest(whole: _Hash, parts: Sequence[bytes | int]) -> bytes:
    for part in parts:
        data = part if isinstance(part, bytes) else part.to_bytes(9, "little", signed=True)
        whole.update(_length.pack(len(data)))
        whole.update(data)
    return whole.digest()
