"""The memo: what was made of a text before, all memos of the process within one bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, ClassVar, TypeVar
from weakref import WeakSet

CACHE_MAX_BYTES = 32 << 20
"""About what all memos may take; then all are emptied. A rebuild of the index lets them take more."""
ENTRY_BYTES = 300
"""About what one entry takes beside its own characters."""
ENTRY_MAX_CHARACTERS = 1024
"""A longer one is not remembered."""
RUN_MAX_CHARACTERS = 4096
"""Nor a longer run of fields."""
SECONDS_MAX_COUNT = 1024
"""Of each kind of text that names a second."""
RUNS_MET_MAX_COUNT = 8192
"""Runs met once that are known for it, in the whole process; then all of these are forgotten."""

Key = TypeVar("Key")
Made = TypeVar("Made")


class Cache:
    """The memos of one owner. All caches of the process share one bound: many sources remember no more than one."""

    _all: ClassVar[WeakSet[Cache]] = WeakSet()
    _bytes: ClassVar[int] = 0
    _times: ClassVar[int] = 1
    _met: ClassVar[set[int]] = set()
    _gate: ClassVar[Lock] = Lock()
    """Held by who goes through all caches, or adds one: threads come and go with their sources."""

    def __init__(self) -> None:
        self._parts: list[dict[Any, Any]] = []
        with Cache._gate:
            Cache._all.add(self)

    def join(self, part: dict[Any, Any]) -> None:
        """One more that remembers, and may be told to forget."""
        self._parts.append(part)

    @staticmethod
    @contextmanager
    def widened(times: int) -> Iterator[None]:
        """Meanwhile all memos of the process may take so many times the memory: for a command that reads whole logs."""
        Cache._times = times
        try:
            yield
        finally:
            Cache._times = 1

    @staticmethod
    def met(key: int) -> bool:
        """Whether this was asked before; what comes once would only fill the room of what comes again."""
        met = Cache._met
        if key in met:
            return True
        if len(met) >= RUNS_MET_MAX_COUNT * Cache._times:
            met.clear()
        met.add(key)
        return False

    def room(self, characters: int, most: int = ENTRY_MAX_CHARACTERS) -> bool:
        """Whether something of this size may be remembered; everything else may be forgotten for it."""
        if characters > most:
            return False
        # Threads may count past each other here: the bound is one of memory, not of entries.
        Cache._bytes += characters + ENTRY_BYTES
        if Cache._bytes > CACHE_MAX_BYTES * Cache._times:
            Cache._bytes = characters + ENTRY_BYTES
            with Cache._gate:
                caches = list(Cache._all)
            for cache in caches:
                cache.forget()
        return True

    def forget(self) -> None:
        """Forget everything."""
        for part in self._parts:
            part.clear()


class Memo(dict[Key, Made]):
    """What ``make`` gives of a key, remembered; what it raises passes through. ``size`` is that of an entry, in characters."""

    __slots__ = ("_cache", "_make", "_size")

    def __init__(self, cache: Cache, make: Callable[[Key], Made], size: Callable[[Key, Made], int]) -> None:
        super().__init__()
        self._cache = cache
        self._make = make
        self._size = size
        cache.join(self)

    def __missing__(self, key: Key) -> Made:
        made = self._make(key)
        if self._cache.room(self._size(key, made)):
            self[key] = made
        return made


class TextMemo(Memo[str, str]):
    """A memo of texts made of texts."""

    __slots__ = ()

    def __init__(self, cache: Cache, make: Callable[[str], str]) -> None:
        super().__init__(cache, make, lambda text, made: len(text) + len(made))


class RunMemo(Memo[tuple[Any, ...], tuple[str, ...]]):
    """A memo of what several texts together give, each a run of fields; of those alone that came twice."""

    __slots__ = ()

    def __init__(self, cache: Cache, make: Callable[[tuple[Any, ...]], tuple[str, ...]]) -> None:
        super().__init__(
            cache,
            make,
            lambda key, made: sum(len(one) for one in (*key, *made) if isinstance(one, str)),
        )

    def __missing__(self, key: tuple[Any, ...]) -> tuple[str, ...]:
        made = self._make(key)
        if self._cache.met(hash(key)) and self._cache.room(self._size(key, made), RUN_MAX_CHARACTERS):
            self[key] = made
        return made


class SecondMemo(dict[str, str]):
    """A memo of texts that name a second. Where few lines are ours each is of another one, so that to miss must cost
    little: it has a bound of its own."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[str], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> str:
        made = self._make(key)
        if len(self) >= SECONDS_MAX_COUNT:
            self.clear()
        self[key] = made
        return made
