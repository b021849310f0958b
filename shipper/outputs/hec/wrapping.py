"""The wrapping: envelopes around records on their way into the journal, the same bytes as those of ``envelope``.

So they are rendered and compressed once for the disk and for the wire. Only for outputs whose envelopes depend on
nothing but the record: no filter, no routes, no names from a directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter

from shipper.journal import Wrapped
from shipper.outputs.hec.envelope import CACHED_MAX_COUNT, Renderer, epoch, place_of, prefix_of
from shipper.outputs.hec.routing import Routing
from shipper.record import Encoded, decode_record

_AFTER_TIME = 94
_LOG_TIME, _SOURCE, _OFFSET, _CURSOR = ',"log":{"time":"', ',"source":{"host":', ',"offset":', ',"cursor":'
_EVENT = b',"event":'
_BETWEEN = "}\n"
"""What ends the line before."""
_BEHIND_ID, _PARTS = '"},"event":', 6
"""What stands before a record, and how many parts its line is put together from."""
_LOG_BRACE = _LOG_TIME.index("{")
_FIRST_YEAR = "1971"
_SECOND, _FRACTION, _DAY = itemgetter(slice(19)), itemgetter(slice(20, 29)), itemgetter(slice(10))
_id, _time, _json, _logged, _origin = map(attrgetter, ("id", "time", "json", "logged", "origin"))


class HecWrapping:
    """Envelopes with this source type and index. Not for two threads at once."""

    def __init__(self, sourcetype: str, index: str) -> None:
        self.name = wrapping_name(sourcetype, index)
        self._place = (sourcetype, index)
        self._renderer = Renderer(Routing((), sourcetype, index), sourcetype, index)
        self._minutes: dict[str, int] = {}
        self._prefixes: dict[str, str] = {}
        self._plain_days: set[str] = set()

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        """See ``Wrapping``."""
        for at in range(0, len(encoded), max_count):
            some = encoded[at : at + max_count]
            usual = self._usual(some)
            if usual is not None and len(usual.text) <= max_bytes:
                yield usual
            else:
                yield from self._one_by_one(some, max_bytes, max_count)

    def another(self) -> HecWrapping:
        """See ``Wrapping``."""
        return HecWrapping(*self._place)

    def _usual(self, encoded: Sequence[Encoded]) -> Wrapped | None:
        """All of these records, which tell of themselves that they are from one source and need no closer look; None
        where one does. Column by column, which takes half of what a record at a time does."""
        origins = {*map(_origin, encoded)}
        prefix = self._prefixes.get(origins.pop(), "") if len(origins) == 1 else ""
        if not prefix:
            return None
        times = [*map(_time, encoded)]
        seconds = [*map(_SECOND, times)]
        begins = {second: self._begin(second) for second in {*seconds}}
        days, logged_days = {*map(_DAY, begins)}, {*map(_DAY, {*map(_logged, encoded)})}
        plain = days == logged_days and len(days) == 1
        if not plain or not all(begins.values()):
            return None
        count = len(times)
        parts = [_BEHIND_ID] * (_PARTS * count)
        parts[0::_PARTS] = map(begins.__getitem__, seconds)
        parts[1::_PARTS] = map(_FRACTION, times)
        parts[2::_PARTS] = [prefix] * count
        parts[3::_PARTS] = map(_id, encoded)
        parts[5::_PARTS] = map(_json, encoded)
        return _wrapped(parts, times)

    def _one_by_one(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        parts: list[str] = []
        times: list[str] = []
        size = 0
        # Records of one time are mostly of one second and one source: what was found last is looked at first.
        last, last_logged, begin, prefix = "", "", "", ""
        last_origin: str | None = None
        for one in encoded:
            time, logged, origin, line = one.time, one.logged, one.origin, one.json
            text = time[:19]
            if text != last or logged is not last_logged or origin is not last_origin:
                # Where it isn't told what stands in a record, each is looked at.
                last, last_logged, last_origin = text, logged, origin or None
                begin = self._begin(text)
                prefix = (self._told if origin else self._found)(one, text[:10]) if begin else ""
            if prefix:
                # The line before ends here, so that a record is two parts and no text is made as long as it.
                head = f'{begin}{time[20:29]}{prefix}{one.id}"}},"event":'
            else:
                head, line, time = self._carefully(one)
                last_origin = None
            length = len(head) + len(line)
            if times and (size + length > max_bytes or len(times) >= max_count):
                yield _wrapped(parts, times)
                parts, times, size = [], [], 0
            parts.append(head)
            parts.append(line)
            times.append(time)
            size += length
        if times:
            yield _wrapped(parts, times)

    def _told(self, one: Encoded, day: str) -> str:
        """The prefix of a record of ``day`` that tells of itself; empty where that takes a closer look."""
        logged = one.logged
        plain = logged.startswith(day) or day + logged[:10] in self._plain_days
        return self._prefixes.get(one.origin, "") if plain else ""

    def _found(self, one: Encoded, day: str) -> str:
        """The prefix of a record of ``day`` that has to be searched; empty where that takes a closer look."""
        line = one.json
        # To look for one character costs next to nothing: mostly the first brace is that of ``log``.
        log = line.find("{", _AFTER_TIME) - _LOG_BRACE
        if not line.startswith(_LOG_TIME, log):
            # The first one behind the event's time, so it is none that stands in the fields of a line.
            log = line.find(_LOG_TIME, _AFTER_TIME)
        at = log + len(_LOG_TIME)
        if log < 0 or (not line.startswith(day, at) and day + line[at : at + 10] not in self._plain_days):
            return ""
        source = line.find(_SOURCE, log) + 1
        if not source:
            return ""
        end = line.find(_OFFSET, source)
        if end < 0:
            end = line.find(_CURSOR, source)
        return self._prefixes.get(line[source : end + len(_OFFSET)], "")

    def _begin(self, text: str) -> str:
        """How an envelope begins whose event is of this second; empty where that takes a closer look."""
        minute = self._minutes.get(text[:16])
        if minute is None:
            if len(self._minutes) >= CACHED_MAX_COUNT:
                self._minutes.clear()
            minute = epoch(f"{text[:16]}:00") if text >= _FIRST_YEAR else -1
            self._minutes[text[:16]] = minute
        return f'{_BETWEEN}{{"time":{minute + int(text[17:])}.' if minute >= 0 else ""

    def _carefully(self, one: Encoded) -> tuple[str, str, str]:
        """Head, record and sent time by decoding the record; what was found is remembered for the next that look like it."""
        line = one.json.encode()
        record = decode_record(line)
        if len(self._plain_days) + len(self._prefixes) >= CACHED_MAX_COUNT:
            self._plain_days.clear()
            self._prefixes.clear()
        if record.log.time is not None and record.time[:10] <= record.log.time[:10]:
            self._plain_days.add(record.time[:10] + record.log.time[:10])
        place = place_of(record).decode()[1:] + (_OFFSET if record.source.offset is not None else _CURSOR)
        self._prefixes[place] = prefix_of(record, *self._place).decode()
        body, _, time = self._renderer.carefully(line, b"")
        at = body.index(_EVENT) + len(_EVENT)
        return _BETWEEN + body[:at].decode(), body[at:-1].decode(), time.decode()


def wrapping_name(sourcetype: str, index: str) -> str:
    """The name of the wrapping with this source type and index. Its number goes up when envelopes change."""
    return json.dumps(["hec", 1, sourcetype, index])


def _wrapped(parts: list[str], times: list[str]) -> Wrapped:
    parts[0] = parts[0][len(_BETWEEN) :]
    parts.append("}")
    return Wrapped("".join(parts).encode(), times)
