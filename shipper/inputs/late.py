"""The latecomers: rotated files that were read to their end and have grown since, because a writer kept its handle."""

from __future__ import annotations

import os

from shipper.errors import InputError
from shipper.inputs.content import Content, open_content
from shipper.inputs.discovery import is_text
from shipper.inputs.identity import Known
from shipper.inputs.roster import Roster
from shipper.inputs.search import Names, siblings_of
from shipper.journal import Position


class Latecomers:
    """Looks at what the positions in ``known`` that are done stand for; a file that ``roster`` follows is left to it."""

    def __init__(self, known: Known, roster: Roster) -> None:
        self._known = known
        self._roster = roster
        self._seen: dict[str, tuple[int, int]] = {}
        """By key the size and time of last change for which nothing was to be read; (-1, 0) where the file is gone."""

    def find(self) -> list[tuple[Position, str, Content]]:
        """Positions with more to read, each with the path of its file, opened."""
        done = [p for p in self._known.all() if p.done and not p.lost and not p.backfilled and p.mtime_ns]
        self._seen = {p.key: self._seen[p.key] for p in done if p.key in self._seen}
        found: list[tuple[Position, str, Content]] = []
        taken: set[tuple[int, int]] = set()
        folders: dict[str, dict[int, str] | None] = {}
        listed: Names = {}
        for position in done:
            folder = position.path.rpartition("/")[0] or "/"
            if folder not in folders:
                folders[folder] = _inodes(folder)
            inodes = folders[folder]
            if inodes is None:
                continue
            path = inodes.get(position.inode)
            if path is not None:
                content = self._grown(position, path)
            else:
                path, content = self._copied(position, listed)
            if content is None:
                continue
            status = content.stat()
            if (status.st_dev, status.st_ino) in taken:
                content.close()
                continue
            taken.add((status.st_dev, status.st_ino))
            found.append((position, path, content))
        return found

    def _grown(self, position: Position, path: str) -> Content | None:
        """The file itself, by its inode, if it holds more than was read."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        state = status.st_size, status.st_mtime_ns
        if status.st_size <= position.offset or self._seen.get(position.key) == state:
            return None
        self._seen[position.key] = state
        return self._open(position, path)

    def _copied(self, position: Position, listed: Names) -> tuple[str, Content | None]:
        """A copy of the file, which is gone, if it was written to after the file was read: looked for once."""
        if self._seen.get(position.key) == (-1, 0):
            return "", None
        self._seen[position.key] = (-1, 0)
        for sibling in siblings_of(position.path, position.stream, listed) or []:
            if sibling.mtime_ns > position.mtime_ns:
                content = self._open(position, sibling.path)
                if content is not None:
                    return sibling.path, content
        return "", None

    def _open(self, position: Position, path: str) -> Content | None:
        try:
            content = open_content(path)
        except InputError:
            return None
        try:
            status = content.stat()
            if not self._roster.follows((status.st_dev, status.st_ino)):
                # The furthest of those that it holds: of a file that only begins alike no word is read twice.
                match = self._known.match(content.pread, status.st_dev, status.st_ino)
                if match is not None and match.key == position.key and content.pread(position.offset, 1):
                    return content
        except InputError:
            pass  # half written; it is looked at again when it changes
        content.close()
        return None


def _inodes(folder: str) -> dict[int, str] | None:
    """The paths in a folder by inode, or None where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.inode(): entry.path for entry in entries if is_text(entry.name)}
    except OSError:
        return None
