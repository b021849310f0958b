"""The verification: what was delivered to Splunk against what Splunk holds, by hour, and by id where an hour differs.

An hour is the same where the number of its ids and their digest are, and no id is there twice. Only of other hours the
ids are compared, one hour at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from shipper.errors import UsageError
from shipper.splunk.inventory import HOUR_SECONDS, Hour, Inventory, digest_of

SECOND_NS = 1_000_000_000
WINDOW_SECONDS = 6 * HOUR_SECONDS
"""How much of the ledger is counted at once."""
DIFFERENT_MAX_COUNT = 1_000_000
"""Ids that are kept as different; beyond it a run is ended, with what to do."""


class Sent(Protocol):
    """An event that was delivered: its 16 bytes, its time as it was sent, and when it was taken, Unix time in ns."""

    @property
    def id(self) -> bytes: ...
    @property
    def time_ns(self) -> int: ...
    @property
    def delivered_ns(self) -> int: ...


class Delivery(Protocol):
    """What was delivered to one output; both ends belong to a range."""

    def __call__(self, since_ns: int, until_ns: int) -> Iterable[Sent]: ...


class HourResult(Struct, frozen=True):
    """One hour: ``hour`` its first second (Unix time), the different ids that were sent and that Splunk holds, and
    whether it had to be compared by id."""

    hour: int
    sent: int
    held: int
    compared: bool


class Missing(Struct, frozen=True):
    """An event that was delivered and is not there."""

    id: str
    time_ns: int
    delivered_ns: int


class Doubled(Struct, frozen=True):
    """An event that is there ``count`` times; it was delivered ``sent`` times."""

    id: str
    count: int
    sent: int


class Result(Struct, frozen=True):
    """What the comparison of a range gave. ``sent`` and ``held`` count different ids.

    ``unknown`` ids are in Splunk and were not delivered as far as the ledger goes back; ``earlier`` counts those that
    Splunk indexed before the ledger begins, of which nothing can be said; ``recent`` are not there, and were taken so
    lately that they need not be searchable yet.
    """

    hours: list[HourResult]
    sent: int
    held: int
    missing: list[Missing]
    doubled: list[Doubled]
    unknown: list[str]
    earlier: int
    recent: int = 0

    @property
    def good(self) -> bool:
        """Whether Splunk holds what was delivered, each once, and nothing else."""
        return not (self.different or self.recent)

    @property
    def different(self) -> bool:
        """Whether Splunk holds something else than what was delivered."""
        return bool(self.missing or self.doubled or self.unknown)


class Verification:
    """The comparison of one output's deliveries with one inventory. ``ledger_since_ns`` is when the ledger begins; what
    was taken after ``settled_ns`` need not be searchable yet."""

    def __init__(
        self, delivered: Delivery, inventory: Inventory, ledger_since_ns: int | None, settled_ns: int | None = None
    ) -> None:
        self._delivered = delivered
        self._inventory = inventory
        self._settled_ns = settled_ns
        self._ledger_since = float("inf") if ledger_since_ns is None else ledger_since_ns / SECOND_NS

    def run(self, since: int, until: int, told: Callable[[HourResult], None] = lambda _hour: None) -> Result:
        """Compare [since, until), Unix seconds; ``told`` gets each hour when it is done. Raises RemoteError, StateError."""
        sent = self._sent_hours(since, until)
        held = self._inventory.hours(since, until)
        hours: list[HourResult] = []
        missing: dict[bytes, Missing] = {}
        strange: dict[bytes, float] = {}
        doubled: dict[bytes, Doubled] = {}
        for hour in sorted(sent.keys() | held.keys()):
            mine, theirs = sent.get(hour, Hour()), held.get(hour, Hour())
            same = (mine.ids, mine.digest) == (theirs.ids, theirs.digest) and not theirs.surplus
            if not same:
                self._compare(hour, theirs, since, until, missing, strange, doubled)
            hours.append(HourResult(hour, mine.ids, theirs.ids, not same))
            told(hours[-1])
        # An event on the edge of two hours may be counted in either.
        for id_ in missing.keys() & strange.keys():
            del missing[id_], strange[id_]
        recent = [id_ for id_, one in missing.items() if self._settled_ns and one.delivered_ns > self._settled_ns]
        for id_ in recent:
            del missing[id_]
        unknown = [_shown(id_) for id_, indexed in strange.items() if indexed >= self._ledger_since]
        return Result(
            hours,
            sum(hour.ids for hour in sent.values()),
            sum(hour.ids for hour in held.values()),
            sorted(missing.values(), key=lambda one: (one.time_ns, one.id)),
            sorted(doubled.values(), key=lambda one: one.id),
            sorted(unknown),
            len(strange) - len(unknown),
            len(recent),
        )

    def _sent_hours(self, since: int, until: int) -> dict[int, Hour]:
        """The hours of what was delivered. An event that was delivered twice counts once."""
        counts: Counter[int] = Counter()
        digests: Counter[int] = Counter()
        for hour, ids in self._by_hour(since, until):
            counts[hour], digests[hour] = len(ids), sum(map(digest_of, ids))
        return {hour: Hour(count, 0, digests[hour]) for hour, count in counts.items()}

    def _by_hour(self, since: int, until: int) -> Iterator[tuple[int, set[bytes]]]:
        """The ids of each hour. The ledger is walked in windows: in memory are the ids of one."""
        begin = since
        while begin < until:
            end = min(until, begin - begin % WINDOW_SECONDS + WINDOW_SECONDS)
            found: dict[int, set[bytes]] = {}
            for event in self._delivered(begin * SECOND_NS, end * SECOND_NS - 1):
                at = event.time_ns // SECOND_NS
                found.setdefault(at - at % HOUR_SECONDS, set()).add(event.id)
            yield from found.items()
            begin = end

    def _compare(
        self,
        hour: int,
        theirs: Hour,
        since: int,
        until: int,
        missing: dict[bytes, Missing],
        strange: dict[bytes, float],
        doubled: dict[bytes, Doubled],
    ) -> None:
        first, last = max(hour, since), min(hour + HOUR_SECONDS, until)
        times: Counter[bytes] = Counter()
        waiting: dict[bytes, Missing] = {}
        for event in self._delivered(first * SECOND_NS, last * SECOND_NS - 1):
            times[event.id] += 1
            waiting[event.id] = Missing(_shown(event.id), event.time_ns, event.delivered_ns)
        for held in self._inventory.ids(hour, theirs.ids, since, until):
            if held.count > 1:
                doubled[held.id] = Doubled(_shown(held.id), held.count, times[held.id])
            if waiting.pop(held.id, None) is None:
                strange[held.id] = held.indexed
        missing |= waiting
        if len(missing) + len(strange) + len(doubled) > DIFFERENT_MAX_COUNT:
            raise UsageError(
                f"more than {DIFFERENT_MAX_COUNT} events differ: ask for a shorter time, and check --index, --sourcetype and "
                "--host"
            )


def _shown(id_: bytes) -> str:
    """An id as text; one that is none of connlog's as it is."""
    text = id_.hex()
    if len(id_) != 16:
        return id_.decode("ascii", "backslashreplace")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
