"""The file: a token or a package put in place whole or not at all, readable to nobody before it is there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole or not at all, with ``mode`` from its first byte on. Raises OSError, and then nothing
    has changed."""
    handle, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # mkstemp made it 0600; anything wider comes after the content.
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def same_token(path: Path, token: str) -> bool | None:
    """Whether the file holds this token; None where there is no file. Raises OSError where it can't be read."""
    try:
        with path.open("rb") as file:
            held = file.read(16 << 10)
    except FileNotFoundError:
        return None
    return held.split(b"\n", 1)[0].strip() == token.encode()
