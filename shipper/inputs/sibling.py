"""Siblings: which names beside a log file may be its rotated copies."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath

from shipper.pattern import pattern

_COMPRESSED = pattern(r"(?:\.(?:gz|bz2|xz|zst|zstd|Z))\Z")
_STAMPED = pattern(r"\.log\.(\d{8}-\d{6})(?:\.gz)?\Z", re.ASCII)
_ADDED = pattern(r"[-._](?=[^/]*[0-9])[-0-9T.:_Z+]+\Z", re.ASCII)
_ROTATED = pattern(r"[-._]?(?=[^/]*[0-9])[-0-9T.:_Z+]+\Z", re.ASCII)


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, str]:
    path = PurePath(name)
    return path.stem, path.suffix


def stem_of(name: str) -> str:
    """What every name that a rotation makes of ``name`` begins with."""
    return _parts(name)[0]


def base_name(name: str) -> str:
    """The name without the number or time that a rotation added: ``f.log`` for ``f-20260901.log`` and ``f.log.1``."""
    plain = _COMPRESSED.sub("", name)
    found = _ADDED.search(plain)
    if found is not None:
        return plain[: found.start()] or plain
    ending = PurePath(plain).suffix
    stem = plain[: len(plain) - len(ending)]
    found = _ADDED.search(stem)
    return stem[: found.start()] + ending if found is not None and found.start() else plain


@lru_cache(maxsize=4096)
def stamp_ns(path: str) -> int:
    """When kubelet rotated the file, by the time in its name, in nanoseconds of its own clock; 0 for other names."""
    found = _STAMPED.search(path)
    if found is None:
        return 0
    try:
        return int(datetime.strptime(found[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    except ValueError:
        return 0


def is_sibling(name: str, other: str) -> bool:
    """Whether ``other`` may come from a rotation of ``name``, by any naming: same stem or same beginning."""
    stem, ending = _parts(name)
    if not other.startswith(stem) or name == other:
        return False
    return other.startswith((f"{name}.", f"{name}-", f"{name}_")) or (
        other.startswith((f"{stem}-", f"{stem}.", f"{stem}_")) and _COMPRESSED.sub("", other).endswith(ending)
    )


def is_numbered(name: str, other: str) -> bool:
    """Whether ``other`` is ``name`` with nothing added but a number or a time: ``f.1``, ``f-20260901.log``, ….

    Only such files are read without having been known before; ``f-agent.log`` is another log.
    """
    if name == other or not other.startswith(_parts(name)[0]):
        return False
    plain = _COMPRESSED.sub("", other)
    stem, ending = _parts(name)
    if plain.startswith(name) and _ROTATED.match(plain[len(name) :]):
        return True
    middle = plain[len(stem) : len(plain) - len(ending)]
    return bool(ending) and plain.startswith(stem) and plain.endswith(ending) and _ROTATED.match(middle) is not None
