"""The endpoints of the Coder double: what each answers to whom, and with which words it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.coder.form import COUNT_CAP, Version, organization_body, row_body, user_body, workspace_body
from tests.coder.search import BadQuery, compile_search
from tests.coder.world import Row, User, Workspace, World, well_formed

DEFAULT_LIMIT = 100
INT32_MAX = 2**31 - 1
NOT_FOUND = "Resource not found or you do not have access to this resource"
FEATURE_FORBIDDEN = "Connection logs is a Premium feature. Contact sales!"
_READS_ALL = frozenset({"owner", "auditor"})
_READS_USERS = frozenset({"owner", "auditor", "user-admin"})
_ORGANIZATION_READS = frozenset({"organization-admin", "organization-auditor"})


class Answer(Exception):
    """An answer that ends the handling of a request."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class Endpoints:
    """The endpoints over a world, as one version of Coder has them. ``page_max``: rows that a page has at most, whatever
    is asked for."""

    def __init__(self, world: World, version: Version, *, licensed: bool, page_max: int | None) -> None:
        self.world = world
        self.version = version
        self.licensed = licensed
        self.page_max = page_max

    def who(self, token: str | None) -> User:
        """The user of a token; raises Answer with 401."""
        message = "You are signed out or your session has expired. Please sign in again to continue."
        if token is None:
            detail = 'Cookie "coder_session_token" or query parameter must be provided.'
        elif not well_formed(token):
            detail = "Invalid API key format: incorrect amount of API key parts, expected 2 got 1"
        else:
            with self.world.lock:
                id_ = self.world.tokens.get(token)
                user = None if id_ is None else self.world.users.get(id_)
            if user is not None and not user.deleted:
                if user.status == "suspended":
                    raise Answer(401, {"message": message, "detail": "User is not active (status = suspended)."})
                return user
            detail = "API key is invalid."
        raise Answer(401, {"message": message, "detail": detail})

    def answer(self, path: str, parameters: dict[str, str], me: User) -> object:
        """The body of an answer; raises Answer for any other status than 200."""
        with self.world.lock:
            parts = path.removeprefix("/api/v2/").strip("/").split("/")
            if parts == ["connectionlog"]:
                return self._connection_log(parameters, me)
            if parts == ["users"]:
                return self._users(parameters, me)
            if len(parts) == 2 and parts[0] == "users":
                return self._user(parts[1], me)
            if len(parts) == 3 and parts[0] == "users" and parts[2] == "roles":
                return self._roles(parts[1], me)
            if parts == ["organizations"]:
                return [
                    organization_body(one, short=False)
                    for one in self.world.organizations.values()
                    if self._in(me, one.id)
                ]
            if parts == ["workspaces"]:
                return self._workspaces(parameters, me)
            if len(parts) == 2 and parts[0] == "workspaces":
                return self._workspace(parts[1], parameters, me)
        raise Answer(404, {"message": "Route not found."})

    def build_info(self, url: str) -> dict[str, object]:
        """What it says of itself to anyone."""
        return {
            "external_url": "https://github.com/coder/coder",
            "version": self.version.name,
            "dashboard_url": url,
            "telemetry": False,
            "workspace_proxy": False,
            "agent_api_version": "2.9",
            "provisioner_api_version": "1.12",
            "upgrade_message": "",
            "deployment_id": "11111111-2222-4333-8444-555555555555",
        }

    def _connection_log(self, parameters: dict[str, str], me: User) -> object:
        if not self.licensed:
            raise Answer(403, {"message": FEATURE_FORBIDDEN})
        limit, offset = _page(parameters)
        try:
            wanted = compile_search(
                parameters.get("q", ""), self.world, me, tunnel=self.version.tunnel, methods=self.version.methods
            )
        except BadQuery as bad:
            problems = [{"field": one.field, "detail": one.detail} for one in bad.problems]
            raise Answer(400, {"message": "Invalid connection search query.", "validations": problems}) from None
        found = [row for row in self.world.rows if self._may_read(me, row) and wanted(row)]
        found.sort(key=lambda row: row.connect_time, reverse=True)
        count = len(found)
        size = min(limit or DEFAULT_LIMIT, self.page_max or INT32_MAX)
        body: dict[str, Any] = {
            "connection_logs": [row_body(row, self.world, self.version) for row in found[offset : offset + size]],
            "count": min(count, COUNT_CAP + 1) if self.version.capped else count,
        }
        if self.version.capped:
            body["count_cap"] = COUNT_CAP
        return body

    def _may_read(self, me: User, row: Row) -> bool:
        return bool(_READS_ALL & set(me.roles)) or me.organization_roles.get(row.organization_id) in _ORGANIZATION_READS

    def _in(self, me: User, organization: str) -> bool:
        return bool(_READS_USERS & set(me.roles)) or organization in me.organization_roles

    def _users(self, parameters: dict[str, str], me: User) -> object:
        limit, offset = _page(parameters)
        all_ = bool(_READS_USERS & set(me.roles))
        found = [u for u in self.world.users.values() if not (u.deleted or u.gone) and (all_ or u.id == me.id)]
        for key, value in self._words(parameters, "user"):
            if key == "":
                found = [u for u in found if value in u.username.lower() or value in u.email.lower()]
            elif key in ("username", "email", "name", "status"):
                found = [u for u in found if getattr(u, key).lower() == value]
            elif key == "last_seen_after" and self.version.times:
                since = _moment("user", key, value)
                found = [u for u in found if u.last_seen_at >= since]
            else:
                raise _bad_query("user", key, f'Query param "{key}" is not a valid query param')
        found.sort(key=lambda user: user.username.lower())
        size = min(limit or INT32_MAX, self.page_max or INT32_MAX)
        page = found[offset : offset + size]
        return {"users": [user_body(user, self.version, short=False) for user in page], "count": len(found)}

    def _user(self, name: str, me: User) -> object:
        if name == "me":
            return user_body(me, self.version, short=False)
        all_ = bool(_READS_USERS & set(me.roles))
        for user in self.world.users.values():
            by_id = user.id == name.lower()
            by_name = user.username.lower() == name.lower() and not user.deleted
            if (by_id or by_name) and not user.gone and not user.deleted and (all_ or user.id == me.id):
                return user_body(user, self.version, short=False)
        raise Answer(404, {"message": NOT_FOUND})

    def _workspaces(self, parameters: dict[str, str], me: User) -> object:
        limit, offset = _page(parameters)
        found = [one for one in self.world.workspaces.values() if not one.deleted and self._may_see(me, one)]
        for key, value in self._words(parameters, "workspace"):
            if key != "last_used_after" or not self.version.times:
                raise _bad_query("workspace", key, f'Query param "{key}" is not a valid query param')
            since = _moment("workspace", key, value)
            found = [one for one in found if one.last_used_at >= since]
        found.sort(key=lambda one: one.name)
        size = min(limit or INT32_MAX, self.page_max or INT32_MAX)
        page = found[offset : offset + size]
        return {"workspaces": [workspace_body(one, self.world) for one in page], "count": len(found)}

    def _workspace(self, id_: str, parameters: dict[str, str], me: User) -> object:
        one = self.world.workspaces.get(id_)
        if one is None or not self._may_see(me, one):
            raise Answer(404, {"message": NOT_FOUND})
        if one.deleted and parameters.get("include_deleted") != "true":
            raise Answer(
                410,
                {
                    "message": f"Workspace \"{id_}\" was deleted, you can view this workspace by specifying '?deleted=true' and trying again."
                },
            )
        return workspace_body(one, self.world)

    def _may_see(self, me: User, one: Workspace) -> bool:
        ours = me.organization_roles.get(one.organization_id) == "organization-admin"
        return "owner" in me.roles or one.owner_id == me.id or ours

    def _roles(self, name: str, me: User) -> object:
        if not self.version.role_lists:
            raise Answer(404, {"message": "Route not found."})
        found = me if name == "me" else self.world.users.get(name)
        if found is None or (found is not me and not _READS_USERS & set(me.roles)):
            raise Answer(404, {"message": NOT_FOUND})
        return {
            "roles": list(found.roles),
            "organization_roles": {
                id_: [] if role == "organization-member" else [role] for id_, role in found.organization_roles.items()
            },
        }

    @staticmethod
    def _words(parameters: dict[str, str], what: str) -> Iterator[tuple[str, str]]:
        """Keys and values of a query; free text has the key ``""``."""
        for word in parameters.get("q", "").lower().split():
            key, colon, value = word.partition(":")
            value = value.strip('"')
            if not colon:
                yield "", key
            elif not key or not value:
                raise _bad_query(what, "q", f"Query element \"{word}\" cannot start or end with ':'")
            else:
                yield key, value


def _bad_query(what: str, field: str, detail: str) -> Answer:
    problem = {"field": field, "detail": detail}
    return Answer(400, {"message": f"Invalid {what} search query.", "validations": [problem]})


def _moment(what: str, key: str, value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.upper())
    except ValueError:
        raise _bad_query(what, key, f'Query param "{key}" must be a valid date format') from None


def _page(parameters: dict[str, str]) -> tuple[int, int]:
    """Limit and offset; raises Answer with 400."""
    problems = []
    values = []
    for name in ("limit", "offset"):
        text = parameters.get(name, "") or "0"
        value = int(text) if re.fullmatch(r"[+-]?\d{1,20}", text) else -1
        if not 0 <= value <= INT32_MAX:
            detail = (
                f'Query param "{name}" must be a valid 32-bit positive integer: '
                f'strconv.ParseInt: parsing "{text}": invalid syntax'
            )
            problems.append({"field": name, "detail": detail})
        values.append(value)
    after = parameters.get("after_id", "")
    if after and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", after):
        problems.append({"field": "after_id", "detail": 'Query param "after_id" must be a valid uuid'})
    if problems:
        raise Answer(400, {"message": "Query parameters have invalid values.", "validations": problems})
    return values[0], values[1]
