"""One whole entry in, a verdict out: a record, a malformed entry, or None for what is not ours."""

from __future__ import annotations

import os
import re
from datetime import tzinfo

import msgspec
from msgspec.structs import replace

from shipper.framing.chain import Entry
from shipper.normalisation import Normaliser, Unusable
from shipper.parsing.human import HumanParser
from shipper.parsing.jsonline import JsonParser, form_of
from shipper.parsing.result import Parsed, Refused
from shipper.pattern import pattern
from shipper.record import CompactLog, CompactRecord, CompactSource, Encoded, Log, Malformed, Record, Source
from shipper.rendering import Renderer
from shipper.text import decode, strip_colours
from shipper.timestamp import canonical, canonical_header

FORMATS = ("auto", "json", "human", "stackdriver")

_coloured_key = pattern(r"\n    (?:\x1b\[[0-9;]*m)*([^\n=\x1b]+)(?:\x1b\[[0-9;]*m)*=(?:\x1b\[[0-9;]*m)*")
_encode = msgspec.json.Encoder().encode
_stamp = pattern(rb'(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3})|"ts"\s*+:\s*+"([^"\\]{1,64})"')


class Recogniser:
    """Tells what an entry is. ``compact`` chooses the class of the records, ``format`` restricts what is read. Not
    ``placed``, what it makes has no offset: the source has none that lasts. ``decoded``, what ``render`` gives is a ``Record``
    itself and no text."""

    def __init__(
        self,
        source: Source,
        *,
        format: str = "auto",
        tz: str = "UTC",
        compact: bool = True,
        placed: bool = True,
        decoded: bool = False,
    ) -> None:
        log_type = CompactLog if compact else Log
        self._source_type: type[Source] = CompactSource if compact else Source
        if source.path is not None:
            # A file's name may be no text; what a record says of it must be.
            source = replace(source, path=decode(os.fsencode(source.path)))
        self._source = source
        self._format = format
        self._placed = placed
        self._json = JsonParser(log_type)
        self.human = HumanParser(_zone(tz), log_type)
        self.normaliser = Normaliser(CompactRecord if compact else Record)
        own = self._source_type(source.host, source.input, source.path, None, None, source.meta)
        self._renderer = Renderer(own, self.normaliser, self._json, self.human, log_type)
        self.render = self._renderer.render
        """The record of a bare line at an offset, in a shape that was met before; None: ask ``verdict``."""
        self._learners = [self._renderer]
        if decoded:
            from shipper.assembly import RecordRenderer  # here: few want it

            self._learners.append(RecordRenderer(own, self.normaliser, self._json, self.human, log_type))
            self.render = self._learners[-1].render
        self._reads_json = format in ("auto", "json", "stackdriver")
        self._reads_human = format in ("auto", "human")

    def source(self, entry: Entry) -> Source:
        """Where the entry was read."""
        own = self._source
        meta = {**own.meta, **entry.meta} if entry.meta else own.meta
        return self._source_type(
            own.host, own.input, own.path, entry.offset if self._placed else None, entry.cursor, meta
        )

    def usual(self, entry: Entry) -> Encoded | None:
        """As ``verdict``, for an entry in a shape that was met before; None: ask ``verdict``."""
        if b"\n" in entry.raw:
            return None
        return self._renderer.render(entry.raw, 0, f'"source":{_encode(self.source(entry)).decode()}')

    def verdict(self, entry: Entry) -> Record | Malformed | None:
        """The record of an entry, why it can't be one, or None: not ours. Raises nothing, whatever the text."""
        try:
            return self._verdict(entry)
        except Exception as error:  # noqa: BLE001
            # The one boundary around the parsers: a text that nobody thought of must not stop the reading, and
            # would stop it again at each restart. It is kept whole and counted like any that can't be read.
            return self.malformed(entry, f"the entry can't be read ({type(error).__name__})", 0)

    def _verdict(self, entry: Entry) -> Record | Malformed | None:
        raw = entry.raw
        text = ""
        parsed: Parsed | Refused | None
        if raw[:1] == b"{":
            parsed = self._json.parse(raw) if self._reads_json else None
        elif self._reads_human:
            text = decode(raw)
            parsed = self.human.parse(uncoloured(text) if "\x1b" in text else text)
        else:
            parsed = None
        if parsed is None:
            if entry.lost is not None:
                return self.malformed(entry, entry.lost, 0)
            return None
        if isinstance(parsed, Refused):
            if not text and self._format in ("json", "stackdriver") and form_of(raw) != self._format:
                return None
            return self.malformed(entry, parsed.reason, _byte_at(raw, parsed.at) if text else parsed.at)
        if self._format not in ("auto", parsed.log.format):
            return None
        try:
            record = self.normaliser.build(parsed, self.source(entry))
        except Unusable as error:
            return self.malformed(entry, error.reason, _key_at(raw, error.key))
        for learner in self._learners:
            learner.learn(raw, parsed, record)
        return record

    def malformed(self, entry: Entry, reason: str, at: int) -> Malformed:
        """The entry as one that can't be a record; ``at`` is the 0-based byte in its text."""
        return Malformed(entry.raw, reason, entry.line, at + 1, self.source(entry), entry.length, _time(entry.raw))


def _zone(name: str) -> tzinfo | None:
    """The zone of that name, None for UTC; loaded only where one is asked for."""
    if name == "UTC":
        return None
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def uncoloured(text: str) -> str:
    """An entry without what the sink painted: its first line, and the key of its many-line field.

    The text of a many-line field is left alone: what stands there is the value's own.
    """
    end = text.find("\n")
    if end < 0:
        return strip_colours(text)
    found = _coloured_key.match(text, end)
    if found is None:
        return strip_colours(text[:end]) + text[end:]
    return f"{strip_colours(text[:end])}\n    {found[1]}={text[found.end() :]}"


def _byte_at(raw: bytes, at: int) -> int:
    """The byte place in the raw entry of a character place in its uncoloured text."""
    # One character for each byte that is no text, as in what was parsed.
    text = raw.decode("utf-8", "surrogateescape")
    if "\x1b" in text:
        passed = 0
        for found in re.finditer(r"\x1b\[[0-9;:]*m", text):
            if found.start() - passed > at:
                break
            passed += found.end() - found.start()
        at += passed
    return len(text[:at].encode("utf-8", "surrogateescape"))


def _key_at(raw: bytes, key: str) -> int:
    """The byte place of a field's name as the line writes it, outside of its texts; 0 where it has none."""
    name = re.escape(key.encode())
    if raw[:1] == b"{":
        found = re.search(rb'"' + name + rb'"\s*+:', raw)
        return found.start() + 1 if found is not None else 0
    # A text that is not closed goes to the end of the line: looked at once, not once for each of its quotes.
    for found in re.finditer(rb'"(?:[^"\\]++|\\.)*"?|(?<= )(' + name + rb")=", raw.partition(b"\n")[0]):
        if found[1] is not None:
            return found.start()
    return 0


def _time(raw: bytes) -> str | None:
    """The stamp of an entry that can't be a record, if it has one."""
    found = _stamp.search(raw, 0, 512)
    if found is None:
        return None
    if found[1] is not None:
        return canonical(decode(found[1]))
    return canonical_header(decode(found[0]))
