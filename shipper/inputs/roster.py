"""The roster: every file being followed, by stream in the order in which it is to be read, and by inode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shipper.inputs.beginnings import Beginnings
from shipper.inputs.sibling import stamp_ns
from shipper.inputs.tail import Tail


class Roster:
    """Live tails. In a stream, files that were rotated away come before the current one, oldest first."""

    def __init__(self) -> None:
        self._streams: dict[str, list[Tail]] = {}
        self._by_inode: dict[tuple[int, int], Tail] = {}
        self._beginnings = Beginnings()
        self._first = 0

    def __len__(self) -> int:
        return len(self._by_inode)

    def __iter__(self) -> Iterator[Tail]:
        return iter([tail for queue in self._streams.values() for tail in queue])

    def at(self, device: int, inode: int) -> Tail | None:
        """The tail of the file with this inode."""
        return self._by_inode.get((device, inode))

    def follows(self, inode_key: tuple[int, int]) -> bool:
        """Whether the file with this device and inode is followed."""
        return inode_key in self._by_inode

    def add(self, tail: Tail) -> None:
        """Follow one more file."""
        queue = self._streams.setdefault(tail.stream, [])
        queue.append(tail)
        queue.sort(key=_age)
        self._by_inode[tail.device, tail.inode] = tail
        self._beginnings.file(tail)

    def grown(self, tail: Tail) -> None:
        """More of it was read or seen: perhaps more of its first bytes are known."""
        self._beginnings.file(tail)

    def like(self, first: bytes) -> Iterator[Tail]:
        """Followed files that may begin as ``first`` does."""
        return self._beginnings.like(first)

    def remove(self, tail: Tail) -> None:
        """Follow it no longer; its handle is given back."""
        tail.close()
        self._beginnings.drop(tail)
        queue = self._streams[tail.stream]
        queue.remove(tail)
        if not queue:
            del self._streams[tail.stream]
        if self._by_inode.get((tail.device, tail.inode)) is tail:
            del self._by_inode[tail.device, tail.inode]

    def after(self, tail: Tail) -> list[Tail]:
        """The files of the stream that are read after this one."""
        queue = self._streams[tail.stream]
        return queue[queue.index(tail) + 1 :]

    def resort(self, tail: Tail) -> None:
        """Put a tail that was rotated away before those that are not."""
        self._streams[tail.stream].sort(key=_age)

    def turns(self) -> list[list[Tail]]:
        """The queues of all streams, each time beginning with another one, so that none waits for ever."""
        queues = [list(queue) for queue in self._streams.values()]
        if not queues:
            return []
        self._first = (self._first + 1) % len(queues)
        return queues[self._first :] + queues[: self._first]

    def queues(self, streams: Iterable[str]) -> list[list[Tail]]:
        """The queues of these streams, of those that are followed."""
        return [list(self._streams[stream]) for stream in streams if stream in self._streams]

    def left_off(self, number: int) -> None:
        """Of the last turn the queues from ``number`` on were not come to: the next turn begins there."""
        self._first += number - 1


def _age(tail: Tail) -> tuple[bool, int]:
    # kubelet compresses a rotated file when the next one is rotated: then the older file is the younger one.
    return tail.away_since is None, stamp_ns(tail.path) or tail.age_ns
