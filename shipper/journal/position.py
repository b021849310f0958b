"""The position: how far one file was read, as plain data from which a live tail is built again.

A file is known by its content. ``head`` is a hash of its first bytes as they were read, ``marker``
one of the bytes just before ``offset``; both must still be there for the position to hold. The
inode is a hint only: it is handed to the next new file as soon as the old one is gone.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec import Struct

from shipper.decoder import msgpack_decoder

HEAD_MAX_BYTES = 1024
MARKER_MAX_BYTES = 256
MARKS_MAX_COUNT = 24
ENDING_MAX_BYTES = 64
BACKFILL_PREFIX = "backfill-"
"""Begins the keys of files that ``connlog backfill`` read: the daemon knows them again and does not seek them."""


def digest(data: bytes) -> bytes:
    """Sixteen bytes that stand for ``data``."""
    return blake2b(data, digest_size=16).digest()


class Position(Struct, frozen=True):
    """How far one file was read. Everything before ``offset`` is in the journal or inside ``carry``.

    ``key`` names the file for as long as it lives, whatever it is renamed to; ``stream`` is the path
    under which it was first seen and is counted. ``head_at`` is where the hashed head begins (after
    a hole of NUL bytes it is not 0). ``size`` and ``mtime_ns`` are those of the last look. ``done``
    says that the file was rotated away and read to its end; ``lost`` that it could not be found
    again and a gap was recorded. ``seen_ns`` is when the file was last known to hold what was read;
    ``generation`` tells an inode that was handed to another file, 0 where the file system doesn't say.
    ``target`` is the file itself where ``path`` is a link, and empty else. ``marks`` are earlier offsets, each with a
    hash of the bytes before it: by them a copy is known that holds less than was read. ``ending`` are the last bytes
    before ``size``, where more was seen than read: by them a file is known that was cut and has grown again.
    """

    key: str
    stream: str
    path: str
    device: int
    inode: int
    head_at: int
    head_length: int
    head: bytes
    marker_length: int
    marker: bytes
    offset: int
    line: int
    carry: bytes
    size: int
    mtime_ns: int
    seen_ns: int
    done: bool = False
    lost: bool = False
    generation: int = 0
    marks: tuple[tuple[int, bytes], ...] = ()
    target: str = ""
    ending: bytes = b""

    @property
    def untouched(self) -> bool:
        """Whether nothing was read of the file: it was seen, and ``head`` is how it began."""
        return self.offset == self.head_at

    @property
    def only_seen(self) -> bool:
        """Whether it only says that there was such a file, of ``size`` bytes or more."""
        return self.untouched and not self.carry

    @property
    def backfilled(self) -> bool:
        """Whether it is of a file that was read once, on request, and is not followed."""
        return self.key.startswith(BACKFILL_PREFIX)


class FeedPosition(Struct, frozen=True):
    """How far a source was read that is no file: a journal's unit, a pipe, an API.

    ``key`` names it over restarts; ``cursor`` is its own word for the place behind which it goes on, empty where it
    has none. ``time_ns`` (Unix time) is that of the entry at the cursor, 0 where unknown; ``seen_ns`` is when the
    source was last known to have nothing behind it. ``offset`` and ``line`` count what was read, ``carry`` is what was
    held back.
    """

    key: str
    cursor: str = ""
    time_ns: int = 0
    seen_ns: int = 0
    offset: int = 0
    line: int = 1
    carry: bytes = b""


encode_feed = msgspec.msgpack.Encoder().encode
"""The position of a feed as bytes."""
encode_position = msgspec.msgpack.Encoder().encode
"""A position as bytes."""
_feeds, _positions = msgpack_decoder(FeedPosition), msgpack_decoder(Position)


def decode_feed(body: bytes) -> FeedPosition:
    """Bytes as the position of a feed; raises msgspec.DecodeError."""
    return _feeds.decode(body)


def decode_position(body: bytes) -> Position:
    """Bytes as a position; raises msgspec.DecodeError."""
    return _positions.decode(body)
