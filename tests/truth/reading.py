"""Reads bytes with the product in pieces of any size, and keeps what came out as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shipper.extraction import Extractor, Yield
from shipper.record import Source


@dataclass
class Reading:
    """All that an extractor gave. ``records`` and ``malformed`` are plain data, in order."""

    records: list[dict[str, Any]] = field(default_factory=list)
    originals: list[bytes] = field(default_factory=list)
    malformed: list[dict[str, Any]] = field(default_factory=list)
    entries: int = 0
    not_ours: int = 0
    lookalikes: int = 0
    lines: int = 0
    bytes: int = 0
    drift: list[str] = field(default_factory=list)

    def take(self, found: Yield) -> None:
        """Adds what one piece gave; each piece conserves its entries."""
        assert found.entries == len(found.records) + len(found.malformed) + found.not_ours
        assert found.not_ours >= 0
        assert len(found.originals) == len(found.records)
        self.records += map(msgspec.to_builtins, found.records)
        self.originals += found.originals
        self.malformed += map(msgspec.to_builtins, found.malformed)
        self.entries += found.entries
        self.not_ours += found.not_ours
        self.lookalikes += found.lookalikes
        self.lines += found.lines
        self.bytes += found.bytes
        self.drift += found.drift


def pieces(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """``data`` cut in pieces of these sizes; the last one takes the rest if the sizes run out."""
    at = 0
    for size in sizes:
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size
    if at < len(data):
        yield data[at:]


def read(data: bytes, sizes: Iterable[int] = (), *, again: bool = False, **options: Any) -> Reading:
    """Everything in ``data``, to its end, fed in pieces of ``sizes`` (all at once if none is given); ``again``, each
    with what was kept of the one before."""
    extractor = Extractor(Source(path="x"), compact=False, **options)
    out = Reading()
    end = 0
    for piece in pieces(data, sizes):
        end += len(piece)
        out.take(extractor.feed(data[extractor.offset : end] if again else piece, again=again))
    out.take(extractor.flush(final=True))
    assert not extractor.waiting
    return out
