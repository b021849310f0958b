"""Discovery: which files the patterns of the configuration name now, each once however it is reached."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from shipper.config import FileInput
from shipper.inputs.container import LINKS
from shipper.inputs.pattern import expand


class Found(Struct, frozen=True):
    """A file as it was found. ``mtime_ns`` is Unix time; ``watch`` is the input whose pattern names it first."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    watch: FileInput

    @property
    def inode_key(self) -> tuple[int, int]:
        """What is one file as long as somebody holds it open."""
        return self.device, self.inode


def discover(watches: Sequence[FileInput]) -> tuple[dict[tuple[int, int], Found], dict[str, str]]:
    """The regular files that the patterns name, by inode, and what can't be looked at: path to reason."""
    found: dict[tuple[int, int], Found] = {}
    troubles: dict[str, str] = {}
    for watch in watches:
        excluded = _excluder(watch.exclude)
        for pattern in watch.paths:
            empty = True
            for path in expand(pattern, troubles):
                empty = False
                if excluded(path):
                    continue
                if not is_text(path):
                    # Records, positions and the status hold paths, and these are text.
                    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
                    troubles[shown] = f"{shown}: not read: its name is not valid UTF-8; rename it"
                    continue
                one = look(LINKS.resolve(path), watch, troubles)
                if one is not None:
                    found.setdefault(one.inode_key, one)
            if empty:
                _explain(pattern, troubles)
    return found, troubles


def look(path: str, watch: FileInput, troubles: dict[str, str]) -> Found | None:
    """The regular file at ``path``, or None."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):  # noqa: PTH114 - asked for every file, as os.stat above
            troubles[path] = f"{path}: not read: a link to what is not there; mend or remove it"
        return None
    except OSError as error:
        troubles[path] = f"{path}: can't be looked at: {error.strerror}; check the folder's owner and mode"
        return None
    if not stat.S_ISREG(status.st_mode):
        if not stat.S_ISDIR(status.st_mode):  # folders are named by many patterns that mean files
            troubles[path] = f"{path}: not a regular file, not read; exclude it or move it away"
        return None
    return Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, watch)


def is_there(path: str, device: int, inode: int) -> bool:
    """Whether the path still is that of this file, as far as can be told: in a closed folder it may be."""
    try:
        status = os.stat(path)
    except OSError as error:
        return isinstance(error, PermissionError)
    return (status.st_dev, status.st_ino) == (device, inode)


def names_in(folder: str) -> list[str] | None:
    """The names in a folder that are valid text, or None where it can't be listed."""
    try:
        return [name for name in os.listdir(folder) if is_text(name)]  # noqa: PTH208 - names are wanted, not paths
    except OSError:
        return None


def base_folders(watches: Sequence[FileInput]) -> Iterator[str]:
    """For each pattern the folder before its first wildcard."""
    for watch in watches:
        for pattern in watch.paths:
            yield base_folder(pattern)


def base_folder(pattern: str) -> str:
    """The part of a pattern that names one folder."""
    folder = Path(pattern).parent if not glob.has_magic(pattern) else Path(pattern)
    while glob.has_magic(str(folder)):
        folder = folder.parent
    return str(folder)


def _explain(pattern: str, troubles: dict[str, str]) -> None:
    """A pattern that names nothing may do so because its folder is missing or closed to us."""
    folder = base_folder(pattern)
    try:
        os.scandir(folder).close()
    except OSError as error:
        troubles[folder] = f"{folder}: no file of {pattern} can be found: {error.strerror}; check the folder"


def is_text(path: str) -> bool:
    """Whether a name or path can be written as UTF-8."""
    # Bytes of a name that are not UTF-8 come as lone surrogates.
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=64)
def _excluder(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a path is to be left out. Asked for every file at every look, so the patterns are one expression."""
    by_name = [translate(pattern) for pattern in patterns if "/" not in pattern]
    by_path = [translate(pattern) for pattern in patterns if "/" in pattern]
    names, paths = (re.compile("|".join(some)).match if some else None for some in (by_name, by_path))

    def excluded(path: str) -> bool:
        return (names is not None and names(path[path.rfind("/") + 1 :]) is not None) or (
            paths is not None and paths(path) is not None
        )

    return excluded
