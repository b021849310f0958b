"""Naming: puts the names as of its time on a row of an answer."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from shipper import timestamp
from shipper.directory.lookup import Directory
from shipper.index.connection import Connection
from shipper.record import Record

Named = TypeVar("Named", bound=Record | Connection)


def with_names(directory: Directory, row: Named) -> Named:
    """The row with the names that ``directory`` knows as of it; those it was stored with stay as they are."""
    if directory.empty:
        return row
    at = row.time if isinstance(row, Record) else row.connect_time
    names = directory.names(
        timestamp.to_ns(at),
        user_id=row.user_id,
        owner_id=row.workspace_owner_id,
        organization_id=row.organization_id,
        workspace_id=row.workspace_id,
    )
    if row.names is not UNSET:
        names |= {key: value for key, value in row.names.items() if value is not None}
    return replace(row, names=names) if names else row
