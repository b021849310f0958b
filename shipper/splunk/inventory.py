"""The inventory: which events Splunk holds of a range of time, counted by hour, and by id for an hour in question.

The hours are those of UTC, whatever the time zone of Splunk's user, and events are found by ``event_id``, which is
indexed with them: no event's text is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Protocol

from msgspec import Struct

from shipper.errors import RemoteError
from shipper.splunk.management import Found

HOUR_SECONDS = 3600
SPAN_SECONDS = 48 * HOUR_SECONDS
"""The hours that one search counts: for a long range Splunk is asked for one piece after another."""
IDS_TOGETHER = 100_000
"""About how many ids one search gives; an hour with more is asked for in slices."""
SLICES_MAX_COUNT = 3600
DIGEST_DIGITS = 5
"""Hexadecimal digits of each id that are summed: for a million events an hour the sum has 13 digits, which Splunk
prints in full."""
_match_id = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_match_plain = re.compile(r"[A-Za-z0-9_.:*-]+").fullmatch


class Searching(Protocol):
    """What the inventory asks."""

    def search(self, query: str, earliest: str, latest: str) -> Found: ...


class Place(Struct, frozen=True):
    """Where events are looked for: names of indexes, source types and hosts, no hosts for any."""

    indexes: tuple[str, ...]
    sourcetypes: tuple[str, ...]
    hosts: tuple[str, ...] = ()

    def terms(self) -> str:
        """The search terms. Raises ValueError for a name that can't be one."""
        groups = (("index", self.indexes), ("sourcetype", self.sourcetypes), ("host", self.hosts))
        return " ".join(
            "(" + " OR ".join(f'{field}="{_plain(name)}"' for name in names) + ")" for field, names in groups if names
        )


class Hour(Struct, frozen=True):
    """What is known of an hour: how many different ids, how many events more than ids, and a digest of the ids."""

    ids: int = 0
    surplus: int = 0
    digest: int = 0


class Held(Struct, frozen=True):
    """One id that Splunk holds: how many events have it, and when the first of them was indexed (Unix seconds)."""

    id: bytes
    count: int
    indexed: float


class Inventory:
    """What one Splunk holds in one place. ``warnings`` gathers what Splunk said: with one, answers may not be whole."""

    def __init__(self, splunk: Searching, place: Place) -> None:
        self._splunk = splunk
        self._terms = place.terms()
        self.warnings: list[str] = []

    def hours(self, since: int, until: int) -> dict[int, Hour]:
        """The hours of [since, until), in Unix seconds, by their first second; hours without events are left out."""
        found: dict[int, Hour] = {}
        while since < until:
            end = min(until, since - since % HOUR_SECONDS + SPAN_SECONDS)
            found |= self._hours(since, end)
            since = end
        return found

    def _hours(self, since: int, until: int) -> dict[int, Hour]:
        rows = self._rows(
            f"| tstats count AS events min(_time) AS at WHERE {self._terms} event_id=* BY event_id"
            f" | eval hour=floor(at/{HOUR_SECONDS})*{HOUR_SECONDS}, head=tonumber(substr(event_id,1,{DIGEST_DIGITS}),16)"
            " | stats count AS ids sum(events) AS events sum(head) AS digest BY hour",
            since,
            until,
        )
        found: dict[int, Hour] = {}
        for row in rows:
            ids, events = _whole(row, "ids"), _whole(row, "events")
            found[_whole(row, "hour")] = Hour(ids, events - ids, _whole(row, "digest"))
        return found

    def ids(self, hour: int, about: int, since: int, until: int) -> Iterator[Held]:
        """Every id in what of the hour lies in [since, until); ``about`` is how many there may be."""
        first, last = max(hour, since), min(hour + HOUR_SECONDS, until)
        slices = min(SLICES_MAX_COUNT, about // IDS_TOGETHER + 1, max(1, last - first))
        marks = [first + (last - first) * number // slices for number in range(slices + 1)]
        for earliest, latest in pairwise(marks):
            rows = self._rows(
                f"| tstats count AS events min(_indextime) AS indexed WHERE {self._terms} event_id=* BY event_id",
                earliest,
                latest,
            )
            for row in rows:
                text = str(row.get("event_id", "")).lower()
                # An id of another form was not sent by connlog, which sends no other.
                packed = bytes.fromhex(text.replace("-", "")) if _match_id(text) else text.encode()
                yield Held(packed, _whole(row, "events"), _number(row, "indexed"))

    def _rows(self, query: str, earliest: int, latest: int) -> Sequence[dict[str, Any]]:
        found = self._splunk.search(query, str(earliest), str(latest))
        self.warnings += [warning for warning in found.warnings if warning not in self.warnings]
        return found.rows


def digest_of(id_: bytes) -> int:
    """What an id adds to the digest of its hour."""
    return int(id_.hex()[:DIGEST_DIGITS], 16)


def _plain(name: str) -> str:
    if not _match_plain(name):
        raise ValueError(f"{name!r} is no name of an index, a source type or a host")
    return name


def _number(row: dict[str, Any], key: str) -> float:
    try:
        return float(row[key])
    except (KeyError, TypeError, ValueError) as error:
        raise RemoteError(f"the search gives no {key}: answers not as Splunk does; check the address") from error


def _whole(row: dict[str, Any], key: str) -> int:
    return int(_number(row, key))
