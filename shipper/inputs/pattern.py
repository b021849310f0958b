"""The pattern: every path that a glob pattern names now, and every folder that could not be looked into.

``*``, ``?`` and ``[…]`` stand for a part of a name, ``**`` for any folders; a name that begins with a dot is only
named by a pattern that does too.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fnmatch import translate
from itertools import pairwise


def expand(pattern: str, troubles: dict[str, str]) -> Iterator[str]:
    """Paths of any kind, perhaps one of them twice; folders that can't be listed go to ``troubles`` with the reason."""
    root = "/" if pattern.startswith("/") else ""
    parts = [part for part in pattern.split("/") if part]
    # Two of them in a row say no more than one.
    parts = parts[:1] + [now for before, now in pairwise(parts) if not now == before == "**"]
    return _walk(root, parts, troubles)


def _walk(folder: str, parts: list[str], troubles: dict[str, str]) -> Iterator[str]:
    # Not one call inside another for each of the first folders: every path would pass through all of them.
    while len(parts) > 1 and parts[0] != "**" and not glob.has_magic(parts[0]):
        folder, parts = _join(folder, parts[0]), parts[1:]
    if not parts:
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _walk(folder, rest, troubles)
        for name, is_folder in _listed(folder, troubles):
            if name.startswith("."):
                continue
            path = _join(folder, name)
            if not rest:
                yield path
            if is_folder and not _leads_back(folder, path):
                yield from _walk(path, parts, troubles)
    elif glob.has_magic(part):
        fits = re.compile(translate(part)).match
        hidden = part.startswith(".")
        for name, is_folder in _listed(folder, troubles):
            if fits(name) and (hidden or not name.startswith(".")) and (is_folder or not rest):
                path = _join(folder, name)
                if rest:
                    yield from _walk(path, rest, troubles)
                else:
                    yield path
    else:
        path = _join(folder, part)
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            pass  # it may be there: whoever looks at it learns why it can't be read
        yield path


def _listed(folder: str, troubles: dict[str, str]) -> list[tuple[str, bool]]:
    """Names in the folder, each with whether it is a folder itself."""
    try:
        with os.scandir(folder or ".") as entries:
            return [(entry.name, _is_folder(entry)) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        troubles[folder] = (
            f"{folder}: what is in it can't be found: {error.strerror}; check the folder's owner and mode"
        )
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _leads_back(folder: str, path: str) -> bool:
    """Whether the path is a link to a folder in which it lies, and so would be gone through for ever."""
    if not os.path.islink(path):  # noqa: PTH114 - asked for every folder of a tree
        return False
    return f"{os.path.realpath(folder)}/".startswith(f"{os.path.realpath(path).rstrip('/')}/")


def _join(folder: str, name: str) -> str:
    return f"{folder}{name}" if not folder or folder.endswith("/") else f"{folder}/{name}"
