"""The record: what one ``connection_log`` event becomes, and the only shape after parsing.

Two JSON forms share one set of types. The *full* form (``Record``) writes every key, null when
unknown: command line and REST. The *compact* form (``CompactRecord``) leaves out nulls, an empty
``extra`` and an empty ``meta``: journal and HEC body. Either form decodes into ``Record``.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from shipper.decoder import json_decoder

SCHEMA = 1

JsonValue = Any
"""A JSON value as decoded: None, bool, int, float, str, list or dict of them."""


class Log(Struct, frozen=True, gc=False):
    """What the line's own header said. ``time`` is canonical (see ``timestamp``), ``level`` a whole word."""

    time: str | None = None
    level: str | None = None
    logger: str | None = None
    format: str | None = None
    caller: str | None = None
    func: str | None = None
    trace: str | None = None
    span: str | None = None


class Source(Struct, frozen=True, gc=False):
    """Where the event was read. ``offset`` is in bytes of the (uncompressed) source."""

    host: str | None = None
    input: str | None = None
    path: str | None = None
    offset: int | None = None
    cursor: str | None = None
    meta: dict[str, JsonValue] = {}


class Record(Struct, frozen=True, gc=False):
    """One connection event in its full form; the order of the fields is the order of the keys.

    ``time`` has nine fraction digits and ends in Z, so that text order is time order; ids are
    lower-case UUID text; ``ip`` is canonical; empty text is None; ``code`` 0 is not None.
    """

    schema: int
    id: str
    time: str
    status: str
    type: str | None = None
    method: str | None = None
    app: str | None = None
    organization_id: str | None = None
    workspace_owner_id: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    agent_name: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    slug_or_port: str | None = None
    code: int | None = None
    connection_id: str | None = None
    client_session_id: str | None = None
    disconnect_reason: str | None = None
    request_id: str | None = None
    log: Log = Log()
    source: Source = Source()
    extra: dict[str, JsonValue] = {}
    names: dict[str, str | None] | UnsetType = UNSET


class CompactLog(Log, frozen=True, omit_defaults=True, gc=False):
    """``Log`` that leaves out nulls when encoded."""


class CompactSource(Source, frozen=True, omit_defaults=True, gc=False):
    """``Source`` that leaves out nulls and an empty ``meta`` when encoded."""


class CompactRecord(Record, frozen=True, omit_defaults=True, gc=False):
    """``Record`` that leaves out nulls and an empty ``extra`` when encoded."""


class Encoded(Struct, frozen=True, gc=False):
    """A record as text: ``json`` is one line of JSON in either form, ``id`` and ``time`` are those it holds.

    Who made the text from its parts says two of them, so that nobody must look for them: the log's time to the second
    with its point, and what stands before the offset in the source, which is the same object in one record after
    another. Both are empty where they are not told, and no part of what makes two records equal.
    """

    id: str
    time: str
    json: str
    logged: str = ""
    origin: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and (self.id, self.time, self.json) == (other.id, other.time, other.json)

    def __hash__(self) -> int:
        return hash(self.json)

    def record(self) -> Record:
        """The record itself."""
        return _decoder.decode(self.json)


class Malformed(Struct, frozen=True):
    """An entry that is ours but can't be a record: kept whole, with the reason and the place.

    ``raw`` is the entry as framed (wrappers taken off), at most the line limit; ``length`` is its
    length in bytes in the source, of one given up before its end of what had come. ``line`` and ``column`` are 1-based, ``column`` in bytes of
    ``raw``; ``time`` is the entry's own stamp, canonical, where it could be read.
    """

    raw: bytes
    reason: str
    line: int
    column: int
    source: Source
    length: int
    time: str | None = None


class Gap(Struct, frozen=True):
    """A loss that is known: what source, from which time to which, how much, and why.

    ``bytes`` is the known lower bound, ``exact`` whether it is more than that.
    """

    schema: int
    gap: str
    source: Source
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    bytes: int | None = None
    exact: bool = False
    detected: str = ""
    reason: str = ""

    @property
    def place(self) -> str:
        """Where it is, in a word: a path, or the name of a source that is no file."""
        return self.source.path or str(self.source.meta.get("source") or self.source.input or "the journal")


class Yield(Struct):
    """What one piece of bytes gave. ``originals`` runs beside ``encoded``, one raw entry each; or there are none, where none
    are wanted. Where records are wanted and not their text, ``made`` has them in the place of ``encoded``.

    ``entries == len(encoded) + len(malformed) + not_ours`` always. ``lookalikes`` counts what mentions
    ``connection_log`` and is not ours. ``lines`` and ``bytes`` count physical lines and bytes of the
    source that are done with. ``drift`` names what this extractor sees for the first time, as
    ``kind:value`` (``key:Foo``, ``type:bar``, ``status:baz``, ``time:...``).
    """

    encoded: list[Encoded] = []
    made: list[Record] = []
    originals: list[bytes] = []
    malformed: list[Malformed] = []
    entries: int = 0
    not_ours: int = 0
    lookalikes: int = 0
    lines: int = 0
    bytes: int = 0
    drift: list[str] = []

    @property
    def records(self) -> list[Record]:
        """The records, made of their text if they aren't there: for who looks at them."""
        return self.made or _decoder.decode_lines("\n".join([found.json for found in self.encoded]))


_encoder = msgspec.json.Encoder()
_decoder = json_decoder(Record)

encode_record = _encoder.encode
"""One record as JSON bytes, full or compact by its class, without a newline."""

encode_records = _encoder.encode_lines
"""Records as NDJSON bytes."""


def decode_record(text: bytes | str) -> Record:
    """JSON of either form as a ``Record``; raises msgspec.DecodeError."""
    return _decoder.decode(text)


def decode_records(lines: bytes | str) -> list[Record]:
    """NDJSON of either form as a list of ``Record``; raises msgspec.DecodeError."""
    return _decoder.decode_lines(lines)


def encoded(record: Record) -> Encoded:
    """A record as text, full or compact by its class."""
    return Encoded(record.id, record.time, _encoder.encode(record).decode())
