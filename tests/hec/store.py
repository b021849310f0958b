"""The store of the HEC server: everything that was indexed, in order, countable by event id while requests come in."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct


class Indexed(Struct, frozen=True, kw_only=True):
    """One event as Splunk would keep it: the metadata that counts for it, and the bytes of its envelope.

    ``event_id`` is the indexed field ``event_id``, else the event's own ``id``. ``time`` is epoch seconds, the time of
    receipt where the envelope had none. ``request`` is the number of the request that brought it, ``ack_id`` what its
    answer gave.
    """

    request: int
    node: int
    channel: str | None
    ack_id: int | None
    token: str
    event_id: str | None
    time: float
    host: str
    source: str
    sourcetype: str
    index: str
    event: object
    fields: dict[str, object]
    raw: bytes


class Store:
    """Events in the order of their indexing. With a recording each is on disk before its request is answered."""

    def __init__(self, recording: Path | None = None) -> None:
        self._events: list[Indexed] = []
        self._counted = 0
        self._total = 0
        self._changed = threading.Condition()
        self._file: BinaryIO | None = recording.open("ab") if recording else None

    def __len__(self) -> int:
        with self._changed:
            return len(self._events) + self._counted

    @property
    def total(self) -> int:
        """How many were ever indexed or counted, whatever became of them."""
        with self._changed:
            return self._total

    @property
    def events(self) -> list[Indexed]:
        """What is indexed now (a copy)."""
        with self._changed:
            return list(self._events)

    def counts(self) -> Counter[str]:
        """How often each event id is there; events without an id count under ``""``."""
        return Counter(event.event_id or "" for event in self.events)

    def duplicates(self) -> int:
        """How many events are there beyond the first of their id."""
        counts = self.counts()
        return sum(counts.values()) - len(counts)

    def add(self, events: Iterable[Indexed]) -> None:
        """Keeps events, and wakes who waits."""
        events = tuple(events)
        with self._changed:
            if self._file is not None:
                self._file.writelines(_line(event) for event in events)
                self._file.flush()
            self._events += events
            self._total += len(events)
            self._changed.notify_all()

    def count(self, events: int) -> None:
        """Counts events without keeping them."""
        with self._changed:
            self._counted += events
            self._total += events
            self._changed.notify_all()

    def lose(self, lost: Callable[[Indexed], bool]) -> int:
        """Takes away what an indexer lost that crashed; gives how many."""
        with self._changed:
            gone = [event for event in self._events if lost(event)]
            self._events = [event for event in self._events if not lost(event)]
            if self._file is not None:
                self._file.writelines(json.dumps({"lost": event.event_id}).encode() + b"\n" for event in gone)
                self._file.flush()
            return len(gone)

    def clear(self) -> None:
        """Forgets everything (not the recording)."""
        with self._changed:
            self._events = []
            self._counted = 0

    def drain(self) -> list[Indexed]:
        """Gives what is there and forgets it (not the recording)."""
        with self._changed:
            events, self._events = self._events, []
            return events

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits until the condition holds, asked after each change and ten times a second; False when time is up."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left, 0.1))
        return True

    def wake(self) -> None:
        """Has the conditions of who waits asked again."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Closes the recording."""
        if self._file is not None:
            self._file.close()


def _line(event: Indexed) -> bytes:
    head = {"request": event.request, "channel": event.channel, "ack": event.ack_id, "id": event.event_id}
    return json.dumps(head)[:-1].encode() + b', "envelope": ' + json.dumps(event.raw.decode()).encode() + b"}\n"


def read_recording(path: Path) -> Counter[str]:
    """How often each event id is in a recording, what was lost taken off. A line that a kill cut is left out."""
    counts: Counter[str] = Counter()
    for line in _whole_lines(path):
        entry = json.loads(line)
        if "lost" in entry:
            counts[entry["lost"] or ""] -= 1
        else:
            counts[entry["id"] or ""] += 1
    return +counts


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))
