"""The Coder double: a real HTTP server on 127.0.0.1 that answers the endpoints connlog uses as Coder does.

    world = World()
    owner = world.user("alice", roles=("owner",))
    with CoderServer(world) as coder:
        ... coder.url, world.token_of(owner)

It keeps to what is known of Coder: paging, filters and their errors, the rate limit with its headers, what each role
gets to see. ``faults`` are used up one for each request whose path they name.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct

from tests.coder.fault import Fault
from tests.coder.form import COUNT_CAP, V2_33, Version, organization_body, row_body, user_body, workspace_body
from tests.coder.search import BadQuery, compile_search
from tests.coder.world import Row, User, World, well_formed

DEFAULT_LIMIT = 100
RATE_LIMIT = 512
WINDOW_SECONDS = 60
INT32_MAX = 2**31 - 1
NOT_FOUND = "Resource not found or you do not have access to this resource"
FORBIDDEN_DETAIL = (
    "You don't have permission to view this content. If you believe this is a mistake, "
    "please contact your administrator or try signing in with different credentials."
)
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


class Asked(Struct, frozen=True):
    """One request as it came. ``parameters`` has the first value of each."""

    method: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    status: int


class CoderServer:
    """The double, serving from ``with`` on. ``limit`` is the rate limit a minute, -1 for none."""

    def __init__(
        self,
        world: World,
        *,
        version: Version = V2_33,
        limit: int = RATE_LIMIT,
        licensed: bool = True,
        tls: ssl.SSLContext | None = None,
        page_max: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.world = world
        self.version = version
        self.limit = limit
        self.licensed = licensed
        self.page_max = page_max
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, int], int] = {}
        self._stop = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _handler(self))
        self._tls = tls is not None
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://localhost:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; whoever waits is cut off."""
        self._stop.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)

    def fail(self, fault: Fault, times: int = 1) -> None:
        """Do this to the next requests that it fits."""
        with self._lock:
            self.faults += [fault] * times

    def paths(self) -> list[str]:
        """The paths asked so far, in order."""
        with self._lock:
            return [one.path for one in self.asked]

    def forget(self) -> None:
        """Forget what was asked, and the counts of the rate limit."""
        with self._lock:
            self.asked.clear()
            self._counts.clear()

    # ---- handling ------------------------------------------------------------------------------

    def take_fault(self, path: str) -> Fault | None:
        """The next fault for a path."""
        with self._lock:
            for number, fault in enumerate(self.faults):
                if path.startswith(fault.path):
                    return self.faults.pop(number)
        return None

    def wait(self, seconds: float) -> None:
        """Be slow, but not slower than the end of the test."""
        self._stop.wait(seconds)

    def note(self, asked: Asked) -> None:
        """Remember a request."""
        with self._lock:
            self.asked.append(asked)

    def count_request(self, who: str, path: str) -> tuple[dict[str, str], bool]:
        """The rate limit's headers, and whether the request is one too many: a window that slides over two minutes."""
        if self.limit < 0:
            return {}, False
        now = self._clock()
        minute, into = divmod(now, WINDOW_SECONDS)
        endpoint = re.sub(r"/[0-9a-f-]{36}", "/{id}", path)
        with self._lock:
            current = self._counts.get((who, endpoint, int(minute)), 0)
            before = self._counts.get((who, endpoint, int(minute) - 1), 0)
            rate = before * (WINDOW_SECONDS - into) / WINDOW_SECONDS + current
            over = round(rate) >= self.limit
            if not over:
                self._counts[who, endpoint, int(minute)] = current + 1
        left = 0 if over else max(0, self.limit - round(rate) - 1)
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(int((minute + 1) * WINDOW_SECONDS)),
        }
        if over:
            headers["Retry-After"] = str(WINDOW_SECONDS)
        return headers, over

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

    def build_info(self) -> dict[str, object]:
        """What it says of itself to anyone."""
        return {
            "external_url": "https://github.com/coder/coder",
            "version": self.version.name,
            "dashboard_url": self.url,
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
        for word in parameters.get("q", "").lower().split():
            key, colon, value = word.rpartition(":")
            if not colon:
                found = [u for u in found if value in u.username.lower() or value in u.email.lower()]
            elif key in ("username", "email", "name", "status"):
                found = [u for u in found if getattr(u, key).lower() == value]
            else:
                detail = f'Query param "{key}" is not a valid query param'
                raise Answer(
                    400, {"message": "Invalid user search query.", "validations": [{"field": key, "detail": detail}]}
                )
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
        found = [
            one for one in self.world.workspaces.values() if not one.deleted and self._workspace_of(me, one.owner_id)
        ]
        found.sort(key=lambda one: one.name)
        size = min(limit or INT32_MAX, self.page_max or INT32_MAX)
        page = found[offset : offset + size]
        return {"workspaces": [workspace_body(one, self.world) for one in page], "count": len(found)}

    def _workspace(self, id_: str, parameters: dict[str, str], me: User) -> object:
        one = self.world.workspaces.get(id_)
        if one is None or not self._workspace_of(me, one.owner_id):
            raise Answer(404, {"message": NOT_FOUND})
        if one.deleted and parameters.get("include_deleted") != "true":
            raise Answer(
                410,
                {
                    "message": f"Workspace \"{id_}\" was deleted, you can view this workspace by specifying '?deleted=true' and trying again."
                },
            )
        return workspace_body(one, self.world)

    def _workspace_of(self, me: User, owner: str) -> bool:
        return "owner" in me.roles or owner == me.id


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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, or refuses our certificate, is part of the tests."""


_ERRORS = {
    401: {"message": "You are signed out or your session has expired. Please sign in again to continue."},
    403: {"message": "Forbidden.", "detail": FORBIDDEN_DETAIL},
    404: {"message": NOT_FOUND},
    429: {"message": "You've been rate limited for sending too many requests!"},
    500: {"message": "An internal server error occurred.", "detail": "pq: something"},
}


def _handler(double: CoderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            parameters = {key: values[0] for key, values in parse_qs(split.query, keep_blank_values=True).items()}
            fault = double.take_fault(split.path)
            headers: dict[str, str] = {"X-Coder-Build-Version": double.version.name}
            if fault is not None and fault.slow_seconds:
                double.wait(fault.slow_seconds)
            if fault is not None and fault.status is not None:
                status, body = fault.status, _ERRORS.get(fault.status, _ERRORS[500])
                if fault.retry_after is not None:
                    headers["Retry-After"] = fault.retry_after
                if fault.location is not None:
                    headers["Location"] = fault.location
                raw = json.dumps(body).encode() + b"\n"
            elif fault is not None and fault.body is not None:
                status, raw = 200, fault.body
            else:
                status, answered = self._handle(split.path, parameters, headers)
                raw = _go_json(answered)
            double.note(Asked("GET", split.path, parameters, dict(self.headers.items()), status))
            self.send_response(status)
            self.send_header("Content-Type", fault.content_type if fault else "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if fault is not None and fault.cut:
                self.wfile.write(raw[: len(raw) // 2])
                self.close_connection = True
                return
            self.wfile.write(raw)

        def _handle(self, path: str, parameters: dict[str, str], headers: dict[str, str]) -> tuple[int, object]:
            if path == "/api/v2/buildinfo":
                return 200, double.build_info()
            if not path.startswith("/api/v2/"):
                return 404, {"message": "Route not found."}
            try:
                cookie = re.search(r"coder_session_token=([^;]+)", self.headers.get("Cookie", ""))
                token = (
                    self.headers.get("Coder-Session-Token")
                    or (cookie[1] if cookie else None)
                    or parameters.get("coder_session_token")
                )
                me = double.who(token)
                bypass = self.headers.get("X-Coder-Bypass-Ratelimit") == "true" and "owner" in me.roles
                if not bypass:
                    extra, over = double.count_request(me.id, path)
                    headers |= extra
                    if over:
                        return 429, _ERRORS[429]
                return 200, double.answer(path, parameters, me)
            except Answer as answer:
                return answer.status, answer.body

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    return Handler


def _go_json(body: object) -> bytes:
    """JSON as Go's encoder writes it, with a newline."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"
