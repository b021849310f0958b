"""The world behind the Coder double: its users, organizations, workspaces and the table of connections.

``World.log`` takes events as coderd's batch writer or its older single writer does: one row for each
(connection_id, workspace_id, agent_name), the row's id that of its first event, web events each a row of their own.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import Struct

ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
WEB_TYPES = frozenset({"workspace_app", "port_forwarding", "tunnel"})


class User(Struct):
    """A user; a deleted one is listed nowhere. ``roles`` are site roles: owner, auditor, user-admin."""

    id: str
    username: str
    name: str = ""
    email: str = ""
    status: str = "active"
    roles: tuple[str, ...] = ()
    organization_roles: dict[str, str] = {}
    """Organization id to organization-admin, organization-auditor or organization-member."""
    created_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    updated_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    last_seen_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    deleted: bool = False
    gone: bool = False
    """Purged from the table itself: rows that name it show empty texts."""


class Organization(Struct):
    """An organization."""

    id: str
    name: str
    display_name: str = ""
    icon: str = ""
    is_default: bool = False


class Workspace(Struct):
    """A workspace."""

    id: str
    name: str
    owner_id: str
    organization_id: str
    template_id: str = "00000000-0000-4000-8000-00000000feed"
    template_name: str = "docker"
    deleted: bool = False
    updated_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    last_used_at: datetime = datetime(2025, 1, 1, tzinfo=UTC)


class Event(Struct, frozen=True, kw_only=True):
    """One event as coderd's log line and its database writer both get it."""

    id: str
    time: datetime
    status: str
    organization_id: str
    workspace_owner_id: str
    workspace_id: str
    workspace_name: str
    agent_name: str
    type: str
    method: str = ""
    app: str = ""
    ip: str | None = None
    code: int | None = None
    user_agent: str = ""
    user_id: str | None = None
    slug_or_port: str = ""
    connection_id: str | None = None
    disconnect_reason: str = ""
    client_session_id: str = ""


class Row(Struct):
    """A row of the table."""

    id: str
    connect_time: datetime
    organization_id: str
    workspace_owner_id: str
    workspace_id: str
    workspace_name: str
    agent_name: str
    type: str
    method: str
    app: str
    ip: str | None
    code: int | None
    user_agent: str | None
    user_id: str | None
    slug_or_port: str | None
    connection_id: str | None
    disconnect_time: datetime | None
    disconnect_reason: str | None

    @property
    def web(self) -> bool:
        """Whether it is a point in time, without a disconnect."""
        return self.type in WEB_TYPES or self.method in WEB_TYPES


class World:
    """All of it; ``lock`` is held while it is read or changed. ``writer``: batch (2026) or single (2025)."""

    def __init__(self, writer: str = "batch") -> None:
        self.lock = threading.RLock()
        self.writer = writer
        self.users: dict[str, User] = {}
        self.organizations: dict[str, Organization] = {}
        self.workspaces: dict[str, Workspace] = {}
        self.tokens: dict[str, str] = {}
        self.rows: list[Row] = []
        self._by_key: dict[tuple[str, str, str], Row] = {}

    # ---- who is there --------------------------------------------------------------------------

    def user(self, username: str, *, id: str | None = None, token: bool = False, **fields: object) -> User:
        """Add a user, with an own API token if asked for."""
        made = User(id or str(uuid.uuid4()), username, **fields)  # type: ignore[arg-type]  # fields of User
        if not made.email:
            made.email = f"{username}@example.com"
        with self.lock:
            self.users[made.id] = made
            if token:
                self.tokens[_token()] = made.id
        return made

    def token_of(self, user: User) -> str:
        """A token of a user, made if there is none."""
        with self.lock:
            for token, id_ in self.tokens.items():
                if id_ == user.id:
                    return token
            token = _token()
            self.tokens[token] = user.id
            return token

    def organization(self, name: str, *, id: str | None = None, **fields: object) -> Organization:
        """Add an organization."""
        made = Organization(id or str(uuid.uuid4()), name, **fields)  # type: ignore[arg-type]  # fields of it
        with self.lock:
            self.organizations[made.id] = made
        return made

    def workspace(
        self, name: str, owner: User, organization: Organization, *, id: str | None = None, **fields: object
    ) -> Workspace:
        """Add a workspace."""
        made = Workspace(id or str(uuid.uuid4()), name, owner.id, organization.id, **fields)  # type: ignore[arg-type]  # fields of it
        with self.lock:
            self.workspaces[made.id] = made
        return made

    # ---- what happened -------------------------------------------------------------------------

    def log(self, *events: Event) -> None:
        """Write events to the table, those of one call as one batch."""
        with self.lock:
            for event in events:
                self._upsert(event)

    def _upsert(self, event: Event) -> None:
        time = _microseconds(event.time)
        ended = event.status == "disconnected"
        key = None
        if event.connection_id is not None:
            key = (event.connection_id, event.workspace_id, event.agent_name)
            known = self._by_key.get(key)
            if known is not None:
                self._merge(known, event, time, ended)
                return
        row = Row(
            id=event.id,
            connect_time=time,
            organization_id=event.organization_id,
            workspace_owner_id=event.workspace_owner_id,
            workspace_id=event.workspace_id,
            workspace_name=event.workspace_name,
            agent_name=event.agent_name,
            type=event.type,
            method=event.method or _method(event.type),
            app=event.app,
            ip=event.ip,
            code=event.code,
            user_agent=event.user_agent or None,
            user_id=event.user_id,
            slug_or_port=event.slug_or_port or None,
            connection_id=event.connection_id,
            disconnect_time=time if ended else None,
            disconnect_reason=event.disconnect_reason or None if ended else None,
        )
        self.rows.append(row)
        if key is not None:
            self._by_key[key] = row

    def _merge(self, row: Row, event: Event, time: datetime, ended: bool) -> None:
        if self.writer == "batch":
            row.connect_time = min(one for one in (row.connect_time, time) if one != ZERO_TIME or time == ZERO_TIME)
        if ended:
            row.disconnect_time = row.disconnect_time or time
            row.disconnect_reason = row.disconnect_reason or event.disconnect_reason or None
            row.code = event.code if row.code is None else row.code

    def purge(self, before: datetime) -> int:
        """Delete rows that began before a time, as retention does; gives how many."""
        with self.lock:
            return self._drop([row for row in self.rows if row.connect_time < before])

    def lose(self, *ids: str) -> int:
        """Delete rows by their ids: what the database writer never wrote."""
        with self.lock:
            return self._drop([row for row in self.rows if row.id in ids])

    def delete_workspace(self, workspace: Workspace, cascade: bool = False) -> None:
        """Mark a workspace as deleted; ``cascade``: its rows go too, as when the row itself is deleted."""
        with self.lock:
            workspace.deleted = True
            if cascade:
                self._drop([row for row in self.rows if row.workspace_id == workspace.id])

    def _drop(self, rows: Iterable[Row]) -> int:
        gone = {id(row) for row in rows}
        self.rows = [row for row in self.rows if id(row) not in gone]
        self._by_key = {key: row for key, row in self._by_key.items() if id(row) not in gone}
        return len(gone)


_match_token = re.compile(r"[A-Za-z0-9]{10}-[A-Za-z0-9]{22}").fullmatch


def well_formed(token: str) -> bool:
    """Whether a token has the form of Coder's API keys."""
    return _match_token(token) is not None


def _token() -> str:
    digits = uuid.uuid4().hex
    return f"{digits[:10]}-{digits[10:32]}"


def _method(type_: str) -> str:
    return type_ if type_ in WEB_TYPES or type_ == "reconnecting_pty" else "ssh"


def _microseconds(time: datetime) -> datetime:
    """PostgreSQL's timestamps have microseconds, and so has Python's datetime."""
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def ago(**length: float) -> datetime:
    """A time in the past."""
    return datetime.now(UTC) - timedelta(**length)
