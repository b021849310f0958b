"""The judged: files that were found and are not to be read, until they change: copies and compressed ones."""

from __future__ import annotations

from collections.abc import Iterable

from shipper.inputs.content import PACKED
from shipper.inputs.discovery import Found


class Judged:
    """What was decided, by path, and of what state of the file."""

    def __init__(self) -> None:
        self._found: dict[str, Found] = {}
        self._packed: set[str] = set()
        self._copies: dict[str, str] = {}
        """Copies of a followed file: path to key."""

    def __contains__(self, path: str) -> bool:
        return path in self._found

    def keep(self, fresh: Iterable[Found]) -> list[Found]:
        """Forget all but those that are in ``fresh`` as they were; gives the others."""
        fresh = list(fresh)
        self._found = {one.path: one for one in fresh if self._found.get(one.path) == one}
        self._copies = {path: key for path, key in self._copies.items() if path in self._found}
        self._packed &= self._found.keys()
        return [one for one in fresh if one.path not in self._found]

    def copy(self, one: Found, key: str) -> None:
        """It is a copy of the followed file with this key."""
        self._found[one.path] = one
        self._copies[one.path] = key

    def packed(self, one: Found) -> None:
        """It is compressed."""
        self._found[one.path] = one
        self._packed.add(one.path)

    def copies_of(self, key: str) -> list[str]:
        """Where copies of a followed file are."""
        return [path for path, other in self._copies.items() if other == key]

    def forget_copies(self, key: str) -> None:
        """Copies of the followed file with this key must be judged again: it isn't followed any more."""
        for path in self.copies_of(key):
            del self._copies[path], self._found[path]

    def tell(self, troubles: dict[str, str]) -> None:
        """Add what an operator should know of."""
        for path in self._packed:
            troubles.setdefault(path, f"{path}: {PACKED}")
