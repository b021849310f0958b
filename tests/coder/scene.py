"""The scene: a small world that most tests begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.coder.world import Event, User, World

DAY = datetime(2026, 9, 1, 10, tzinfo=UTC)
CONNECTION = "cccccccc-0000-4000-8000-00000000000c"


class Scene:
    """A world with an owner, an auditor, an organization's auditor and a member; alice has the workspace dev."""

    def __init__(self, writer: str = "batch") -> None:
        self.world = World(writer)
        self.org = self.world.organization("coder", display_name="Coder", is_default=True)
        self.other = self.world.organization("other")
        self.alice = self.world.user("alice", roles=("owner",), organization_roles={self.org.id: "organization-member"})
        self.auditor = self.world.user("audrey", roles=("auditor",))
        self.bob = self.world.user("bob", organization_roles={self.org.id: "organization-member"})
        self.warden = self.world.user("warden", organization_roles={self.other.id: "organization-auditor"})
        self.dev = self.world.workspace("dev", self.alice, self.org)

    def event(self, number: int, **fields: Any) -> Event:
        values: dict[str, Any] = {
            "id": f"{number:08d}-0000-4000-8000-000000000000",
            "time": DAY + timedelta(seconds=number),
            "status": "connected",
            "organization_id": self.org.id,
            "workspace_owner_id": self.alice.id,
            "workspace_id": self.dev.id,
            "workspace_name": "dev",
            "agent_name": "main",
            "type": "ssh",
        }
        return Event(**(values | fields))

    def web(self, number: int, user: User | None, **fields: Any) -> Event:
        who = None if user is None else user.id
        given = {"type": "workspace_app", "slug_or_port": "code-server", "code": 200, "ip": "203.0.113.7"}
        return self.event(number, user_id=who, **(given | fields))
