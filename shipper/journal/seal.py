"""The seal: keeps the records of a batch as an output sends them, packed once for the disk and for the wire.

A wrapping puts around each record what its output wants around it, and gives lines; the record is the value of the
last key of its line, ``event``. Lines are packed in segments, each a whole number of deflate blocks (RFC 1951) that
refer to nothing before them and end on a byte. So segments in any order, with ``SEPARATOR`` between them, ``END``
behind them, and a head and a tail (RFC 1952) around them, are one gzip member, whose checksum follows from theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from hashlib import sha512
from operator import xor
from threading import local
from typing import Protocol, cast

import msgspec
import zstandard
from isal import isal_zlib
from msgspec import Struct

from shipper.errors import StateDamaged
from shipper.record import Encoded

SEGMENT_MAX_BYTES, SEGMENT_MAX_COUNT = 160 << 10, 125
"""The lines of a segment, but that one line is always taken. A request takes whole segments: small ones fill it better."""
LEVEL, RAW_WBITS = 1, -15
HEAD = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 255))
"""A gzip head without name and time, of the fastest method and no known system."""
SEPARATOR = b"\x00\x01\x00\xfe\xff\n"
"""A stored deflate block that holds a line's end."""
END = b"\x03\x00"
"""The last deflate block, which holds nothing."""
_EVENT = b',"event":'
_ZEROS = bytes(5 << 10)
"""No more than isal looks at without letting other threads go on, one of which is waiting mostly: to wake it and to be
sooner nevertheless takes longer than this."""
_PAGES_MAX_COUNT = 32
"""So many of these at once, which is a segment and no more; what they do to a check is remembered, 5 KiB for each number."""
_ONES = (1 << 32) - 1
_BLOCK = bytes(256)


class Wrapped(Struct, frozen=True):
    """Lines of one segment: ``text`` without an end behind the last, ``times`` as they are sent (canonical texts)."""

    text: bytes
    times: list[str]


class Wrapping(Protocol):
    """What an output wants around a record. Not for two threads at once."""

    @property
    def name(self) -> str:
        """Wrappings of the same name give the same bytes."""

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterable[Wrapped]:
        """All records in their order, at most so many lines and bytes of them together, or one line."""

    def another(self) -> Wrapping:
        """One of the same name, for another thread."""


class Segment(Struct, frozen=True, array_like=True, gc=False):
    """``count`` lines of ``plain`` bytes with this CRC-32; ``packed`` and ``times`` are lengths of what they are kept as.
    ``low`` and ``high`` are the least and the greatest of the times."""

    count: int
    plain: int
    packed: int
    crc: int
    times: int
    low: str
    high: str


class _TimesPacker(local):
    """Packs times; to make one takes longer than to pack those of a segment with it. Each thread has its own."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress


class Sealed(Struct, frozen=True):
    """The records of a batch: ``packed`` and ``times`` hold those of all ``segments``, one behind the other."""

    wrap: str
    segments: tuple[Segment, ...]
    packed: bytes
    times: bytes

    @property
    def count(self) -> int:
        """Lines of all segments."""
        return sum(segment.count for segment in self.segments)

    @property
    def table(self) -> bytes:
        """The segments as they are kept."""
        return _encode(self.segments)

    def texts(self) -> Iterator[bytes]:
        """The lines of each segment. Raises StateDamaged."""
        at = 0
        for segment in self.segments:
            yield unpack_segment(segment, self.packed[at : at + segment.packed])
            at += segment.packed

    def lines(self) -> list[bytes]:
        """The records alone, as compact JSON. Raises StateDamaged."""
        return [record_of(line) for text in self.texts() for line in text.split(b"\n")]


def seal(encoded: Sequence[Encoded], wrapping: Wrapping) -> Sealed:
    """Wrap and pack the records of a batch."""
    deflate = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, RAW_WBITS)
    compress = _times.compress
    segments: list[Segment] = []
    packed: list[bytes] = []
    times: list[bytes] = []
    for one in wrapping.wrap(encoded, SEGMENT_MAX_BYTES, SEGMENT_MAX_COUNT):
        body = deflate.compress(one.text) + deflate.flush(isal_zlib.Z_FULL_FLUSH)
        crc = isal_zlib.crc32(one.text)
        rest_registers()
        sent = compress("".join(one.times).encode())
        packed.append(body)
        times.append(sent)
        low, high = min(one.times), max(one.times)
        segments.append(Segment(len(one.times), len(one.text), len(body), crc, len(sent), low, high))
    return Sealed(wrapping.name, tuple(segments), b"".join(packed), b"".join(times))


def join(parts: Sequence[Sealed]) -> Sealed:
    """All of them, of one wrapping, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    segments = tuple(segment for part in parts for segment in part.segments)
    return Sealed(
        parts[0].wrap, segments, b"".join([one.packed for one in parts]), b"".join([one.times for one in parts])
    )


def rest_registers() -> None:
    """isal leaves the upper halves of the processor's vector registers in use, and as long as they are, what the
    interpreter does takes up to twice its time. OpenSSL's SHA-512 puts them to rest behind itself; where it is made
    otherwise this is a microsecond for nothing."""
    sha512(_BLOCK, usedforsecurity=False)


def unseal(wrap: str, table: bytes, packed: bytes, times: bytes) -> Sealed:
    """What is kept of a batch. Raises StateDamaged."""
    try:
        segments = _decode(table)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateDamaged(f"a batch of the journal has no table of segments: {error}") from error
    if sum(one.packed for one in segments) != len(packed) or sum(one.times for one in segments) != len(times):
        raise StateDamaged("a batch of the journal has other segments than its table says")
    return Sealed(wrap, segments, packed, times)


def unpack_segment(segment: Segment, packed: bytes) -> bytes:
    """The lines of a segment. Raises StateDamaged."""
    try:
        text = isal_zlib.decompressobj(RAW_WBITS).decompress(packed, segment.plain + 1)
    except _UNSOUND as error:
        raise StateDamaged(f"a segment of the journal can't be unpacked: {error}") from error
    crc = isal_zlib.crc32(text)
    rest_registers()
    if len(text) != segment.plain or crc != segment.crc:
        raise StateDamaged("a segment of the journal holds something else than was packed")
    return text


def record_of(line: bytes) -> bytes:
    """The record of a wrapped line: quotes inside of texts are escaped, so that its key is found by its quotes."""
    return line[line.index(_EVENT) + len(_EVENT) : -1]


def gzip_member(segments: Sequence[Segment], packed: Sequence[bytes]) -> bytes:
    """Segments as one gzip member, their lines parted by a line's end."""
    crc = size = 0
    parts = [HEAD]
    for segment, body in zip(segments, packed, strict=True):
        if size:
            parts.append(SEPARATOR)
            crc, size = isal_zlib.crc32(b"\n", crc), size + 1
        parts.append(body)
        crc, size = _joined(crc, segment.crc, segment.plain), size + segment.plain
    parts += (END, crc.to_bytes(4, "little"), (size & 0xFFFFFFFF).to_bytes(4, "little"))
    rest_registers()
    return b"".join(parts)


def _joined(crc: int, other: int, length: int) -> int:
    """The CRC-32 of two texts one behind the other, of which the second has ``length`` bytes: the check is linear but
    for the ones that it begins and ends with, so that zeros in its place tell what the first one does to it."""
    pages, rest = divmod(length, len(_ZEROS))
    while pages:
        some = min(pages, _PAGES_MAX_COUNT)
        crc = reduce(xor, [shifted[crc >> 4 * place & 15] for place, shifted in enumerate(_shift(some))])
        pages -= some
    return isal_zlib.crc32(_ZEROS[:rest], crc ^ _ONES) ^ _ONES ^ other


@lru_cache(_PAGES_MAX_COUNT)
def _shift(pages: int) -> tuple[tuple[int, ...], ...]:
    """What so many pages of zeros make of a check, by each of its eight half bytes."""
    bits = [1 << place for place in range(32)]
    for _ in range(pages):
        bits = [isal_zlib.crc32(_ZEROS, bit ^ _ONES) ^ _ONES for bit in bits]
    return tuple(
        tuple(reduce(xor, [bits[at + bit] for bit in range(4) if half >> bit & 1], 0) for half in range(16))
        for at in range(0, 32, 4)
    )


_times = _TimesPacker()
_UNSOUND = cast("type[Exception]", isal_zlib.error)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Segment, ...]).decode
