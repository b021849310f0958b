"""Compressed files as streams of plain bytes: gzip, zstd, bzip2 and xz by their ending, with a limit on expansion.

A small file can hold petabytes of zeros. What comes out of one file is limited in bytes; memory is limited
by the reader's piece and by each format's window.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from shipper.errors import InputError

PIECE_BYTES = 262_144
"""Read at once: small enough to stay in a core's cache."""
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
        with Path(path).open("rb", buffering=0) as file:
            if not is_compressed(path):
                yield from _pieces(file)
                return
            given = 0
            for piece in _expand(path, file):
                given += len(piece)
                if given > expanded_max_bytes:
                    raise InputError(
                        f"{path}: it expands to more than {expanded_max_bytes} bytes; what is beyond was not read. "
                        "Raise --expand-max if this is really a log"
                    )
                yield piece
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


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

    def decompress(self, data: bytes, /) -> bytes: ...


def _expand(path: str, file: IO[bytes]) -> Iterator[bytes]:
    """The plain bytes of all members of a compressed file, each piece as soon as it is there."""
    make, foreign, step = _format(path)
    decoder, fresh = make(), True
    for packed in _pieces(file):
        at = 0
        while at < len(packed):
            if fresh and not packed[at:].strip(b"\0"):
                break  # padding behind the last member
            part = packed[at : at + step]
            at += len(part)
            fresh = False
            try:
                plain = decoder.decompress(part)
            except foreign as error:
                raise InputError(
                    f"{path}: the compressed file is damaged: {error}; what stands before was read"
                ) from error
            if plain:
                yield plain
            if decoder.eof:
                at -= len(decoder.unused_data)
                decoder, fresh = make(), True
    if not fresh:
        raise InputError(f"{path}: the compressed file ends too early; what is there was read")


def _format(path: str) -> tuple[Callable[[], _Decoder], type[Exception], int]:
    """Decoder, error and bytes to give it at once. Few bytes at once bound what can come out of them: a bomb's
    expansion is at most 1032 in gzip, 45,000 in bzip2, 7,000 in xz and 32,000 in zstd."""
    ending = Path(path).suffix
    if ending == ".gz":
        import zlib

        return (lambda: zlib.decompressobj(wbits=31)), zlib.error, 16_384
    if ending == ".bz2":
        import bz2

        return bz2.BZ2Decompressor, OSError, 256
    if ending == ".xz":
        import lzma

        return (lambda: lzma.LZMADecompressor(memlimit=WINDOW_MAX_BYTES)), lzma.LZMAError, 2048
    import zstandard

    window = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX_BYTES)
    return (lambda: window.decompressobj()), zstandard.ZstdError, 512  # noqa: PLW0108 (it takes other arguments)
