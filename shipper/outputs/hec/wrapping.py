"""The wrapping: envelopes around records on their way into the journal, the same bytes as those of ``envelope``.

So they are rendered and compressed once for the disk and for the wire. Only for outputs whose envelopes depend on
nothing but the record: no filter, no routes, no names from a directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from shipper.journal import Wrapped
from shipper.outputs.hec.envelope import CACHED_MAX_COUNT, Renderer, epoch, place_of, prefix_of
from shipper.outputs.hec.routing import Routing
from shipper.record import Encoded, decode_record

AROUND_BYTES = 128
"""More than what stands in an envelope beside prefix and record."""
_AFTER_TIME = 94
_LOG_TIME, _SOURCE, _OFFSET, _CURSOR = ',"log":{"time":"', ',"source":{"host":', ',"offset":', ',"cursor":'
_LOG_BRACE, _SOURCE_BRACE = _LOG_TIME.index("{"), _SOURCE.index("{")
_AFTER_LOG_BRACE = _LOG_BRACE + 1
_EVENT = '"},"event":'
_FIRST_YEAR = "1971"


class HecWrapping:
    """Envelopes with this source type and index. Not for two threads at once."""

    def __init__(self, sourcetype: str, index: str) -> None:
        self.name = wrapping_name(sourcetype, index)
        self._place = (sourcetype, index)
        self._renderer = Renderer(Routing((), sourcetype, index), sourcetype, index)
        self._seconds: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._plain_days: set[str] = set()

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        """See ``Wrapping``."""
        parts: list[str] = []
        times: list[str] = []
        size = 0
        # Records of one time are mostly of one day and one source: what was found last is looked for first.
        day, same_day, last_second, second = "", "", "", ""
        last_where, prefix = "", ""
        for one in encoded:
            line, time = one.json, one.time
            text = time[:19]
            if text != last_second:
                last_second, second = text, self._second(text)
                if not day or not text.startswith(day):
                    day = text[:10]
                    same_day = _LOG_TIME + day
            # To look for one character costs next to nothing: mostly the first brace is that of ``log``, the next that
            # of ``source``.
            log = line.find("{", _AFTER_TIME) - _LOG_BRACE
            if not line.startswith(same_day, log):
                log = self._other_day(line, day)
            # The first one behind the log's time, so it is none that stands in the fields of a line.
            source = line.find("{", log + _AFTER_LOG_BRACE) - _SOURCE_BRACE
            if log < 0 or not last_where or not line.startswith(last_where, source):
                source = line.find(_SOURCE, log) if log >= 0 else -1
                last_where, prefix = self._where(line, source) if source >= 0 else ("", "")
            if prefix and second:
                added: tuple[str, ...] = (second, time[20:29], prefix, one.id, _EVENT, line, "}\n")
                length = len(line) + len(prefix) + AROUND_BYTES
            else:
                body, time = self._carefully(one)
                added, length = (body, "\n"), len(body)
                last_where = prefix = ""
            if times and (size + length > max_bytes or len(times) >= max_count):
                yield _wrapped(parts, times)
                parts, times, size = [], [], 0
            parts += added
            times.append(time)
            size += length
        if times:
            yield _wrapped(parts, times)

    def _where(self, line: str, source: int) -> tuple[str, str]:
        """How host, input and path stand in a line, and the prefix that belongs to them, empty where it isn't known."""
        end = line.find(_OFFSET, source)
        if end < 0:
            end = line.find(_CURSOR, source)
        where = line[source : end + len(_OFFSET)]
        return where, self._prefixes.get(where, "")

    def _other_day(self, line: str, day: str) -> int:
        """Where the log's time stands in a record of ``day`` that has another one there; -1 where that takes a closer
        look."""
        log = line.find(_LOG_TIME, _AFTER_TIME)
        at = log + len(_LOG_TIME)
        return log if log >= 0 and day + line[at : at + 10] in self._plain_days else -1

    def _second(self, text: str) -> str:
        """How an envelope begins whose event is of this second; empty where that takes a closer look."""
        found = self._seconds.get(text)
        if found is None:
            if len(self._seconds) >= CACHED_MAX_COUNT:
                self._seconds.clear()
            found = f'{{"time":{epoch(text)}.' if text >= _FIRST_YEAR else ""
            self._seconds[text] = found
        return found

    def _carefully(self, one: Encoded) -> tuple[str, str]:
        """Envelope and sent time by decoding the record; what was found is remembered for the next that look like it."""
        line = one.json.encode()
        record = decode_record(line)
        if len(self._plain_days) + len(self._prefixes) >= CACHED_MAX_COUNT:
            self._plain_days.clear()
            self._prefixes.clear()
        if record.log.time is not None and record.time[:10] <= record.log.time[:10]:
            self._plain_days.add(record.time[:10] + record.log.time[:10])
        place = place_of(record).decode() + (_OFFSET if record.source.offset is not None else _CURSOR)
        self._prefixes[place] = prefix_of(record, *self._place).decode()
        body, _, time = self._renderer.carefully(line, b"")
        return body.decode(), time.decode()


def wrapping_name(sourcetype: str, index: str) -> str:
    """The name of the wrapping with this source type and index. Its number goes up when envelopes change."""
    return json.dumps(["hec", 1, sourcetype, index])


def _wrapped(parts: list[str], times: list[str]) -> Wrapped:
    parts[-1] = parts[-1][:-1]
    return Wrapped("".join(parts).encode(), times)
