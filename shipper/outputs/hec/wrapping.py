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
_ID, _TIME, _AFTER_TIME = 18, 64, 94
_LOG_TIME, _SOURCE, _OFFSET = ',"log":{"time":"', ',"source":{"host":', ',"offset":'
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
        prefixes, plain_days = self._prefixes, self._plain_days
        parts: list[str] = []
        times: list[str] = []
        size = 0
        last_second, last_where, second, prefix = "", "", "", ""
        for one in encoded:
            line, time = one.json, one.time
            log = line.find(_LOG_TIME, _AFTER_TIME)
            source = line.find(_SOURCE, log)
            where = line[source : line.find(_OFFSET, source)]
            if where != last_where:
                last_where, prefix = where, prefixes.get(where, "")
            text = time[:19]
            if text != last_second:
                last_second, second = text, self._second(text)
            day = line[log + 16 : log + 26]
            if (
                prefix
                and second
                and log > 0
                and (text.startswith(day) or text[:10] + day in plain_days)
                and line.startswith(time, _TIME)
                and line.startswith(one.id, _ID)
            ):
                added: tuple[str, ...] = (second, time[20:29], prefix, one.id, _EVENT, line, "}\n")
                length = len(line) + len(prefix) + AROUND_BYTES
            else:
                body, time = self._carefully(one, where)
                added, length = (body, "\n"), len(body)
                # A line without host has no place to go by: nothing of the line before it may be left.
                last_where = prefix = ""
            if times and (size + length > max_bytes or len(times) >= max_count):
                yield _wrapped(parts, times)
                parts, times, size = [], [], 0
            parts += added
            times.append(time)
            size += length
        if times:
            yield _wrapped(parts, times)

    def _second(self, text: str) -> str:
        """How an envelope begins whose event is of this second; empty where that takes a closer look."""
        found = self._seconds.get(text)
        if found is None:
            if len(self._seconds) >= CACHED_MAX_COUNT:
                self._seconds.clear()
            found = f'{{"time":{epoch(text)}.' if text >= _FIRST_YEAR else ""
            self._seconds[text] = found
        return found

    def _carefully(self, one: Encoded, where: str) -> tuple[str, str]:
        """Envelope and sent time by decoding the record; what was found is remembered for the next that look like it."""
        line = one.json.encode()
        record = decode_record(line)
        if len(self._plain_days) + len(self._prefixes) >= CACHED_MAX_COUNT:
            self._plain_days.clear()
            self._prefixes.clear()
        if record.log.time is not None and record.time[:10] <= record.log.time[:10]:
            self._plain_days.add(record.time[:10] + record.log.time[:10])
        if where.encode() == place_of(record):
            self._prefixes[where] = prefix_of(record, *self._place).decode()
        body, _, time = self._renderer.carefully(line, where.encode())
        return body.decode(), time.decode()


def wrapping_name(sourcetype: str, index: str) -> str:
    """The name of the wrapping with this source type and index. Its number goes up when envelopes change."""
    return json.dumps(["hec", 1, sourcetype, index])


def _wrapped(parts: list[str], times: list[str]) -> Wrapped:
    return Wrapped("".join(parts)[:-1].encode(), times)
