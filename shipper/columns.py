"""The columns: records as values that run beside each other, field by field, for who takes many at once.

To ask each of thousands of records for each of its fields goes through all their memory again and again. Here some are made,
taken apart and let go while they are at hand, which takes half the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from msgspec import UnsetType
from msgspec.structs import astuple

from shipper.record import Encoded, JsonValue, Log, Record, Source, decode_records

RECORDS_TOGETHER = 128
BYTES_TOGETHER = 64 << 10
"""So many, or so many bytes of their text, are taken apart at once."""

Texts = Sequence[str | None]

_LOG, _SOURCE = (Record.__struct_fields__.index(name) for name in ("log", "source"))
_LOG_FIELDS, _SOURCE_FIELDS = len(Log.__struct_fields__), len(Source.__struct_fields__)
_SOURCE_BEGIN = _LOG + _LOG_FIELDS
_END = _SOURCE_BEGIN + _SOURCE_FIELDS
_COUNT = len(Record.__struct_fields__) - 2 + _LOG_FIELDS + _SOURCE_FIELDS


def _record(values: Sequence[Any]) -> Record:
    return Record(*values)


class Columns(Sequence[Record]):
    """Records by their columns; a record is made when one is asked for. An attribute for each field of ``Record``;
    ``log`` and ``source`` are columns for each of their own fields."""

    schema: Sequence[int]
    id: Sequence[str]
    time: Sequence[str]
    status: Sequence[str]
    type: Texts
    method: Texts
    app: Texts
    organization_id: Texts
    workspace_owner_id: Texts
    workspace_id: Texts
    workspace_name: Texts
    agent_name: Texts
    agent_id: Texts
    user_id: Texts
    ip: Texts
    user_agent: Texts
    slug_or_port: Texts
    code: Sequence[int | None]
    connection_id: Texts
    client_session_id: Texts
    disconnect_reason: Texts
    request_id: Texts
    log: Sequence[Texts]
    source: Sequence[Sequence[Any]]
    extra: Sequence[dict[str, JsonValue]]
    names: Sequence[dict[str, str | None] | UnsetType]

    def __init__(self, whole: Sequence[Sequence[Any]]) -> None:
        """``whole``: the columns of ``Record``, with those of ``Log`` and ``Source`` in their places."""
        self._whole = whole
        parts: list[Any] = [*whole[:_LOG], whole[_LOG:_SOURCE_BEGIN], whole[_SOURCE_BEGIN:_END], *whole[_END:]]
        self.__dict__.update(zip(Record.__struct_fields__, parts, strict=True))

    def __len__(self) -> int:
        return len(self.id)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Columns: ...
    def __getitem__(self, place: int | slice) -> Record | Columns:
        if isinstance(place, slice):
            return Columns([column[place] for column in self._whole])
        row = [column[place] for column in self._whole]
        log, source = Log(*row[_LOG:_SOURCE_BEGIN]), Source(*row[_SOURCE_BEGIN:_END])
        return _record((*row[:_LOG], log, source, *row[_END:]))

    @staticmethod
    def joined(parts: Sequence[Sequence[Record]]) -> Columns:
        """Records of several as one."""
        if len(parts) == 1:
            return columns_of(parts[0])
        whole: list[list[Any]] = [[] for _ in range(_COUNT)]
        for part in parts:
            for held, more in zip(whole, columns_of(part)._whole, strict=True):  # noqa: SLF001  # of this class
                held += more
        return Columns(whole)

    def only(self, places: Sequence[int]) -> Columns:
        """Those at these places."""
        return Columns([[column[place] for place in places] for column in self._whole])


def columns_of(records: Sequence[Record]) -> Columns:
    """Records as columns; what are columns already is given back."""
    if isinstance(records, Columns):
        return records
    return _apart(records[at : at + RECORDS_TOGETHER] for at in range(0, len(records), RECORDS_TOGETHER))


def read_columns(lines: bytes) -> Columns:
    """NDJSON of either form as columns; raises msgspec.DecodeError."""
    return _apart(map(decode_records, _pieces(lines)))


def columns_of_encoded(encoded: Sequence[Encoded]) -> Columns:
    """The same of records as text."""
    some = (encoded[at : at + RECORDS_TOGETHER] for at in range(0, len(encoded), RECORDS_TOGETHER))
    return _apart(decode_records("\n".join([one.json for one in part])) for part in some)


def _pieces(lines: bytes) -> Iterator[bytes]:
    at, end = 0, len(lines)
    while at < end:
        over = lines.find(b"\n", at + BYTES_TOGETHER)
        if over < 0:
            over = end
        yield lines[at:over]
        at = over + 1


def _apart(parts: Iterable[Sequence[Record]]) -> Columns:
    whole: list[Any] = []
    for records in parts:
        if records:
            columns = list(zip(*map(astuple, records), strict=True))
            log = zip(*map(astuple, columns[_LOG]), strict=True)
            source = zip(*map(astuple, columns[_SOURCE]), strict=True)
            part = (*columns[:_LOG], *log, *source, *columns[_SOURCE + 1 :])
            if not whole:
                whole = [*part]
                continue
            if isinstance(whole[0], tuple):  # a few records are one part, which stays as it is
                whole = [*map(list, whole)]
            for held, more in zip(whole, part, strict=True):
                held += more
    return Columns(whole or [()] * _COUNT)
