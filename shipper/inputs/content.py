"""Content: the bytes of one opened file by their offset, plain or unpacked, whatever its name has become."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import zstandard

from shipper.errors import InputError
from shipper.inputs.handles import Handles
from shipper.inputs.zstd_frame import is_whole

_GET_GENERATION = 0x80087601
"""Linux's FS_IOC_GETVERSION, as 64-bit systems number it."""
REACH_MAX_BYTES = 64 << 20
"""So much of a compressed copy is unpacked to see whether it holds all that was seen of its original."""
HANDLES = Handles()
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}

PACKED = "compressed before the first start, not read since read_from is end: 'connlog backfill' reads it"
"""Said of a compressed file that a pattern names."""


class Content(Protocol):
    """The bytes of one file. ``growing`` says whether more may come after its end.

    ``generation`` changes when an inode is handed to a new file; 0 where the file system doesn't tell.
    """

    growing: bool
    generation: int

    def pread(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end. Raises InputError."""

    def stat(self) -> os.stat_result:
        """The file's own status. Raises InputError."""

    def reach(self, limit: int) -> int:
        """How many bytes it holds, at most ``limit``. Raises InputError."""

    def close(self) -> None:
        """Give the handle back."""


class _Reader(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Moved(InputError):
    """The file is no longer where it was when its handle was given back."""


class PlainContent:
    """A file as it is. ``path`` is where it is opened again after its handle was parked."""

    growing = True

    def __init__(self, path: str) -> None:
        self.path = path
        self.pinned = False
        """Whether the handle must be kept, because the file has no path any more."""
        self._fd: int | None = _open_file(path)
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise InputError(f"{path}: not a regular file, left alone")
        self._inode_key = (status.st_dev, status.st_ino)
        self.generation = _generation(self._fd)
        HANDLES.opened(self)

    @property
    def parked(self) -> bool:
        """Whether the handle was given back; reading opens the file again."""
        return self._fd is None

    def pread(self, offset: int, length: int) -> bytes:
        fd = self._handle()
        HANDLES.used(self)
        try:
            return os.pread(fd, length, offset)
        except OSError as error:
            raise InputError(f"{self.path}: can't be read: {error.strerror}") from error

    def stat(self) -> os.stat_result:
        try:
            return os.fstat(self._handle())
        except OSError as error:
            raise InputError(f"{self.path}: can't be looked at: {error.strerror}") from error

    def reach(self, limit: int) -> int:
        return min(self.stat().st_size, limit)

    def park(self) -> None:
        """Give the handle back for now."""
        self.close()

    def close(self) -> None:
        if self._fd is not None:
            HANDLES.closed(self)
            os.close(self._fd)
            self._fd = None

    def _handle(self) -> int:
        """The open handle. Raises Moved where another file has the path by now."""
        if self._fd is None:
            try:
                fd = _open_file(self.path)
            except InputError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    raise Moved(str(error)) from error
                raise
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != self._inode_key or _generation(fd) != self.generation:
                os.close(fd)
                raise Moved(f"{self.path}: another file took its place")
            self._fd = fd
            HANDLES.opened(self)
        return self._fd


class UnpackedContent:
    """What a compressed file holds. Reading forwards is cheap; going back unpacks again from the start."""

    growing = False
    generation = 0

    def __init__(self, path: str, kind: str) -> None:
        self._path = path
        self._kind = kind
        self._at = 0
        self._whole = kind != "zstd"
        """Whether an end is one: the other formats' readers tell it."""
        try:
            self._file = Path(path).open("rb")  # noqa: SIM115 - open for as long as this object
        except OSError as error:
            raise InputError(f"{path}: can't be opened: {error.strerror}; check its owner and mode") from error
        self._stream = self._unpack()

    def pread(self, offset: int, length: int) -> bytes:
        try:
            if offset < self._at:
                self._file.seek(0)
                self._stream, self._at = self._unpack(), 0
            while self._at < offset:
                skipped = len(self._stream.read(min(offset - self._at, 1 << 20)))
                if not skipped:
                    length = max(length, 1)  # the end is to be looked at
                    break
                self._at += skipped
            parts: list[bytes] = []
            while length > 0 and (part := self._stream.read(length)):
                parts.append(part)
                self._at += len(part)
                length -= len(part)
            if length > 0:
                self._see_end()
            return b"".join(parts)
        except _damaged() as error:
            raise InputError(f"{self._path}: can't be unpacked: {error}; it may be still being written") from error

    def reach(self, limit: int) -> int:
        return limit if limit <= 0 or self.pread(limit - 1, 1) else self._at

    def _see_end(self) -> None:
        if not self._whole and not is_whole(self._file.fileno()):
            raise EOFError("it ends too early")
        self._whole = True

    @property
    def packed_at(self) -> int:
        """How far the compressed file was read, in its own bytes."""
        return self._file.tell()

    def stat(self) -> os.stat_result:
        return os.fstat(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _unpack(self) -> _Reader:
        if self._kind == "gzip":
            import gzip

            return gzip.GzipFile(fileobj=self._file, mode="rb")
        if self._kind == "bzip2":
            import bz2

            return bz2.BZ2File(self._file)
        if self._kind == "xz":
            import lzma

            return lzma.LZMAFile(self._file)
        return zstandard.ZstdDecompressor().stream_reader(self._file, read_across_frames=True, closefd=False)


def _damaged() -> tuple[type[Exception], ...]:
    """What the decoders raise that were loaded."""
    lzma = sys.modules.get("lzma")
    return (OSError, EOFError, zlib.error, zstandard.ZstdError, *(() if lzma is None else (lzma.LZMAError,)))


def _open_file(path: str) -> int:
    try:
        # Without O_NONBLOCK a named pipe in the folder would hold the reader for ever.
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise InputError(f"{path}: can't be opened: {error.strerror}; check its owner and mode") from error


def _generation(fd: int) -> int:
    """ext4, xfs and btrfs count how often an inode was handed out."""
    if sys.platform == "linux" and sys.maxsize > 1 << 32:
        with suppress(OSError):
            return int(struct.unpack("l", fcntl.ioctl(fd, _GET_GENERATION, bytes(8)))[0]) & 0xFFFFFFFF
    return 0


def compression(head: bytes, path: str) -> str | None:
    """The name of the compression whose magic bytes ``head``, the first bytes of the file at ``path``, begins with, or
    None. Raises InputError where there are too few of them to tell."""
    if head and any(magic.startswith(head) and magic != head for magic in _MAGIC):
        raise InputError(f"{path}: it begins as a compressed file does and has no more yet; it is looked at again")
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def open_content(path: str) -> Content:
    """The content of the file at ``path``, unpacked where it is compressed. Raises InputError."""
    plain = PlainContent(path)
    try:
        kind = compression(plain.pread(0, 8), path)
    except InputError:
        plain.close()
        raise
    if kind is None:
        return plain
    plain.close()
    return UnpackedContent(path, kind)


def reach_of(content: Content, size: int) -> int:
    """How many of ``size`` bytes the file holds; all, where it can't be told or would take long to find out."""
    if not content.growing and size > REACH_MAX_BYTES:
        return size
    try:
        return content.reach(size)
    except InputError:
        return size  # half written, or not to be read now


def target_of(path: str) -> str:
    """Where a symbolic link leads, empty where the path is none."""
    return os.path.realpath(path) if os.path.islink(path) else ""  # noqa: PTH114 - paths are text here
