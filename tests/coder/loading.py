"""Loading: records of a log become events of the double's world, so that log and API tell of the same events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from shipper.record import Record
from tests.coder.world import Event, World

_NIL = "00000000-0000-0000-0000-000000000000"


def event_of(record: Record) -> Event:
    """The event that coderd wrote the record's line for."""
    return Event(
        id=record.id,
        # datetime has microseconds, and so has the database.
        time=datetime.fromisoformat(record.time[:26] + "+00:00"),
        status=record.status,
        organization_id=record.organization_id or _NIL,
        workspace_owner_id=record.workspace_owner_id or _NIL,
        workspace_id=record.workspace_id or _NIL,
        workspace_name=record.workspace_name or "",
        agent_name=record.agent_name or "",
        type=record.type or "",
        method=record.method or "",
        app=record.app or "",
        ip=record.ip,
        code=record.code,
        user_agent=record.user_agent or "",
        user_id=record.user_id,
        slug_or_port=record.slug_or_port or "",
        connection_id=record.connection_id,
        disconnect_reason=record.disconnect_reason or "",
        client_session_id=record.client_session_id or "",
    )


def load_records(world: World, records: Iterable[Record]) -> int:
    """Write the events of ``records`` into the table, and invent whoever they name and nobody knows; gives how many."""
    count = 0
    for record in records:
        event = event_of(record)
        with world.lock:
            if event.organization_id not in world.organizations:
                world.organization(f"org-{event.organization_id[:8]}", id=event.organization_id)
            for user in (event.workspace_owner_id, event.user_id):
                if user is not None and user not in world.users:
                    world.user(f"user-{user[:8]}", id=user)
            if event.workspace_id not in world.workspaces:
                owner = world.users[event.workspace_owner_id]
                organization = world.organizations[event.organization_id]
                world.workspace(event.workspace_name, owner, organization, id=event.workspace_id)
            world.log(event)
        count += 1
    return count
