"""The resending: finds events that are to be sent once more in the local index, in the form that the journal takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from shipper.record import CompactLog, CompactRecord, CompactSource, Record, encode_record


class Records(Protocol):
    """Where records are kept by their id."""

    def record(self, event_id: str) -> Record | None: ...


def compact(record: Record) -> CompactRecord:
    """The record in the form without nulls."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    fields["log"] = CompactLog(**{name: getattr(record.log, name) for name in record.log.__struct_fields__})
    fields["source"] = CompactSource(**{name: getattr(record.source, name) for name in record.source.__struct_fields__})
    return CompactRecord(**fields)


def lines_of(ids: Iterable[str], records: Records, lost: list[str]) -> Iterator[bytes]:
    """The events as lines of compact JSON; ids that are not kept any more are added to ``lost``."""
    for id_ in ids:
        record = records.record(id_)
        if record is None:
            lost.append(id_)
        else:
            yield encode_record(compact(record))
