"""What the journal keeps for an output is, byte for byte, what that output would have sent."""

from __future__ import annotations

import uuid
import zlib
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from shipper.journal import Parcel, SealedLines
from shipper.journal.delivered import sent_times
from shipper.journal.recent import all_id_bytes
from shipper.journal.seal import seal
from shipper.outputs.hec.envelope import Renderer
from shipper.outputs.hec.routing import Routing
from shipper.outputs.hec.sealed import SealedSlice, sheets_of
from shipper.outputs.hec.slice import Slice
from shipper.outputs.hec.wrapping import HecWrapping
from shipper.record import CompactLog, CompactRecord, CompactSource, Encoded, encoded
from tests.hec.server import HecServer
from tests.outputs.hec.conftest import Rig, name, record, wait
from tests.outputs.hec.test_envelope import NOW, made_records

PLACE = ("coder:connection_log", "main")


def rendered(found: Sequence[Encoded], seq: int = 1) -> Slice:
    lines = [one.json.encode() for one in found]
    piece = Slice([], [], [], [])
    Renderer(Routing((), *PLACE), *PLACE).render(
        Parcel(seq, NOW, lines, []), range(len(lines)), 0, piece, 1 << 30, 1 << 30
    )
    return piece


def sealed_slice(wrapping: HecWrapping, found: Sequence[Encoded], seq: int = 1) -> SealedSlice:
    lines = SealedLines(seal(found, wrapping), b"".join(all_id_bytes([one.id for one in found])))
    piece = SealedSlice([])
    for sheet in sheets_of(lines, seq):
        piece.add(sheet)
    return piece


@given(st.lists(made_records, min_size=1, max_size=30))
def test_envelopes_are_the_same_whenever_they_are_made(records: list[CompactRecord]) -> None:
    found = [encoded(one) for one in records]
    wrapping = HecWrapping(*PLACE)
    for _ in range(2):  # the second time with what the first one remembered
        one, other = rendered(found), sealed_slice(wrapping, found)
        assert other.body() == one.body()
        assert other.opened() == one


def told(one: Encoded, origins: dict[str, str]) -> Encoded:
    """The same, telling of itself what the way of the usual lines tells."""
    logged, source = one.json.find('"log":{"time":"'), one.json.find('"source":{')
    offset = one.json.find('"offset":', source)
    if min(logged, source, offset) < 0:
        return one
    origin = one.json[source : offset + len('"offset":')]
    second = one.json[logged + 15 : logged + 35]
    return Encoded(one.id, one.time, one.json, second, origins.setdefault(origin, origin))


@given(st.lists(made_records, min_size=1, max_size=30), st.integers(1, 7))
def test_what_records_tell_of_themselves_changes_nothing(records: list[CompactRecord], together: int) -> None:
    found = [encoded(one) for one in records]
    wrapping, origins = HecWrapping(*PLACE), dict[str, str]()
    plain = [line for one in found for line in rendered([one]).bodies]
    for _ in range(2):
        wrapped = [*wrapping.wrap([told(one, origins) for one in found], 1 << 20, together)]
        assert b"\n".join(one.text for one in wrapped).split(b"\n") == plain
        assert [time for one in wrapped for time in one.times] == [
            time.decode() for one in found for time in rendered([one]).times
        ]


def test_usual_records_are_the_same_in_any_number_at_once() -> None:
    origins = dict[str, str]()
    found = [told(encoded(record(number)), origins) for number in range(300)]
    assert all(one.origin for one in found)
    plain = rendered(found).bodies
    wrapping = HecWrapping(*PLACE)
    for most_bytes, most in ((1, 125), (1 << 20, 1), (1500, 125), (160 << 10, 125), (1 << 20, 300)):
        wrapped = [*wrapping.wrap(found, most_bytes, most)]
        assert b"\n".join(one.text for one in wrapped).split(b"\n") == plain
        for one in wrapped:
            assert len(one.times) <= most
            assert len(one.text) <= most_bytes or len(one.times) == 1


@given(st.integers(1, 400), st.data())
def test_a_sealed_slice_does_what_any_slice_does(count: int, data: st.DataObject) -> None:
    found = [encoded(record(number)) for number in range(count)]
    one, other = rendered(found, 7), sealed_slice(HecWrapping(*PLACE), found, 7)
    assert (len(one), one.size, one.spans()) == (len(other), other.size, other.spans())
    assert zlib.decompress(other.packed(), 31) == one.body()
    until = data.draw(st.integers(1, count))
    first = data.draw(st.integers(0, until - 1))
    assert other.cut(first, until) == one.cut(first, until)
    limit = data.draw(st.integers(1, 2 * one.size))
    assert other.within(limit) == one.within(limit)
    _, _, low, high, number, ids, times = one.handed().row("hec", 5)
    assert other.handed().row("hec", 5)[:6] == ("hec", 5, low, high, number, ids)
    assert sent_times(other.handed().times) == sent_times(times)


def test_every_kind_of_source_has_its_own_place() -> None:
    """Files have an offset, journals a cursor, some neither; one after the other they must not take each other's."""
    sources = [
        CompactSource("a", "file", "/one", 5),
        CompactSource("a", "file", "/one.1", 5),
        CompactSource("a", "journald", None, None, "s=1"),
        CompactSource("b", "journald", None, None, "s=1", {"unit": "x"}),
        CompactSource("a", "journald", "/one", None, "s=1"),
        CompactSource("a", "stdin"),
        CompactSource(None, "file", "/one", 5),
        CompactSource("a", "file", "/one", 5, None, {"source": {"host": "evil", "path": "/evil", "offset": 1}}),
    ]
    found = [encoded(record(n, source=source)) for n, source in enumerate([*sources, *sources, *reversed(sources)])]
    assert sealed_slice(HecWrapping(*PLACE), found).body() == rendered(found).body()


def test_a_log_of_another_day_decides_on_the_time_of_each_event() -> None:
    days = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    logs = [f"{day}T03:04:05.123456789Z" for day in days]
    found = [
        encoded(
            record(n, time=f"{day}T03:04:06.000000000Z", log=CompactLog(time=log), extra={"log": {"time": logs[0]}})
        )
        for n, (day, log) in enumerate((day, log) for _ in range(2) for day in days for log in [*logs, None])
    ]
    assert sealed_slice(HecWrapping(*PLACE), found).opened() == rendered(found)


def test_what_was_kept_for_other_settings_is_rendered_anew(rig: Rig, server: HecServer) -> None:
    rig.append(*range(300))
    rig.start(index="main")
    assert wait(lambda: len(server.store) == 300)
    assert {event.index for event in server.events} == {"main"}


def test_a_body_of_sealed_events_that_is_too_large_is_sent_in_parts(rig: Rig, server: HecServer) -> None:
    rig.append(*range(600), user_agent="x" * 300)
    rig.start(batch_max_bytes=32 << 10)
    assert wait(lambda: len(server.store) == 600)
    assert server.store.counts() == Counter(name(number) for number in range(600))


def test_ids_of_a_slice_are_those_of_its_records() -> None:
    found = [encoded(record(number)) for number in range(200)]
    piece = sealed_slice(HecWrapping(*PLACE), found)
    assert [uuid.UUID(one.decode()).int for one in piece.opened().ids] == list(range(200))
