"""Compressed files as streams of plain bytes: gzip, zstd, bzip2 and xz by their ending, with a limit on expansion.

A small file can hold petabytes of zeros. What comes out of one file is limited in bytes; memory is limited
by the reader's piece and by each format's window.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any, Protocol

from shipper.errors import InputError

PIECE_BYTES = 65_536
"""Read at once. The allocator gives larger ones back to the system each time, and takes them anew page by page."""
EXPANDED_MAX_BYTES = 64 * 1024**3
"""Plain bytes taken from one compressed file."""
WINDOW_MAX_BYTES = 128 * 1024**2
"""Memory that a decoder may take for its window."""
ENDINGS = (".gz", ".zst", ".bz2", ".xz")


def is_compressed(path: str) -> bool:
    """Whether a file of this name is read as a compressed one."""
    return path.endswith(ENDINGS)


def read_pieces(path: str, *, expanded_max_bytes: int = EXPANDED_MAX_BYTES) -> Iterator[bytes]:
    """The plain bytes of a file, or of standard input for ``-``, piece by piece.

    Raises InputError where the file can't be opened or read, where a compressed one is damaged or ends
    too early (all that is sound has been given by then), or where it expands beyond ``expanded_max_bytes``.
    """
    if path == "-":
        yield from _pieces(sys.stdin.buffer)
        return
    try:
        with _open(path) as file:
            if not is_compressed(path):
                yield from _pieces(file)
                return
            given = 0
            for piece in _expand(path, file):
                given += len(piece)
                if not piece:
                    continue
                if given > expanded_max_bytes:
                    raise InputError(
                        f"{path}: it expands to more than {expanded_max_bytes} bytes; what is beyond was not read. "
                        "Raise --expand-max if this is really a log"
                    )
                yield piece
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def read_again(path: str, done: Callable[[], int]) -> Iterator[bytes]:
    """The bytes of a plain file in pieces that each begin at ``done()``, up to where the last one was of use: so what is
    left of it, half a line mostly, begins the next piece, and nobody has to put the two together. Of a piece is
    at least the half new.

    Raises InputError where the file can't be opened or read.
    """
    try:
        with _open(path) as file:
            end = 0
            while True:
                at = done()
                piece = os.pread(file.fileno(), max(PIECE_BYTES, 2 * (end - at)), at)
                if at + len(piece) <= end:
                    return
                end = at + len(piece)
                yield piece
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _open(path: str) -> IO[bytes]:
    # What this module is needed for has no other use for paths, which take long to load.
    return open(path, "rb", buffering=0)  # noqa: PTH123


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    # A pipe gives what is there; waiting for a full piece would hold back the newest lines.
    read = getattr(stream, "read1", stream.read)
    while piece := read(PIECE_BYTES):
        yield piece


class _Decoder(Protocol):
    """What the decoders of zlib, bz2, lzma and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


_Step = Callable[[Any, bytes], Generator[bytes, None, bytes]]
"""Feeds a decoder; gives plain pieces, and at last what lies behind the end of the member."""


def _expand(path: str, file: IO[bytes]) -> Iterator[bytes]:
    """The plain bytes of all members of a compressed file, each piece as soon as it is there."""
    make, step, foreign = _format(path)
    decoder, fresh = make(), True
    for packed in _pieces(file):
        rest = packed
        while rest:
            if fresh and not rest.strip(b"\0"):
                break  # padding behind the last member
            fresh = False
            try:
                rest = yield from step(decoder, rest)
            except foreign as error:
                raise InputError(
                    f"{path}: the compressed file is damaged: {error}; what stands before was read"
                ) from error
            if decoder.eof:
                decoder, fresh = make(), True
    if not fresh:
        raise InputError(f"{path}: the compressed file ends too early; what is there was read")


def _format(path: str) -> tuple[Callable[[], _Decoder], _Step, type[Exception]]:
    """How to make a decoder, how to feed it, and its error; each library is loaded only where it is used."""
    ending = next(known for known in ENDINGS if path.endswith(known))
    if ending == ".gz":
        import zlib

        return (lambda: zlib.decompressobj(wbits=31)), _step_zlib, zlib.error
    if ending == ".bz2":
        import bz2

        return bz2.BZ2Decompressor, _step_limited, OSError
    if ending == ".xz":
        import lzma

        return (lambda: lzma.LZMADecompressor(memlimit=WINDOW_MAX_BYTES)), _step_limited, lzma.LZMAError
    import zstandard

    window = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX_BYTES)
    return (lambda: window.decompressobj()), _step_zstd, zstandard.ZstdError  # noqa: PLW0108 (it takes other arguments)


def _step_zlib(decoder: Any, packed: bytes) -> Generator[bytes, None, bytes]:
    while packed and not decoder.eof:
        yield decoder.decompress(packed, PIECE_BYTES)
        packed = decoder.unconsumed_tail
    return bytes(decoder.unused_data)


def _step_limited(decoder: Any, packed: bytes) -> Generator[bytes, None, bytes]:
    yield decoder.decompress(packed, PIECE_BYTES)
    while not decoder.eof and not decoder.needs_input:
        yield decoder.decompress(b"", PIECE_BYTES)
    return bytes(decoder.unused_data)


def _step_zstd(decoder: Any, packed: bytes) -> Generator[bytes, None, bytes]:
    """This decoder knows no limit; but a block is at most 128 KiB, and few bytes hold few blocks."""
    for at in range(0, len(packed), 512):
        yield decoder.decompress(packed[at : at + 512])
        if decoder.eof:
            return bytes(decoder.unused_data) + packed[at + 512 :]
    return b""
