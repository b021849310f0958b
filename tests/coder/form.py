"""The forms of the Coder double's answers, by the version of Coder that it plays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tests.coder.world import Organization, Row, User, Workspace, World

COUNT_CAP = 2000
DISPLAY = {"ssh": "SSH", "vscode": "VS Code", "jetbrains": "JetBrains", "reconnecting_pty": "Web Terminal"}


class Version(Struct, frozen=True):
    """What a version of Coder answers with. ``unknown``: keys that no released version has; ``times``: users and
    workspaces can be asked for by when they were seen or used; ``role_lists``: whether roles can be asked for."""

    name: str
    capped: bool = True
    tunnel: bool = False
    display: bool = False
    methods: bool = False
    unknown: bool = False
    times: bool = True
    role_lists: bool = True


V2_29 = Version("v2.29.0+aaaaaaa", capped=False)
REDUCED = Version("v2.28.0+9999999", capped=False, times=False, role_lists=False)
"""No version that is known: what may be missing in one."""
V2_33 = Version("v2.33.0+bbbbbbb")
V2_36 = Version("v2.36.0+ccccccc", tunnel=True)
MAIN_SEPTEMBER = Version("v2.37.0-devel+ddddddd", tunnel=True, display=True)
MAIN_OCTOBER = Version("v2.38.0-devel+eeeeeee", tunnel=True, display=True, methods=True)
FUTURE = Version("v2.99.0+fffffff", tunnel=True, display=True, methods=True, unknown=True)
VERSIONS = (REDUCED, V2_29, V2_33, V2_36, MAIN_SEPTEMBER, MAIN_OCTOBER, FUTURE)


def go_time(moment: datetime) -> str:
    """A time as Go's JSON has it: RFC 3339, trailing zeros of the fraction cut."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{utc.year:04d}-{utc:%m-%dT%H:%M:%S}{fraction}Z"


def user_body(user: User | None, version: Version, *, short: bool) -> dict[str, Any]:
    """A User; ``short``: as inside web_info, without the organizations. None: one that is gone from the table."""
    zero = "0001-01-01T00:00:00Z"
    if user is None or user.gone:
        body: dict[str, Any] = {
            "id": "00000000-0000-0000-0000-000000000000" if user is None else user.id,
            "username": "",
            "name": "",
            "email": "",
            "avatar_url": "",
            "created_at": zero,
            "updated_at": zero,
            "last_seen_at": zero,
            "status": "",
            "login_type": "",
        }
        roles: list[dict[str, str]] = []
        organizations: list[str] = []
    else:
        body = {
            "id": user.id,
            "username": user.username,
            "name": user.name,
            "email": user.email,
            "avatar_url": "",
            "created_at": go_time(user.created_at),
            "updated_at": go_time(user.updated_at),
            "last_seen_at": go_time(user.last_seen_at),
            "status": user.status,
            "login_type": "password",
        }
        roles = [{"name": role, "display_name": role.title()} for role in user.roles]
        organizations = list(user.organization_roles)
    body |= {"theme_preference": "", "organization_ids": [] if short else organizations, "roles": roles}
    if version.unknown:
        body |= {"has_ai_seat": False, "is_service_account": False, "planet": {"name": "earth"}}
    return body


def organization_body(one: Organization, *, short: bool) -> dict[str, Any]:
    """An organization; ``short``: as inside a row of the connection log."""
    body: dict[str, Any] = {"id": one.id, "name": one.name, "display_name": one.display_name, "icon": one.icon}
    if not short:
        day = "2025-01-01T00:00:00Z"
        body |= {"description": "", "created_at": day, "updated_at": day, "is_default": one.is_default}
    return body


def workspace_body(one: Workspace, world: World) -> dict[str, Any]:
    """A workspace as listed."""
    owner, organization = world.users.get(one.owner_id), world.organizations.get(one.organization_id)
    return {
        "id": one.id,
        "created_at": go_time(one.updated_at),
        "updated_at": go_time(one.updated_at),
        "owner_id": one.owner_id,
        "owner_name": owner.username if owner else "",
        "owner_avatar_url": "",
        "organization_id": one.organization_id,
        "organization_name": organization.name if organization else "",
        "template_id": one.template_id,
        "template_name": one.template_name,
        "latest_build": {"id": one.id, "transition": "delete" if one.deleted else "start", "status": "running"},
        "outdated": False,
        "name": one.name,
        "last_used_at": go_time(one.last_used_at),
    }


def row_body(row: Row, world: World, version: Version) -> dict[str, Any]:
    """A row of the connection log."""
    organization = world.organizations.get(row.organization_id) or Organization(row.organization_id, "")
    owner = world.users.get(row.workspace_owner_id)
    body: dict[str, Any] = {
        "id": row.id,
        "connect_time": go_time(row.connect_time),
        "organization": organization_body(organization, short=True),
        "workspace_owner_id": row.workspace_owner_id,
        "workspace_owner_username": "" if owner is None or owner.gone else owner.username,
        "workspace_id": row.workspace_id,
        "workspace_name": row.workspace_name,
        "agent_name": row.agent_name,
        "type": row.type,
    }
    if row.ip is not None:
        body["ip"] = row.ip
    if version.display:
        body["type_display_name"] = DISPLAY.get(row.type, row.type)
    if version.methods:
        body |= {"connection_method": row.method, "app_name": row.app, "app_display_name": row.app.title()}
    if row.web:
        body["web_info"] = {
            "user_agent": row.user_agent or "",
            "user": None if row.user_id is None else _connecting(row.user_id, world, version),
            "slug_or_port": row.slug_or_port or "",
            "status_code": row.code or 0,
        }
    else:
        info: dict[str, Any] = {"connection_id": row.connection_id or "00000000-0000-0000-0000-000000000000"}
        if row.disconnect_time is not None:
            info["disconnect_time"] = go_time(row.disconnect_time)
        if row.disconnect_reason is not None:
            info["disconnect_reason"] = row.disconnect_reason
        if row.code is not None:
            info["exit_code"] = row.code
        body["ssh_info"] = info
    if version.unknown:
        body |= {"client_hostname": "laptop", "session": {"id": row.id, "nested": [1, {"two": None}]}}
    return body


def _connecting(id_: str, world: World, version: Version) -> dict[str, Any]:
    user = world.users.get(id_)
    return user_body(user, version, short=True) | {"id": id_}
