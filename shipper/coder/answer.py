"""Answers: what Coder's API gives, as plain values. Keys that are missing have a default, unknown ones are let be.

Forms of every version are read: before ``count_cap`` (2.29 and older), with ``type_display_name`` (main, August
2026), with ``connection_method`` and ``app_name`` (main, October 2026).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from shipper.errors import RemoteError

NIL_ID = "00000000-0000-0000-0000-000000000000"


class Organization(Struct, frozen=True):
    """An organization, in a list of its own or inside a row of the connection log."""

    id: str = ""
    name: str = ""
    display_name: str = ""


class Role(Struct, frozen=True):
    """A site role."""

    name: str = ""


class User(Struct, frozen=True):
    """A user. One that is gone from Coder's table has empty texts and times of year 0001."""

    id: str = ""
    username: str = ""
    name: str = ""
    email: str = ""
    status: str = ""
    updated_at: str = ""
    roles: list[Role] = []


class UserRoles(Struct, frozen=True):
    """The names of a user's roles: of the site, and of each organization by its id."""

    roles: list[str] | None = None
    organization_roles: dict[str, list[str]] | None = None


class Workspace(Struct, frozen=True):
    """A workspace."""

    id: str = ""
    name: str = ""
    owner_id: str = ""
    owner_name: str = ""
    organization_id: str = ""
    organization_name: str = ""
    template_name: str = ""
    updated_at: str = ""


class WebInfo(Struct, frozen=True):
    """What a row of a web connection or a tunnel has; ``status_code`` 0 is unknown."""

    user_agent: str = ""
    user: User | None = None
    slug_or_port: str = ""
    status_code: int = 0


class SessionInfo(Struct, frozen=True):
    """What a row of an agent's session has (``ssh_info``)."""

    connection_id: str | None = None
    disconnect_time: str | None = None
    disconnect_reason: str | None = None
    exit_code: int | None = None


class Row(Struct, frozen=True):
    """A row of the connection log. ``id`` is that of the first event of the connection."""

    id: str
    connect_time: str
    organization: Organization = Organization()
    workspace_owner_id: str = ""
    workspace_owner_username: str = ""
    workspace_id: str = ""
    workspace_name: str = ""
    agent_name: str = ""
    ip: str | None = None
    type: str = ""
    connection_method: str = ""
    app_name: str = ""
    web_info: WebInfo | None = None
    ssh_info: SessionInfo | None = None


class LogPage(Struct, frozen=True):
    """A page of the connection log, its rows as they came. ``count_cap`` 0: ``count`` is exact."""

    connection_logs: list[Raw]
    count: int = -1
    count_cap: int = 0


class UserPage(Struct, frozen=True):
    """A page of users."""

    users: list[Raw]
    count: int = -1


class WorkspacePage(Struct, frozen=True):
    """A page of workspaces."""

    workspaces: list[Raw]
    count: int = -1


class BuildInfo(Struct, frozen=True):
    """What Coder says of itself."""

    version: str = ""
    deployment_id: str = ""


class Problem(Struct, frozen=True):
    """One entry of ``validations``."""

    field: str = ""
    detail: str = ""


class Refusal(Struct, frozen=True):
    """The body of an error."""

    message: str = ""
    detail: str = ""
    validations: list[Problem] = []


_T = TypeVar("_T")


def read_answer(raw: bytes | Raw, type_: type[_T], what: str) -> _T:
    """A body as a value; raises RemoteError that names ``what`` was asked and what is wrong with the answer."""
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteError(f"{what}: the answer is none of Coder's: {error}; check that coder.url is Coder's") from error
