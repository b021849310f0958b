"""The rests: what of records their rows don't give back, column by column, most of which are one value for all of a block."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import astuple

from shipper.record import JsonValue, Log, Record, Source, decode_record, encode_record

EXTRA_HINTED_MAX = 32
"""Of the fields of a line that have no key of their own so many tell of its shape."""
_LOG_TEXTS = 8
_TEXTS, _NUMBERS = 6 + _LOG_TEXTS, 2
_Value = TypeVar("_Value")


class _More(Struct, frozen=True, omit_defaults=True, gc=False):
    """What few records have."""

    extra: dict[str, JsonValue] = {}
    meta: dict[str, JsonValue] = {}
    names: dict[str, str | None] | UnsetType = UNSET


class _Columns(Struct, frozen=True, array_like=True, gc=False):
    """Each column has a value for each record, or a single one for all; or it is one text, if all values are of one length,
    with line ends between them.

    ``texts``: ids of request and client session, all of the log, and of the source host, input, path and cursor.
    ``numbers``: of the schema, and the source's offset. ``more``: as JSON, empty for nothing. ``odd``: by their places,
    as JSON, the whole rests of records of which the rows give less back than of others.
    """

    texts: list[list[str | None] | str]
    numbers: list[list[int | None]]
    more: list[bytes]
    odd: dict[int, bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Columns).decode
_encode_more = msgspec.json.Encoder().encode
_decode_more = msgspec.json.Decoder(_More).decode


class Rests(Struct, frozen=True):
    """Rests before they are packed: records, whose cells don't matter; ``odd``: by their places, ascending, the rests of
    those of which the rows don't give back all that they do of others."""

    records: Sequence[Record]
    odd: Mapping[int, Record]

    def __len__(self) -> int:
        return len(self.records)

    def part(self, first: int, last: int) -> Rests:
        """Those at the places from ``first`` up to, and without, ``last``."""
        odd = {place - first: rest for place, rest in self.odd.items() if first <= place < last}
        return Rests(self.records[first:last], odd)

    def pack(self) -> bytes:
        """All of them, at least one, for ``PackedRests``. Raises OverflowError for a number beyond 64 bits."""
        records = self.records
        host, input_, path, offset, cursor, meta = zip(*[astuple(record.source) for record in records], strict=True)
        texts = (
            [record.request_id for record in records],
            [record.client_session_id for record in records],
            *zip(*[astuple(record.log) for record in records], strict=True),
            host,
            input_,
            path,
            cursor,
        )
        more = [
            _encode_more(_More(record.extra, held, record.names))
            if record.extra or held or record.names is not UNSET
            else b""
            for record, held in zip(records, meta, strict=True)
        ]
        odd = {place: encode_record(rest) for place, rest in self.odd.items()}
        numbers = [record.schema for record in records], offset
        return _encode((list(map(_joined, texts)), list(map(_once, numbers)), _once(more), odd))

    def json(self) -> list[bytes]:
        """Each as JSON."""
        return [
            encode_record(self.odd[place] if place in self.odd else _without_cells(record))
            for place, record in enumerate(self.records)
        ]

    def hints(self) -> list[Hashable]:
        """For each record what tells of the shape of its line, the same for most lines of a shape: which values it has."""
        return [
            (
                one.code is None,
                one.user_id is None,
                one.connection_id is None,
                one.agent_id is None,
                one.request_id is None,
                one.client_session_id is None,
                one.log.trace is None,
                one.log.caller is None,
                tuple([value is None for value in one.extra.values()][:EXTRA_HINTED_MAX]) if one.extra else None,
            )
            for one in self.records
        ]


class PackedRests:
    """Rests as ``Rests.pack`` packed them, of so many events. Raises ValueError where they are damaged."""

    def __init__(self, data: bytes, events: int) -> None:
        try:
            self._columns = columns = _decode(data)
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
        texts, numbers = columns.texts, columns.numbers
        whole = [one for one in texts if isinstance(one, str)]
        lengths = {len(columns.more), *map(len, numbers), *(len(one) for one in texts if not isinstance(one, str))}
        fits = lengths <= {1, events} and events > 0 and not any((len(one) + 1) % events for one in whole)
        if len(texts) != _TEXTS or len(numbers) != _NUMBERS or not fits:
            raise ValueError("it does not hold as many records as it says")
        self._events = events

    def __len__(self) -> int:
        return self._events

    def record(self, place: int) -> Record:
        """The record at ``place`` (from 0), without its cells."""
        columns = self._columns
        try:
            if place in columns.odd:
                return decode_record(columns.odd[place])
            if not 0 <= place < self._events:
                raise ValueError("it does not hold as many records as it says")
            request_id, client_session_id, *log, host, input_, path, cursor = [
                _text_at(one, place, self._events) for one in columns.texts
            ]
            schema, offset = [_at(one, place) for one in columns.numbers]
            more = _at(columns.more, place)
            held = _decode_more(more) if more else _More()
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from error
        if schema is None:
            raise ValueError("a record has no schema")
        return Record(
            schema,
            "",
            "",
            "",
            client_session_id=client_session_id,
            request_id=request_id,
            log=Log(*log),
            source=Source(host, input_, path, offset, cursor, held.meta),
            extra=held.extra,
            names=held.names,
        )


def _without_cells(record: Record) -> Record:
    return Record(
        record.schema,
        "",
        "",
        "",
        client_session_id=record.client_session_id,
        request_id=record.request_id,
        log=record.log,
        source=record.source,
        extra=record.extra,
        names=record.names,
    )


def _once(column: Sequence[_Value]) -> Sequence[_Value]:
    """The column, or its one value."""
    return column[:1] if _is_one(column) else column


def _is_one(column: Sequence[object]) -> bool:
    # Of most columns that are of several values the ends tell that.
    return column[-1] == column[0] and column.count(column[0]) == len(column)


def _joined(column: Sequence[str | None]) -> Sequence[str | None] | str:
    """The column, its one value, or all of them as one text."""
    first, count = column[0], len(column)
    if first is None or _is_one(column):
        return _once(column)
    try:
        text = "\n".join(column)  # type: ignore[arg-type]  # None among them is an error
    except TypeError:
        return column
    wide = len(first) + 1
    even = len(text) + 1 == wide * count and text.count("\n") == text[len(first) :: wide].count("\n") == count - 1
    return text if even else column


def _text_at(column: Sequence[str | None] | str, place: int, events: int) -> str | None:
    if not isinstance(column, str):
        return _at(column, place)
    wide = (len(column) + 1) // events
    return column[place * wide : (place + 1) * wide - 1]


def _at(column: Sequence[_Value], place: int) -> _Value:
    return column[0] if len(column) == 1 else column[place]
