"""The envelope: what HEC wants around an event, put around the record's bytes as the journal has them.

``{"time":…,"host":…,"source":…,"sourcetype":…,"index":…,"fields":{"event_id":…},"event":RECORD}``: the prefix from host to
the id is rendered once for each source and route. ``time`` is a decimal literal with the record's own nine digits, never
a float; it is ``log.time`` where the event's own time is before 1971 or more than a day ahead of that, as an agent's
clock may have it. Nothing of the record is decoded on the usual way: compact JSON begins with schema, id and time in
this order, and quotes inside of texts are escaped, so that a key is found by its quotes. What looks otherwise is decoded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from shipper.journal import Parcel, gap_line
from shipper.outputs.hec.routing import Routing
from shipper.outputs.hec.slice import Slice
from shipper.record import CompactLog, CompactRecord, CompactSource, Gap, Record, decode_record, encode_record
from shipper.timestamp import from_ns, to_ns

GAP_SOURCETYPE = "connlog:gap"
CACHED_MAX_COUNT = 4096
"""Seconds, pairs of days, and prefixes that are remembered; when full they are forgotten."""
YEAR_1971_NS = 31_536_000_000_000_000
DAY_NS = 86_400_000_000_000

_BEGIN = b'{"schema":1,"id":"'
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all of it is UTC
_ID, _AFTER_ID, _TIME, _AFTER_TIME = 18, 54, 64, 94
_NEXT = b'","time":"'
_LOG_TIME = b',"log":{"time":"'
_NOTHING: tuple[object, ...] = (None, {}, CompactLog(), CompactSource())
_SOURCE, _OFFSET = b',"source":{"host":', b',"offset":'


class Renderer:
    """Renders items for one output. Not for use by two threads at once."""

    def __init__(self, routing: Routing, sourcetype: str, index: str) -> None:
        self._routing = routing
        self._default = (sourcetype, index)
        self._seconds: dict[bytes, bytes] = {}
        self._plain_days: set[bytes] = set()
        self._prefixes: dict[bytes, bytes] = {}

    def render(
        self, parcel: Parcel, places: Sequence[int], at: int, into: Slice, max_bytes: int, max_count: int
    ) -> int:
        """Add the items of ``parcel`` at ``places[at:]`` to a slice until it is full; returns where in ``places`` it
        stopped. One item is always added to an empty slice."""
        lines, seq = parcel.lines if parcel.sealed is None else parcel.sealed.opened(), parcel.seq
        records, routed = len(lines), self._routing.choose is not None
        seconds, plain_days, prefixes = self._seconds, self._plain_days, self._prefixes
        bodies, ids, times, marks = into.bodies, into.ids, into.times, into.marks
        size, end = into.size, min(len(places), at + max_count - len(bodies))
        # Records of one time are mostly of one source: what was looked up last is looked at first.
        last_second, last_where, prefix = b"", b"", b""
        second: bytes | None = None
        while at < end:
            place = places[at]
            if place >= records:
                body, id_, time = self._gap(parcel.gaps[place - records]), b"", b""
            else:
                line = lines[place]
                log = line.find(_LOG_TIME, _AFTER_TIME)
                source = line.find(_SOURCE, log)
                where = line[source : line.find(_OFFSET, source)]
                if where != last_where:
                    last_where, prefix = where, prefixes.get(where, b"")
                text = line[_TIME : _TIME + 19]
                if text != last_second:
                    last_second, second = text, seconds.get(text)
                if (
                    second is None
                    or not prefix
                    or log < 0
                    or routed
                    or line[_AFTER_ID:_TIME] != _NEXT
                    or not (
                        line[log + 16 : log + 26] == text[:10] or (text[:10] + line[log + 16 : log + 26]) in plain_days
                    )
                ):
                    body, id_, time = self.carefully(line, where)
                    # A line without host has no place to go by: nothing of the line before it may be left.
                    last_where = last_second = prefix = b""
                else:
                    id_, time = line[_ID:_AFTER_ID], line[_TIME:_AFTER_TIME]
                    body = b"".join((second, time[20:29], prefix, id_, b'"},"event":', line, b"}"))
            if size + len(body) > max_bytes and bodies:
                break
            size += len(body) + 1
            bodies.append(body)
            ids.append(id_)
            times.append(time)
            marks.append((seq, place))
            at += 1
        into.size = size
        return at

    def carefully(self, line: bytes, where: bytes) -> tuple[bytes, bytes, bytes]:
        """Body, id and time of a record by decoding it; what was found is remembered for the next that look like it."""
        record = decode_record(line)
        route = self._default if self._routing.choose is None else self._routing.choose(record)
        prefix = prefix_of(record, *route)
        time = sent_time(record)
        second = b'{"time":%d.' % epoch(time)
        if line[:_ID] == _BEGIN and line[_ID:_AFTER_ID] == record.id.encode() and record.time[:4] >= "1971":
            if len(self._seconds) >= CACHED_MAX_COUNT:
                self._seconds.clear()
            if len(self._plain_days) + len(self._prefixes) >= CACHED_MAX_COUNT:
                self._plain_days.clear()
                self._prefixes.clear()
            self._seconds[record.time[:19].encode()] = b'{"time":%d.' % epoch(record.time)
            if record.log.time is not None and record.time[:10] <= record.log.time[:10]:
                self._plain_days.add((record.time[:10] + record.log.time[:10]).encode())
            if where == place_of(record):
                self._prefixes[where] = prefix
        id_ = record.id.encode()
        body = b"".join((second, time[20:29].encode(), prefix, id_, b'"},"event":', _compact(record, line), b"}"))
        return body, id_, time.encode()

    def _gap(self, gap: Gap) -> bytes:
        head: dict[str, str] = {}
        if gap.source.host:
            head["host"] = gap.source.host
        if gap.source.path:
            head["source"] = gap.source.path
        head["sourcetype"] = GAP_SOURCETYPE
        if self._default[1]:
            head["index"] = self._default[1]
        time = gap.detected
        rest = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[1:].encode()
        return (
            b'{"time":%d.%s,%s' % (epoch(time), time[20:29].encode(), rest[:-1]) + b',"event":' + gap_line(gap) + b"}"
        )


def sent_time(record: Record, now_ns: int | None = None) -> str:
    """The canonical time that an event is sent with: its own, or the log's where its own is absurd. Without a log time
    an absurd one is kept, but for one before 1970, which HEC can't hold: that is ``now_ns``, or 1970."""
    own_ns = to_ns(record.time)
    logged = record.log.time
    if logged is None:
        return record.time if own_ns >= 0 else from_ns(now_ns or 0)
    if own_ns < YEAR_1971_NS or own_ns - to_ns(logged) > DAY_NS:
        return logged if to_ns(logged) >= 0 else from_ns(now_ns or 0)
    return record.time


def epoch(time: str) -> int:
    """Whole seconds since 1970 of canonical text, of any year."""
    return (datetime.fromisoformat(time[:19]) - _EPOCH) // timedelta(seconds=1)


def prefix_of(record: Record, sourcetype: str, index: str) -> bytes:
    """What stands between the time and the id, for records of one source."""
    head: dict[str, str] = {}
    if record.source.host:
        head["host"] = record.source.host
    if record.source.path:
        head["source"] = record.source.path
    head["sourcetype"] = sourcetype
    if index:
        head["index"] = index
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    return f',{text[1:-1]},"fields":{{"event_id":"'.encode()


def place_of(record: Record) -> bytes:
    """How the journal writes host, input and path of a record's source."""
    source = record.source
    whole = msgspec.json.encode(CompactSource(source.host, source.input, source.path, 0))
    return b',"source":' + whole[: whole.rindex(_OFFSET)]


def _compact(record: Record, line: bytes) -> bytes:
    """The record in its compact form, whatever form ``line`` has."""
    if b":null" not in line and b":{}" not in line:
        return line
    values = {name: getattr(record, name) for name in Record.__struct_fields__}
    values["log"] = CompactLog(*(getattr(record.log, name) for name in CompactLog.__struct_fields__))
    values["source"] = CompactSource(*(getattr(record.source, name) for name in CompactSource.__struct_fields__))
    return encode_record(CompactRecord(**{name: value for name, value in values.items() if value not in _NOTHING}))
