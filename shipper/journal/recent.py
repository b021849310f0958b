"""Recent ids: remembers the newest ids up to a bound, so that a copy of an event is known for one."""

from __future__ import annotations

from binascii import unhexlify
from collections import deque
from collections.abc import Iterable

from shipper.key import ID_BYTES, split_ids


class RecentIds:
    """At least the newest ``max_count`` ids, in groups that are forgotten whole, oldest first.

    A group has the row number under which it is persisted. A repeated id stays with its first group.
    """

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._groups: deque[tuple[int, tuple[bytes, ...]]] = deque()
        self._known: set[bytes] = set()
        self.last = 0
        """The number of the newest group."""

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def has_none_of(self, keys: Iterable[bytes]) -> bool:
        """Whether it remembers none of these."""
        return self._known.isdisjoint(keys)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, number: int, ids: bytes, keys: Iterable[bytes] | None = None) -> None:
        """Remember the ids of one group, 16 bytes each; ``keys`` are the same one by one, where somebody has them."""
        self.last = number
        # The same objects as in the set, whose hash is known: less room than ``ids``, and less work to forget.
        group = tuple(split_ids(ids) if keys is None else keys)
        self._groups.append((number, group))
        self._known.update(group)

    def surplus(self, coming: int) -> int | None:
        """The last group number that may be forgotten when ``coming`` ids more are added, or None."""
        over = len(self._known) + coming - self._max_count
        last = None
        for number, group in self._groups:
            over -= len(group)
            if over < 0:
                break
            last = number
        return last

    def forget(self, until: int) -> None:
        """Forget all groups up to this number."""
        while self._groups and self._groups[0][0] <= until:
            self._known.difference_update(self._groups.popleft()[1])


def all_id_bytes(texts: list[str]) -> list[bytes]:
    """The 16 bytes of each of many lower-case UUIDs."""
    return split_ids(joined_ids(texts))


def joined_ids(texts: list[str]) -> bytes:
    """The same, one behind another. Raises ValueError where they are not as long as these."""
    joined = unhexlify("".join(texts).encode().translate(None, b"-"))
    if len(joined) != ID_BYTES * len(texts):
        raise ValueError("an id is no UUID")
    return joined


def id_bytes(text: str) -> bytes:
    """The 16 bytes of a lower-case UUID."""
    return bytes.fromhex(text.replace("-", ""))
