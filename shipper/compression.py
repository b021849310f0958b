"""Compressed files as streams of plain bytes: gzip, zstd, bzip2 and xz by their ending, with a limit on expansion.

A small file can hold petabytes of zeros. What comes out of one file is limited in bytes; memory is limited
by the reader's piece and by each format's window.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from shipper.errors import InputError

PIECE_BYTES = 1_048_576
EXPANDED_MAX_BYTES = 64 * 1024**3
"""Plain bytes taken from one compressed file."""
_WINDOW_MAX_BYTES = 128 * 1024**2
ENDINGS = (".gz", ".zst", ".bz2", ".xz")


def is_compressed(path: str) -> bool:
    """Whether a file of this name is read as a compressed one."""
    return path.endswith(ENDINGS)


def read_pieces(path: str, *, expanded_max_bytes: int = EXPANDED_MAX_BYTES) -> Iterator[bytes]:
    """The plain bytes of a file, or of standard input for ``-``, piece by piece.

    Raises InputError where the file can't be opened or read, where a compressed one is damaged or ends
    too early (what was sound has been given by then), or where it expands beyond ``expanded_max_bytes``.
    """
    if path == "-":
        yield from _pieces(sys.stdin.buffer)
        return
    try:
        with Path(path).open("rb", buffering=0) as file:
            if not is_compressed(path):
                yield from _pieces(cast("BinaryIO", file))
                return
            given = 0
            with _expanded(path, cast("BinaryIO", io.BufferedReader(file, PIECE_BYTES))) as plain:
                for piece in _pieces(plain):
                    given += len(piece)
                    if given > expanded_max_bytes:
                        raise InputError(
                            f"{path}: it expands to more than {expanded_max_bytes} bytes; what is beyond was not read. "
                            "Raise --expand-max if this is really a log"
                        )
                    yield piece
    except EOFError as error:
        raise InputError(f"{path}: the compressed file ends too early; what is there was read") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    # A pipe gives what is there; waiting for a full piece would hold back the newest lines.
    read = getattr(stream, "read1", stream.read)
    while piece := read(PIECE_BYTES):
        yield piece


def _expanded(path: str, file: BinaryIO) -> BinaryIO:
    """A stream of the plain bytes; each library is loaded only where it is used."""
    ending = Path(path).suffix
    if ending == ".gz":
        import gzip
        import zlib

        return cast("BinaryIO", _Foreign(gzip.GzipFile(fileobj=file), zlib.error))
    if ending == ".bz2":
        import bz2

        return cast("BinaryIO", bz2.BZ2File(file))
    if ending == ".xz":
        import lzma

        return cast("BinaryIO", _Foreign(lzma.LZMAFile(file), lzma.LZMAError))
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX_BYTES).stream_reader(file, read_across_frames=True)
    return cast("BinaryIO", _Foreign(reader, zstandard.ZstdError))


class _Foreign(io.RawIOBase):
    """A reader whose library has an error of its own, which becomes an OSError here."""

    def __init__(self, inner: object, foreign: type[Exception]) -> None:
        self._inner = cast("BinaryIO", inner)
        self._foreign = foreign

    def read(self, size: int = -1) -> bytes:
        try:
            return self._inner.read(size)
        except self._foreign as error:
            raise OSError(f"damaged: {error}") from error
