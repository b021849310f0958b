"""An envelope holds the record as it is, its exact time, and metadata that no text of a log can choose."""

from __future__ import annotations

import decimal
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shipper import timestamp
from shipper.config.kind import Route
from shipper.journal import Parcel
from shipper.outputs.hec.envelope import DAY_NS, YEAR_1971_NS, Renderer, sent_time
from shipper.outputs.hec.routing import Routing
from shipper.outputs.hec.slice import Slice
from shipper.record import CompactLog, CompactRecord, CompactSource, Gap, Record, Source, decode_record, encode_record
from tests.outputs.hec.conftest import TIME, name, record

NOW = timestamp.to_ns(TIME)
_ugly = st.text(max_size=12) | st.sampled_from(
    [
        '","log":{"time":"1999-01-01',
        ',"source":{"host":"evil"',
        '"index":"evil"',
        ":null",
        "\u2028\x00\x7f",
        '"}}{"event":1}',
    ]
)
_times = st.one_of(
    st.integers(NOW - 3 * DAY_NS, NOW + 3 * DAY_NS).map(timestamp.from_ns),
    st.sampled_from(
        ["0001-01-01T00:00:00.000000000Z", "9999-12-31T23:59:59.999999999Z", "1970-12-31T23:59:59.999999999Z"]
    ),
)
made_records = st.builds(
    CompactRecord,
    schema=st.just(1),
    id=st.integers(0, 2**128 - 1).map(name),
    time=_times,
    status=st.just("connected"),
    type=st.none() | st.sampled_from(["ssh", "workspace_app"]),
    user_agent=st.none() | _ugly,
    code=st.none() | st.integers(-5, 5),
    log=st.builds(CompactLog, time=st.none() | _times, level=st.none() | _ugly),
    source=st.builds(CompactSource, host=st.none() | _ugly, input=st.just("file"), path=st.none() | _ugly, offset=st.integers(0, 9)),
    extra=st.dictionaries(_ugly, _ugly | st.none() | st.dictionaries(_ugly, _ugly, max_size=2), max_size=2),
)  # fmt: skip


def renderer(*routes: Route) -> Renderer:
    return Renderer(Routing(routes, "coder:connection_log", "main"), "coder:connection_log", "main")


def render(made: Renderer, *lines: bytes, gaps: tuple[Gap, ...] = ()) -> Slice:
    parcel = Parcel(1, NOW, list(lines), list(gaps))
    piece = Slice([], [], [], [])
    assert made.render(parcel, list(range(parcel.count)), 0, piece, 1 << 30, 1000) == parcel.count
    return piece


def exact(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body, parse_float=decimal.Decimal)
    return found


@given(st.lists(made_records, min_size=1, max_size=6))
def test_every_record_arrives_as_it_is_in_the_journal(records: list[Record]) -> None:
    lines = [encode_record(one) for one in records]
    made = renderer()
    for piece in (render(made, *lines), render(made, *lines)):  # by decoding, and by what was remembered
        assert piece.marks == [(1, at) for at in range(len(lines))]
        for one, line, body, id_, time in zip(records, lines, piece.bodies, piece.ids, piece.times, strict=True):
            found = exact(body)
            wanted = {"time", "sourcetype", "index", "fields", "event"}
            wanted |= {key for key, value in (("host", one.source.host), ("source", one.source.path)) if value}
            assert set(found) == wanted
            event = body[body.index(b',"event":') + 9 : -1]
            assert event == line or (b":{}" in line and decode_record(event) == decode_record(line))
            assert found["fields"] == {"event_id": one.id}
            assert (found["sourcetype"], found["index"]) == ("coder:connection_log", "main")
            assert (found.get("host") or None, found.get("source") or None) == (
                one.source.host or None,
                one.source.path or None,
            )
            sent = sent_time(one)
            assert (id_.decode(), time.decode()) == (one.id, sent)
            assert found["time"] * 10**9 == decimal.Decimal(exact_ns(sent))


def exact_ns(time: str) -> int:
    whole = timestamp.to_ns(time[:4].replace("0001", "1970").replace("9999", "2200") + time[4:])
    years = {"0001": -62_135_596_800, "9999": 253_370_764_800 - 7_258_118_400}.get(time[:4], 0)
    return whole + years * 10**9


def test_a_record_without_a_host_never_gets_that_of_the_one_before() -> None:
    """Whatever was remembered, and in whatever order they come."""
    record = CompactRecord(1, "0" * 8 + "-0000-4000-8000-" + "0" * 12, "2025-12-30T03:04:05.123456789Z", "connected")
    log = CompactLog(time="2025-12-30T03:04:05.123456789Z")
    absurd = CompactLog(time="0001-01-01T00:00:00.000000000Z")
    with_host, without = CompactSource(host="a", input="file", offset=0), CompactSource(input="file", offset=0)
    pieces = [(log, with_host), (log, with_host), (absurd, with_host), (log, without), (log, with_host), (log, without)]
    lines = [encode_record(msgspec.structs.replace(record, log=one, source=source)) for one, source in pieces]
    made = renderer()
    for piece in (render(made, *lines), render(made, *lines)):
        assert [exact(body).get("host") for body in piece.bodies] == ["a", "a", "a", None, "a", None]


@given(one=made_records)
def test_an_absurd_time_gives_way_to_the_logs(one: Record) -> None:
    sent = sent_time(one)
    own = timestamp.to_ns(one.time)
    if one.log.time is not None and timestamp.to_ns(one.log.time) >= 0:
        absurd = own < YEAR_1971_NS or own - timestamp.to_ns(one.log.time) > DAY_NS
        assert sent == (one.log.time if absurd else one.time)
    assert timestamp.to_ns(sent) >= 0


def test_the_time_keeps_its_nine_digits() -> None:
    piece = render(renderer(), encode_record(record(1)))
    assert piece.bodies[0].startswith(b'{"time":1767323045.123456789,"host":"coder-0","source":"/var/log/coder.json",')


def test_a_record_in_its_full_form_arrives_in_the_compact_one() -> None:
    full = Record(1, name(1), TIME, "connected", source=Source(host="h", path="/p"))
    event = exact(render(renderer(), encode_record(full)).bodies[0])["event"]
    assert event == {
        "schema": 1,
        "id": name(1),
        "time": TIME,
        "status": "connected",
        "source": {"host": "h", "path": "/p"},
    }


def test_routes_look_at_closed_fields_and_the_first_that_fits_is_taken() -> None:
    made = renderer(
        Route("type", ("workspace_app",), index="web"),
        Route("code", (404, 403), sourcetype="coder:denied"),
        Route("type", ("ssh", "workspace_app"), index="late"),
    )
    lines = [
        encode_record(record(1, type="workspace_app", code=404)),
        encode_record(record(2, type=None, code=404)),
        encode_record(record(3, type="ssh", user_agent="workspace_app")),
        encode_record(record(4, type="tunnel")),
    ]
    for _ in range(2):
        found = [exact(body) for body in render(made, *lines).bodies]
        assert [(one["index"], one["sourcetype"]) for one in found] == [
            ("web", "coder:connection_log"),
            ("main", "coder:denied"),
            ("late", "coder:connection_log"),
            ("main", "coder:connection_log"),
        ]


def test_a_gap_has_a_source_type_of_its_own_and_no_id() -> None:
    gap = Gap(1, "rotated_unread", Source(host="h", path="/p"), TIME, None, 7, False, TIME, "it's gone\x1b")
    piece = render(renderer(), encode_record(record(1)), gaps=(gap,))
    found = exact(piece.bodies[1])
    assert (found["sourcetype"], found["index"], found["host"], found["source"]) == ("connlog:gap", "main", "h", "/p")
    assert found["time"] == decimal.Decimal("1767323045.123456789")
    assert found["event"]["gap"] == "rotated_unread"
    assert found["event"]["reason"] == "it's gone\x1b"
    assert "fields" not in found
    assert (piece.ids[1], piece.times[1]) == (b"", b"")
    assert piece.handed().count == 1


@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    max_bytes=st.integers(1, 1200),
    max_count=st.integers(1, 5),
)
def test_slices_keep_to_their_bounds_and_hold_each_event_once(sizes: list[int], max_bytes: int, max_count: int) -> None:
    lines = [encode_record(record(at, user_agent="x" * size)) for at, size in enumerate(sizes)]
    parcel, made, at = Parcel(1, NOW, lines, []), renderer(), 0
    found: list[int] = []
    while at < len(lines):
        piece = Slice([], [], [], [])
        at = made.render(parcel, list(range(len(lines))), at, piece, max_bytes, max_count)
        assert 0 < len(piece) <= max_count
        assert len(piece) == 1 or sum(map(len, piece.bodies)) <= max_bytes
        found += [place for _, place in piece.marks]
    assert found == list(range(len(lines)))
