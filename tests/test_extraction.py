"""The seam between bytes and records: any cut, any stop, any limit, and every entry counted once."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.extraction import LINE_MAX_BYTES, Extractor
from shipper.record import Source
from tests.property.hostile import events, noise, strays
from tests.render.entry import ERAS, Entry, Text
from tests.render.human import human
from tests.render.jsonlike import json, stackdriver
from tests.render.wrapper import WRAPPERS, docker, journald
from tests.truth.corpus import SMALL, name_of
from tests.truth.reading import Reading, read
from tests.truth.score import truths

QUIET = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
SAMPLE = next(path for path in SMALL if path.stem == "human-v3").read_bytes()
JSON_SAMPLE = next(path for path in SMALL if path.stem == "json-v3").read_bytes()


def first_event(name: str = "human-v3") -> bytes:
    """The bytes of a plain event of one line."""
    path = next(path for path in SMALL if path.stem == name)
    data = path.read_bytes()
    place = next(t for t in truths(path) if t["lines"] == 1 and not t.get("trace"))
    return data[place["offset"] : place["offset"] + place["length"]]


EVENT, JSON_EVENT = first_event(), first_event("json-v3")
NOISE = b"2026-01-12 10:11:26.102 [info]  coderd: http server  rows=931\n"


def resumed(data: bytes, stops: list[int], **options: Any) -> Reading:
    """Reads ``data`` with an extractor that is thrown away at each stop, and a new one built from what it tells."""
    out = Reading()
    offset, line, carry = 0, 1, b""
    for stop in [*sorted({stop for stop in stops if stop < len(data)}), len(data)]:
        if stop < offset:
            continue
        extractor = Extractor(Source(path="x"), compact=False, offset=offset, line=line, carry=carry, **options)
        out.take(extractor.feed(data[offset:stop]))
        if stop == len(data):
            out.take(extractor.flush(final=True))
        offset, line, carry = extractor.offset, extractor.line, extractor.carry
    return out


def without_drift(found: Reading) -> Reading:
    """A new extractor sees everything for the first time."""
    return replace(found, drift=[])


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_a_reader_that_dies_goes_on_where_it_was(path: Path) -> None:
    """Stopped every 97 bytes and built anew from offset, line and carry, it gives what an unbroken one gives."""
    data = path.read_bytes()
    stops = list(range(97, len(data), 97))
    assert without_drift(resumed(data, stops)) == without_drift(read(data))


def records() -> st.SearchStrategy[bytes]:
    """Records of one form and the lines between them."""

    def rendered(entry: Entry, sink: int, era: str) -> bytes:
        return (human, json, stackdriver)[sink](entry, era)

    return st.one_of(
        st.builds(rendered, st.one_of(events(), noise()), st.integers(0, 2), st.sampled_from(ERAS)), strays()
    )


@given(
    st.lists(records(), max_size=5),
    st.sampled_from(sorted(WRAPPERS)),
    st.lists(st.integers(0, 4000), max_size=20),
    st.booleans(),
)
@QUIET
def test_a_reader_may_die_anywhere_in_hostile_lines(
    parts: list[bytes], wrapper: str, stops: list[int], scan: bool
) -> None:
    """So it is in any wrapper, with hostile text and stray lines, wherever it stops."""
    data = b"".join(WRAPPERS[wrapper](part) for part in parts)
    assert without_drift(resumed(data, stops, by_scan=scan)) == without_drift(read(data, by_scan=scan))


@given(st.lists(records(), min_size=1, max_size=10), st.integers(0, 20), st.booleans(), st.integers(1, 4000))
@QUIET
def test_without_originals_all_else_is_the_same(parts: list[bytes], count: int, wanted: bool, size: int) -> None:
    """They may be wanted of one piece of bytes, and of the next no more."""
    data = b"".join(parts) + (first_event() + b"\n") * count
    wants = [wanted]
    some, all_ = Extractor(Source(path="/f"), originals=lambda: wants[0]), Extractor(Source(path="/f"))
    for at in range(0, len(data), size):
        found, full = (one.feed(data[at : at + size]) for one in (some, all_))
        assert len(full.originals) == len(full.encoded)
        assert found.originals == (full.originals if wants[0] else [])
        found.originals, full.originals = [], []
        assert found == full
        wants[0] = not wants[0]


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_a_flush_after_each_entry_changes_nothing(path: Path) -> None:
    """When the source is idle behind a whole record, what waits is given at once, and nothing twice."""
    data = path.read_bytes()
    extractor = Extractor(Source(path="x"), compact=False)
    out, at = Reading(), 0
    for truth in truths(path):
        end = truth["offset"] + truth["length"]
        out.take(extractor.feed(data[at:end]))
        out.take(extractor.flush())
        at = end
    out.take(extractor.feed(data[at:]))
    out.take(extractor.flush(final=True))
    assert out == read(data)


@pytest.mark.parametrize("scan", [True, False])
@pytest.mark.parametrize("path", [path for path in SMALL if "-color" in path.stem], ids=name_of)
def test_colours_and_cr_lf_of_a_terminal_change_nothing(path: Path, scan: bool) -> None:
    """A terminal has both, as in a container with one: many-line fields too are read, bare and wrapped."""
    data = path.read_bytes()
    wanted = [replace_source(record) for record in read(data).records]
    crlf = data.replace(b"\n", b"\r\n")
    wrapped = b"".join(docker(line + b"\n") for line in crlf.split(b"\n")[:-1])
    for lines in (crlf, wrapped):
        found = read(lines, by_scan=scan)
        assert [replace_source(record) for record in found.records] == wanted
        assert found.malformed == []


def replace_source(record: dict[str, Any]) -> dict[str, Any]:
    """A record without its place."""
    return {**record, "source": None}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_torn_line_with_a_human_one_behind_it_is_the_same_line_by_line(end: bytes) -> None:
    """What the human line announces is kept with it, or left alone, whichever way the lines are taken."""
    data = NOISE * 20 + JSON_EVENT[:200] + b"  ID=x ..." + end + b"    CloseReason= a" + end + b"       b" + end
    assert read(data, by_scan=False) == read(data)


@pytest.mark.parametrize(
    "record", [EVENT, JSON_EVENT, docker(EVENT), journald(JSON_EVENT)], ids=["human", "json", "docker", "journald"]
)
def test_a_last_line_without_its_end_is_taken_at_the_end_only(record: bytes) -> None:
    """What may still go on waits; when the source has ended it is taken as it is, and no byte is counted twice."""
    extractor = Extractor(Source(path="x"))
    assert extractor.feed(record[:-1]).records == []
    assert extractor.flush().records == []
    assert extractor.waiting
    found = extractor.flush(final=True)
    assert len(found.records) == 1
    assert (found.bytes, extractor.offset) == (len(record) - 1, len(record) - 1)


def test_an_event_does_not_wait_for_the_next_line() -> None:
    """A complete line is given as soon as its newline is there; many lines after a flush."""
    extractor = Extractor(Source())
    assert len(extractor.feed(EVENT).records) == 1
    many = human(Entry("2026-01-12T10:11:26Z", events_fields(b"a\nb")), "v3")
    assert len(extractor.feed(many).records) + len(extractor.flush().records) == 1
    assert not extractor.waiting


def events_fields(reason: bytes) -> tuple[tuple[str, Text], ...]:
    """The least that a record needs, with a reason of many lines."""
    plain = {
        "ID": b"0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b",
        "Time": b"2026-01-12T10:11:26Z",
        "ConnectionStatus": b"connected",
    }
    return (*((key, Text(raw)) for key, raw in plain.items()), ("DisconnectReason", Text(reason)))


def test_an_entry_in_parts_waits_until_it_is_whole() -> None:
    """The first line alone is no event yet, flushed or not: its text may still come."""
    many = human(Entry("2026-01-12T10:11:26Z", events_fields(b"first\nsecond\nthird")), "v3")
    head, rest = many.split(b"\n", 1)
    extractor = Extractor(Source(), compact=False)
    assert extractor.feed(head + b"\n").records == []
    assert extractor.flush().records == []
    found = extractor.feed(rest).records + extractor.flush().records
    assert [record.disconnect_reason for record in found] == ["first\nsecond\nthird"]


def test_a_byte_order_mark_and_holes_are_passed_over() -> None:
    """A mark at the very start, and the NULs that truncating under a writer leaves, hide no event."""
    for start in (b"\xef\xbb\xbf", b"\0" * 5000, b"\xef\xbb\xbf\xef\xbb\xbf"[:3]):
        for record in (EVENT, JSON_EVENT):
            found = read(start + record + record)
            assert len(found.records) == 2
            assert found.bytes == len(start) + 2 * len(record)


@pytest.mark.parametrize("scan", [True, False])
@pytest.mark.parametrize("record", [EVENT, JSON_EVENT], ids=["human", "json"])
def test_a_file_put_behind_another_may_bring_its_byte_order_mark(record: bytes, scan: bool) -> None:
    """The line behind the mark is an event like any other."""
    found = read(record * 20 + b"\xef\xbb\xbf" + record + NOISE, by_scan=scan)
    assert (len(found.records), found.not_ours) == (21, 1)
    assert found.originals[20] == found.originals[0]


@pytest.mark.parametrize("scan", [True, False])
@pytest.mark.parametrize("size", [0, 1, 4096, 100_000])
@pytest.mark.parametrize("record", [EVENT, JSON_EVENT], ids=["human", "json"])
def test_a_line_over_the_limit_does_not_stop_the_file(record: bytes, size: int, scan: bool) -> None:
    """Of ours it is malformed and kept up to the limit; the events before and after it come out."""
    limit = 8192
    long = record.replace(b"WorkspaceName=", b"WorkspaceName=" + b"w" * 50_000).replace(
        b'"WorkspaceName":"', b'"WorkspaceName":"' + b"w" * 50_000
    )
    assert len(long) > 50_000
    data = record + long + record + b"x" * 50_000 + b"\n" + record
    found = read(data, repeat(size) if size else (), line_max_bytes=limit, by_scan=scan)
    assert len(found.records) == 3
    assert len(found.malformed) == 1
    assert found.malformed[0]["line"] == 2
    assert found.malformed[0]["length"] >= limit
    assert found.not_ours == 1
    assert (found.bytes, found.lines) == (len(data), data.count(b"\n"))


@pytest.mark.parametrize("size", [10**9, 7])
@pytest.mark.parametrize("record", [EVENT, JSON_EVENT], ids=["human", "json"])
@pytest.mark.parametrize("wrap", [docker, journald], ids=["docker", "journald"])
def test_a_torn_line_of_a_wrapper_is_kept_if_an_event_was_in_it(
    record: bytes, wrap: Callable[[bytes], bytes], size: int
) -> None:
    """A machine that stops leaves half a line, and a hole; what stood in it is told, and what follows is read."""
    line = wrap(record)
    cut = line[: line.rindex(b"connection_log") + 200]
    for data, torn in (
        (line + cut + b"\n" + line, 1),
        (line + cut + line + line, 1),
        (line + b"\0" * 500 + line, 0),
        (cut, wrap is docker),
        (line + wrap(NOISE)[:-9] + b"\n" + line, 0),
    ):
        found = read(data, repeat(size))
        assert len(found.malformed) == torn, data
        assert len(found.records) == (2 if len(data) > len(cut) else 0)
        for bad in found.malformed:
            assert bad["reason"] == "the line of the wrapper around an event is broken"
            assert base64.b64decode(bad["raw"]).startswith(cut[:100])


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
@pytest.mark.parametrize("record", [EVENT, JSON_EVENT], ids=["human", "json"])
def test_a_first_line_over_the_limit_is_kept_in_part_in_any_wrapper(record: bytes, wrapper: str) -> None:
    """Where no line before it told the wrapper either, an event that is given up is counted as malformed."""
    long = record.replace(b"WorkspaceName", b"X" * 20_000, 1)
    line = WRAPPERS[wrapper](long)
    found = read(line + WRAPPERS[wrapper](NOISE), repeat(64), line_max_bytes=1500)
    assert found.records == []
    assert len(found.malformed) >= 1
    assert "longer than 1500 bytes" in found.malformed[0]["reason"]


def test_a_line_without_end_needs_no_memory() -> None:
    """A stream that never ends its line is given up at the limit, and what waits stays under it."""
    extractor = Extractor(Source())
    for _ in range(64):
        extractor.feed(b"x" * 65_536)
        assert len(extractor._tail) <= LINE_MAX_BYTES
    found = extractor.feed(b"\n" + EVENT)
    assert len(found.records) == 1


def test_streams_inside_a_wrapper_do_not_mix() -> None:
    """Pieces of a line cut in two belong to their own stream, whatever stands between them."""
    half = len(EVENT) // 2
    time = b"2026-01-12T10:11:19.839Z "
    data = time + b"stderr P " + EVENT[:half] + b"\n" + time + b"stdout F " + NOISE + time + b"stderr F " + EVENT[half:]
    for size in (1, 100, 10_000):
        found = read(data, repeat(size))
        assert len(found.records) == 1
        assert found.not_ours == 1


@pytest.mark.parametrize("name", ["json-v3", "stackdriver-v3"])
def test_a_field_named_as_dockers_hides_no_event_behind_a_stray_line_of_docker(name: str) -> None:
    """A flat line may have any name beside its fields; Docker writes no message there."""
    stray = b'{"log":"x\\n","stream":"stdout","time":"t"}\n'
    event = b'{"log":"",' + first_event(name)[1:]
    assert len(read(stray + event).records) == 1
    assert len(read(event + stray).records) == 1


def test_a_journal_entry_without_its_text_is_told() -> None:
    """journalctl without --all leaves MESSAGE out where it is long: what was lost is malformed, not forgotten."""
    entry = b'{"__CURSOR":"s=1","_SYSTEMD_UNIT":"coder.service","MESSAGE":null}\n'
    found = read(journald(EVENT) + entry + journald(EVENT))
    assert len(found.records) == 2
    assert [bad["line"] for bad in found.malformed] == [2]
    assert "--all" in found.malformed[0]["reason"]


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        (EVENT.replace(b"ConnectionStatus=", b'ConnectionStatus="'), b"ConnectionStatus=", "not closed"),
        (
            EVENT[: EVENT.index(b"ConnectionStatus=") + len(b"ConnectionStatus=")] + b"\n",
            b"ConnectionStatus=",
            "ends after a key",
        ),
        (
            EVENT.replace(b"ConnectionStatus=", b"ConnectionStatus=x"),
            b"ConnectionStatus",
            "ConnectionStatus is none of",
        ),
        (JSON_EVENT.replace(b'"ID":"', b'"ID":"x'), b"ID", "ID is no UUID"),
        (JSON_EVENT[:-4] + b"\n", b"", "ends before"),
    ],
    ids=["quote", "value", "status", "id", "cut"],
)
def test_a_broken_line_of_ours_is_kept_whole_with_its_place(line: bytes, place: bytes, words: str) -> None:
    """It is malformed, at its line and column, and stops none of those around it."""
    found = read(NOISE + line + EVENT)
    assert len(found.records) == 1
    (bad,) = found.malformed
    assert bad["line"] == 2
    assert words in bad["reason"]
    raw = base64.b64decode(bad["raw"])
    assert raw == line.rstrip(b"\n")
    assert 1 <= bad["column"] <= len(raw) + 1
    assert bad["source"]["offset"] == len(NOISE)
    assert bad["length"] == len(line)
    if place:
        assert bad["column"] >= raw.index(place)


@pytest.mark.parametrize("form", ["json", "human", "stackdriver"])
def test_a_named_form_reads_only_its_own(form: str) -> None:
    """With --format the other forms' lines are not ours."""
    stack = first_event("stackdriver-v3")
    found = read(EVENT + JSON_EVENT + stack, format=form)
    assert [record["log"]["format"] for record in found.records] == [form]
    assert found.malformed == []


def test_nothing_is_nothing() -> None:
    """No bytes, no entries."""
    assert read(b"") == Reading()
    assert read(b"\n\n").entries == 2
