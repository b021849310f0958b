"""The search: looks beside a log for the file that holds what a position was read from, and for those after it."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress

from msgspec import Struct

from shipper.errors import InputError
from shipper.inputs.content import Content, open_content
from shipper.inputs.discovery import is_text, names_in
from shipper.inputs.ending import kept_of
from shipper.inputs.identity import holds
from shipper.inputs.sibling import base_name, is_numbered, is_sibling, stem_of
from shipper.journal import Position

SIBLINGS_MAX_COUNT = 4096
"""Of more files beside a log only the newest are looked at."""
TRIES_MAX_COUNT = 8
"""Looks at a folder that changes while it is looked at."""


class Sibling(Struct, frozen=True):
    """A file beside a log that may be its rotated copy; ``ctime_ns`` changes with its content, name and mode."""

    path: str
    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int = 0


Names = dict[str, list[str] | None]
"""Folders that were listed, each with its names in order, or None where it can't be listed."""


def siblings_of(path: str, stream: str | None = None, listed: Names | None = None) -> list[Sibling] | None:
    """The files beside ``path`` that its rotation may have made, oldest first; None if the folder can't be listed.

    ``stream`` is the log that ``path`` itself was rotated from: ``f.log.2`` becomes ``f.log.3`` next. ``listed``
    keeps what was listed, for asking about many files of a folder.
    """
    folder, _, name = path.rpartition("/")
    listed = {} if listed is None else listed
    if folder not in listed:
        unsorted = names_in(folder or "/")
        listed[folder] = None if unsorted is None else sorted(unsorted)
    every = listed[folder]
    if every is None:
        return None
    names: set[str] = set()
    # A rotated file may have been met before its log was: what becomes of it has the log's name, not its own.
    for base in {name, (stream or path).rpartition("/")[2], base_name(name)}:
        # Every rotated name begins with the stem; of thousands of names these few are looked at.
        stem = stem_of(base)
        for at in range(bisect_left(every, stem), len(every)):
            if not every[at].startswith(stem):
                break
            if is_sibling(base, every[at]):
                names.add(every[at])
    if path == (stream or path):
        names.discard(name)  # a rotated file that no pattern names may itself still be there
    found: list[Sibling] = []
    for other in names:
        full = f"{folder}/{other}"
        try:
            status = os.stat(full)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            found.append(Sibling(full, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    found.sort(key=lambda sibling: (sibling.mtime_ns, sibling.path))
    return found[-SIBLINGS_MAX_COUNT:]


Inodes = dict[str, dict[int, str] | None]
"""Folders that were listed, each with its paths by inode, or None where it can't be listed."""


def inodes_in(folder: str) -> dict[int, str] | None:
    """The paths in a folder by inode, or None where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.inode(): entry.path for entry in entries if is_text(entry.name)}
    except OSError:
        return None


def namesakes_of(position: Position, listed: Inodes) -> list[Sibling]:
    """Files that may be the one of ``position`` under a name that no rotation makes: with its inode in its folder, or
    in that of the file that its path was a link to. ``listed`` keeps what was listed."""
    found: list[Sibling] = []
    for path in {position.path, position.target} - {""}:
        folder = path.rpartition("/")[0] or "/"
        if folder not in listed:
            listed[folder] = inodes_in(folder)
        other = (listed[folder] or {}).get(position.inode)
        if other is None:
            continue
        try:
            status = os.stat(other)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == (position.device, position.inode):
            found.append(Sibling(other, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))
    return found


def find_holder(
    position: Position, siblings: list[Sibling], taken: Callable[[tuple[int, int]], bool]
) -> tuple[Sibling, Content] | None:
    """The sibling whose content ``position`` was read from, opened. One with its inode is tried first; of several the
    one that holds most of what was seen is taken."""
    hint = (position.device, position.inode)
    best: tuple[Sibling, Content] | None = None
    most = -1
    for sibling in sorted(siblings, key=lambda s: (s.device, s.inode) != hint):
        if taken((sibling.device, sibling.inode)):
            continue
        try:
            content = open_content(sibling.path)
        except InputError:
            continue
        reach = -1
        # Half written, as a copy being compressed is: another look follows while the position is missing.
        with suppress(InputError):
            # Renamed since it was listed: the name may be another file's by now.
            if not taken(_opened(content)) and holds(position, content.pread):
                reach = kept_of(content, position)
        if reach <= most:
            content.close()
            continue
        if best is not None:
            best[1].close()
        best, most = (sibling, content), reach
        if reach >= position.size:
            break
    return best


def find_steadily(
    position: Position, first: list[Sibling], path: str, stream: str, taken: Callable[[tuple[int, int]], bool]
) -> tuple[Sibling, Content] | None:
    """The same beside ``path``, where files may be renamed meanwhile, and among ``first``: where none is found, the
    names were the same before and after a look. Only after ``TRIES_MAX_COUNT`` looks it gives up all the same."""
    siblings = siblings_of(path, stream) or []
    for _ in range(TRIES_MAX_COUNT):
        found = find_holder(position, first + siblings, taken)
        if found is not None:
            return found
        before, siblings = listing(siblings), siblings_of(path, stream) or []
        if listing(siblings) == before:
            break
    return None


def open_as_listed(sibling: Sibling) -> Content | None:
    """The content of the sibling, or None where its name is another file's by now. Raises InputError."""
    content = open_content(sibling.path)
    try:
        if _opened(content) == (sibling.device, sibling.inode):
            return content
    except InputError:
        content.close()
        raise
    content.close()
    return None


def listing(siblings: Iterable[Sibling]) -> frozenset[tuple[str, int, int]]:
    """What tells whether files came, went or were renamed between two looks."""
    return frozenset((sibling.path, sibling.device, sibling.inode) for sibling in siblings)


def _opened(content: Content) -> tuple[int, int]:
    status = content.stat()
    return status.st_dev, status.st_ino


def later_ones(path: str, siblings: list[Sibling], mtime_ns: int) -> list[Sibling]:
    """Rotated files of ``path`` that were written to after ``mtime_ns``: made and rotated while nobody looked."""
    name = path.rpartition("/")[2]
    return [s for s in siblings if s.mtime_ns >= mtime_ns and is_numbered(name, s.path.rpartition("/")[2])]
