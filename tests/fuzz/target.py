"""What is fuzzed: bytes in, and what must hold of whatever comes out. A broken promise is an AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import msgspec

from shipper.extraction import Extractor, Yield
from shipper.framing.chain import Entry
from shipper.parsing.human import HumanParser
from shipper.parsing.result import Parsed
from shipper.recognition import Recogniser
from shipper.record import Record, Source, decode_record, encode_record, encoded
from shipper.text import decode
from shipper.timestamp import to_ns
from tests.truth.corpus import SMALL

LINE_LIMIT_BYTES = 4096
_SIZES = (1, 7, 64, 1000, 10**9)
_human = HumanParser()
_SOURCE = Source(path="fuzz")


@cache
def _trained() -> Recogniser:
    """A recogniser that has met the samples' lines often enough to render their kind."""
    recogniser = Recogniser(_SOURCE)
    for path in SMALL:
        for line in path.read_bytes().split(b"\n") * 3:
            recogniser.verdict(Entry(line, 0, 1, len(line)))
    return recogniser


def _rendered(data: bytes) -> None:
    """What a line is rendered to is what a recogniser gives that has met nothing."""
    for line in data.split(b"\n")[:20]:
        rendered = _trained().render(line, 0)
        if rendered is not None:
            verdict = Recogniser(_SOURCE).verdict(Entry(line, 0, 1, len(line)))
            assert isinstance(verdict, Record), "the usual way takes what the careful one refuses"
            assert rendered == encoded(verdict)


def human(data: bytes) -> None:
    """Bare human lines; and each line by all ways of the parser."""
    _hold(data, format="human", wrapper="none")
    _rendered(data[1:])
    for line in data.split(b"\n")[:20]:
        text = decode(line)
        fast = _human.parse_fast(text)
        if fast is not None:
            slow = _human.parse_slow(text)
            assert isinstance(slow, Parsed), "the fast path takes what the grammar refuses"
            assert (fast.keys, fast.values, fast.log) == (slow.keys, slow.values, slow.log)


def json(data: bytes) -> None:
    """Bare JSON lines, and documents over many lines; each line by both ways."""
    _hold(data, format="json", wrapper="none")
    _rendered(data[1:])


def stackdriver(data: bytes) -> None:
    """Bare stackdriver lines."""
    _hold(data, format="stackdriver", wrapper="none")


def wrapper(data: bytes) -> None:
    """Any wrapper, recognised by itself."""
    _hold(data, format="auto", wrapper="auto")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "human": human, "json": json, "stackdriver": stackdriver, "wrapper": wrapper,
}  # fmt: skip


def _hold(data: bytes, *, format: str, wrapper: str) -> None:
    """The first byte chooses the size of the pieces; the rest is read, whole and to its end."""
    size, data = _SIZES[data[0] % len(_SIZES)] if data else 1, data[1:]
    extractor = Extractor(Source(path="fuzz"), format=format, wrapper=wrapper, line_max_bytes=LINE_LIMIT_BYTES)
    found: list[Yield] = []
    for at in range(0, len(data), size):
        found.append(extractor.feed(data[at : at + size]))
        assert len(extractor._tail) <= 200_000, "what waits is bounded"
    found += [extractor.flush(), extractor.flush(final=True)]
    assert not extractor.waiting
    assert sum(part.bytes for part in found) == len(data) == extractor.offset
    assert sum(part.lines for part in found) == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    kept = 0
    for part in found:
        assert part.entries == len(part.records) + len(part.malformed) + part.not_ours
        assert part.not_ours >= 0
        assert len(part.originals) == len(part.records)
        for record in part.records:
            _sound(record)
        for bad in part.malformed:
            assert len(bad.raw) <= LINE_LIMIT_BYTES + 1, "what is kept of a malformed entry is bounded"
            assert bad.reason.isprintable()
            assert 1 <= bad.column <= len(bad.raw) + 1
            assert bad.line >= 1
            assert 0 <= (bad.source.offset or 0) <= len(data)
            msgspec.json.encode(bad)
        kept += sum(map(len, part.originals)) + sum(len(bad.raw) for bad in part.malformed)
    # A JSON wrapper writes a byte in two characters at the least where it needs more than one.
    assert kept <= len(data) + LINE_LIMIT_BYTES, "no more comes out than went in"


def _sound(record: Record) -> None:
    """A record survives its own form, and every stage after this one can use it."""
    back = decode_record(encode_record(record))
    assert (back.id, back.time, back.extra) == (record.id, record.time, record.extra)
    to_ns(record.time)
    if record.log.time is not None:
        to_ns(record.log.time)
    assert record.code is None or -(2**31) <= record.code < 2**31
    assert len(record.id) == 36
    assert record.status in ("connected", "disconnected")
