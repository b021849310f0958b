"""The latecomers: rotated files that were read to their end and have grown since, because a writer kept its handle."""

from __future__ import annotations

import os

from shipper.errors import InputError
from shipper.inputs.content import Content, PlainContent, open_content
from shipper.inputs.identity import Known, holds
from shipper.inputs.roster import Roster
from shipper.inputs.search import Names, inodes_in, siblings_of
from shipper.journal import Position


class Latecomers:
    """Looks at what the positions in ``known`` that are done stand for; a file that ``roster`` follows is left to it."""

    def __init__(self, known: Known, roster: Roster) -> None:
        self._known = known
        self._roster = roster
        self._seen: dict[str, tuple[int, int]] = {}
        """By key the size and time of last change for which nothing was to be read."""
        self._gone: set[str] = set()
        """Keys of files that are gone, for which a copy was looked for."""

    def find(self) -> list[tuple[Position, str, Content]]:
        """Positions with more to read, each with the path of its file, opened."""
        done = [p for p in self._known.all() if p.done and not p.lost and not p.backfilled and p.mtime_ns]
        keys = {p.key for p in done}
        self._seen = {key: state for key, state in self._seen.items() if key in keys}
        self._gone &= keys
        found: list[tuple[Position, str, Content]] = []
        taken: set[tuple[int, int]] = set()
        folders: dict[str, dict[int, str] | None] = {}
        listed: Names = {}
        for position in done:
            folder = position.path.rpartition("/")[0] or "/"
            if folder not in folders:
                folders[folder] = inodes_in(folder)
            inodes = folders[folder]
            if inodes is None:
                continue
            path = inodes.get(position.inode, "")
            there, content = self._grown(position, path) if path else (False, None)
            if not there and position.key not in self._gone:
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

    def _grown(self, position: Position, path: str) -> tuple[bool, Content | None]:
        """Whether the file with its inode is still the one, and its content if that is more than was read."""
        try:
            status = os.stat(path)
        except OSError:
            return False, None
        state = status.st_size, status.st_mtime_ns
        if self._seen.get(position.key) == state:
            return position.key not in self._gone, None
        self._seen[position.key] = state
        if status.st_size < position.offset or not self._is_it(position, path):
            return False, None  # another file has its inode now
        self._gone.discard(position.key)
        return True, self._open(position, path) if status.st_size > position.offset else None

    @staticmethod
    def _is_it(position: Position, path: str) -> bool:
        try:
            content = PlainContent(path)
        except InputError:
            return True  # it can't be looked at now; nothing says that it is gone
        try:
            return holds(position, content.pread)
        except InputError:
            return True
        finally:
            content.close()

    def _copied(self, position: Position, listed: Names) -> tuple[str, Content | None]:
        """A copy of the file, which is gone, if it was written to after the file was read: looked for once."""
        self._gone.add(position.key)
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
