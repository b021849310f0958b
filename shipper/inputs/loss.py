"""The loss: what of a file is known to be gone unread, as a gap."""

from __future__ import annotations

import time

from shipper.journal import Position
from shipper.record import SCHEMA, CompactSource, Gap
from shipper.timestamp import from_ns


def truncated(position: Position, fed: int, kept: int, host: str) -> Gap:
    """A file was cut down. ``fed`` bytes of it were read; of those that were seen it or a copy keeps the first ``kept``
    (0: none was found)."""
    lost = max(0, position.size - max(fed, kept))
    seen = "what is left of it is read; " if kept else ""
    reason = (
        f"truncated; {seen}{lost} bytes seen before it were never read, and what was written between the last look "
        "and the truncation can't be known"
    )
    return _gap("truncated_unread", position, max(fed, kept), lost, host, reason)


def vanished(position: Position, host: str, *, kept: int = 0) -> Gap:
    """A file that was being read is gone, and so is every rotated copy of it but one of its first ``kept`` bytes."""
    begin = max(position.offset, kept)
    lost = max(0, position.size - begin)
    went = "rotated away or deleted while nobody looked, and no copy is left"
    if kept:
        went = f"rotated away or deleted while nobody looked, and what is left of it ends after {kept} bytes"
    reason = (
        f"{went}; {lost} bytes seen before were never read, and what was written after the last look can't be known"
    )
    return _gap("rotated_unread", position, begin, lost, host, reason)


def unreadable(position: Position, host: str, why: str) -> Gap:
    """The rest of a rotated file can't be read any more."""
    lost = max(0, position.size - position.offset)
    return _gap("rotated_unread", position, position.offset, lost, host, why)


def _gap(kind: str, position: Position, offset: int, lost: int, host: str, reason: str) -> Gap:
    source = CompactSource(host=host, input="file", path=position.path, offset=offset)
    now = from_ns(time.time_ns())
    return Gap(SCHEMA, kind, source, from_ns(position.seen_ns), now, lost, False, now, reason)
