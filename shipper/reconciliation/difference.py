"""The difference: one connection as the index has it against the row that the API gives of it.

Tolerant of what Coder's own writers do to a row: microseconds, merged short sessions whose times are equal, the
first value that wins, and texts that are empty or null.
"""

from __future__ import annotations

from shipper import timestamp
from shipper.coder.answer import NIL_ID
from shipper.coder.walk import LogRow
from shipper.index import Connection
from shipper.query.value import read_uuid
from shipper.record import Record

TOLERANCE_NS = 1_000_000_000
"""Times that differ by less are the same."""
SHORT_NS = 10_000_000_000
"""The connect time of a session that lasted less is not compared: a revision of Coder's lost it."""

_FIELDS = ("type", "organization_id", "workspace_owner_id", "workspace_id", "workspace_name", "agent_name", "ip")
_WEB_FIELDS = ("user_id", "user_agent", "slug_or_port")
"""What a row of an agent's session has no place for."""

Key = tuple[str, str | None, str | None]
"""What connects the events of a connection: its id, the workspace's, the agent's name. Alone: an event's id."""


def key_of_row(row: LogRow) -> Key:
    """The key of a row."""
    body = row.row
    connection = None if body.ssh_info is None else read_uuid(body.ssh_info.connection_id or "")
    if connection is None or connection == NIL_ID:
        return (body.id.lower(), None, None)
    return (connection, read_uuid(body.workspace_id), body.agent_name or None)


def key_of_connection(one: Connection) -> Key:
    """The key of a connection of the index."""
    if one.connection_id is None:
        return (one.id, None, None)
    return (one.connection_id, one.workspace_id, one.agent_name)


def differences(one: Connection, row: LogRow, told: Record | None) -> dict[str, tuple[object, object]]:
    """The fields that differ, each with the log's value and the API's; ``told`` is the row's first event as a record.

    ``disconnect_time`` with a None tells which side has not heard of the end."""
    found: dict[str, tuple[object, object]] = {}
    info = row.row.ssh_info
    ended = None if info is None or info.disconnect_time is None else timestamp.canonical(info.disconnect_time)
    if info is not None and not _near(one.disconnect_time, ended):
        found["disconnect_time"] = (one.disconnect_time, ended)
    short = ended is not None and timestamp.to_ns(ended) - row.time_ns < SHORT_NS
    begun = timestamp.from_ns(row.time_ns)
    # The log may have only the end, of which a connect time is nothing but another name.
    if not short and one.state_reason != "no connect event was seen" and not _near(one.connect_time, begun):
        found["connect_time"] = (one.connect_time, begun)
    if told is not None:
        for name in _FIELDS if info is not None else (*_FIELDS, *_WEB_FIELDS):
            mine, theirs = getattr(one, name), getattr(told, name)
            if mine != theirs and not (name == "type" and None in (mine, theirs)):
                found[name] = (mine, theirs)
    if info is None:
        web = row.row.web_info
        if web is not None and web.status_code and one.code is not None and web.status_code != one.code:
            found["code"] = (one.code, web.status_code)
    elif ended is not None and one.disconnect_time is not None:
        for name, mine, theirs in (
            ("code", one.code, info.exit_code),
            ("disconnect_reason", one.disconnect_reason, info.disconnect_reason or None),
        ):
            if mine != theirs:
                found[name] = (mine, theirs)
    return found


def _near(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(timestamp.to_ns(one) - timestamp.to_ns(other)) < TOLERANCE_NS
