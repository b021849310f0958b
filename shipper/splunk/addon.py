"""The add-on: the package ``TA_coder_connlog`` as Splunk installs it, the same bytes for the same version everywhere.

The files lie in ``splunk/TA_coder_connlog`` and carry ``@VERSION@`` where the product's version belongs.
"""

from __future__ import annotations

import io
import re
import struct
import tarfile
import zlib
from pathlib import Path

from shipper import __version__
from shipper.errors import StateError
from shipper.resource import data_folder

APP = "TA_coder_connlog"
"""The add-on's id, and the only folder at the top of the package."""
ENDINGS = (".tgz", ".tar.gz", ".spl")
"""What a package's name may end with for Splunk to take it."""
FILE_MAX_BYTES = 1 << 20
_SUFFIXES = {".conf", ".meta", ".xml", ".csv", ".md"}
_MTIME = 1_577_836_800  # 2020-01-01: a time that says nothing, and no tool warns of
_STORED_MAX_BYTES = 0xFFFF
_release = re.compile(r"(\d+\.\d+\.\d+)(?:\.?(a|b|rc|dev)(\d+))?")


def addon_version(version: str = __version__) -> str:
    """The product's version as Splunk wants it, Semantic Versioning: ``0.2.0.dev3`` is ``0.2.0-dev.3``."""
    found = _release.fullmatch(version)
    if found is None:
        raise StateError(f"version {version!r} of connlog has no form that Splunk knows; install a released connlog")
    return found[1] if found[2] is None else f"{found[1]}-{found[2]}.{found[3]}"


def pack(version: str = __version__) -> bytes:
    """The package, a gzipped tar. Raises StateError where a file of the add-on is missing or does not belong there."""
    root = data_folder(f"splunk/{APP}")
    folders = {APP}
    files: dict[str, bytes] = {}
    for path in sorted(root.rglob("*")):
        name = f"{APP}/{path.relative_to(root).as_posix()}"
        if any(part.startswith(".") or part == "__pycache__" for part in Path(name).parts):
            continue  # an editor's or a desktop's, which Splunk refuses
        if path.is_symlink() or not (path.is_dir() or (path.is_file() and path.suffix in _SUFFIXES)):
            raise StateError(f"{path}: does not belong into the add-on; remove it")
        if path.is_dir():
            folders.add(name)
        else:
            files[name] = _content(path, addon_version(version))
    if f"{APP}/default/app.conf" not in files:
        raise StateError(f"{root}: the add-on is not whole; install connlog anew")
    return _gzip(_tar(folders, files))


def _content(path: Path, version: str) -> bytes:
    content = path.read_bytes()
    if len(content) > FILE_MAX_BYTES:
        raise StateError(f"{path}: is too large for a file of the add-on; install connlog anew")
    return content.replace(b"@VERSION@", version.encode())


def _tar(folders: set[str], files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(folders | files.keys()):
            entry = tarfile.TarInfo(name)
            entry.mtime = _MTIME
            if name in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(files[name]), 0o644
                archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def _gzip(content: bytes) -> bytes:
    """Gzip without compression: what a zlib makes of the same text differs by its version, stored blocks don't."""
    blocks = [content[at : at + _STORED_MAX_BYTES] for at in range(0, len(content), _STORED_MAX_BYTES)] or [b""]
    body = bytearray(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")
    for number, block in enumerate(blocks, 1):
        body += struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
    return bytes(body + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
