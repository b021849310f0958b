"""The fields: records as columns that run beside each other, which costs a third of asking each record for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UnsetType
from msgspec.structs import astuple

from shipper.record import JsonValue, Log, Record, Source

Texts = Sequence[str | None]
Names = dict[str, str | None] | UnsetType


class Left(NamedTuple):
    """Columns of what the rows of records don't give back. ``log`` and ``source``: a column for each of their fields."""

    schema: Sequence[int]
    client_session_id: Texts
    request_id: Texts
    log: Sequence[Texts]
    source: Sequence[Sequence[Any]]
    extra: Sequence[dict[str, JsonValue]]
    names: Sequence[Names]

    def part(self, first: int, last: int) -> Left:
        """Those at the places from ``first`` up to, and without, ``last``."""
        part = slice(first, last)
        return Left(
            self.schema[part],
            self.client_session_id[part],
            self.request_id[part],
            [column[part] for column in self.log],
            [column[part] for column in self.source],
            self.extra[part],
            self.names[part],
        )


class Fields(NamedTuple):
    """A column for each field of ``Record``, in their order, those of ``log`` and ``source`` being structs."""

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
    log: Sequence[Log]
    source: Sequence[Source]
    extra: Sequence[dict[str, JsonValue]]
    names: Sequence[Names]

    def left(self) -> Left:
        """What the rows don't give back."""
        nothing: Sequence[Sequence[Any]] = [()] * max(len(Log.__struct_fields__), len(Source.__struct_fields__))
        return Left(
            self.schema,
            self.client_session_id,
            self.request_id,
            list(zip(*map(astuple, self.log), strict=True)) or nothing[: len(Log.__struct_fields__)],
            list(zip(*map(astuple, self.source), strict=True)) or nothing[: len(Source.__struct_fields__)],
            self.extra,
            self.names,
        )


def fields_of(records: Sequence[Record]) -> Fields:
    """The columns of records, of none too."""
    if not records:
        return Fields(*[()] * len(Fields._fields))
    return Fields(*zip(*map(astuple, records), strict=True))
