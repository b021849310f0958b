"""An event's fields to a record: aliases, times, nulls, addresses, types, all rules of the record in one place.

Per line nothing is looked up twice: a plan for each sequence of keys says which value stands where, and
ids, addresses and types that were seen before come from bounded caches.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from operator import itemgetter

from shipper.alias import KEYS, STATUSES
from shipper.appname import APPS_OVER_SSH, METHODS, normal_name
from shipper.parsing.result import Parsed, gather
from shipper.record import CompactRecord, JsonValue, Record, Source
from shipper.timestamp import canonical

CACHE_MAX_COUNT = 65_536
"""Entries in each of the caches; a full one is emptied."""
PLANS_MAX_COUNT = 1024
"""Key sequences with a remembered plan; further ones are planned at each line."""
PLAN_KEYS_MAX_COUNT = 64
"""Keys of a line whose plan is remembered."""
DRIFT_MAX_COUNT = 1000
"""Names of drift remembered; further ones are not reported."""

_UUID_TEXT = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(_UUID_TEXT).fullmatch
_TWO_UUIDS = re.compile(f"{_UUID_TEXT} {_UUID_TEXT}").fullmatch
_SQL_INT = re.compile(r"\{Int\d{2}:(-?\d{1,10}) Valid:(true|false)\}", re.ASCII).fullmatch
_INT = re.compile(r"-?\d{1,10}", re.ASCII).fullmatch
_SCOPE = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch
_NO_EXTRA: dict[str, JsonValue] = {}
_ORDER = (
    "id", "time", "status", "type", "method", "app_or_slug", "organization_id", "workspace_owner_id", "workspace_id",
    "workspace_name", "agent_name", "agent_id", "user_id", "ip", "user_agent", "slug_or_port", "code", "connection_id",
    "client_session_id", "disconnect_reason", "request_id",
)  # fmt: skip
_UUIDS = ("organization_id", "workspace_owner_id", "workspace_id", "agent_id", "user_id")
_TEXTS = ("workspace_name", "agent_name", "user_agent", "slug_or_port", "client_session_id", "disconnect_reason")
_NAME_OF = {name: key for key, names in KEYS.items() for name in names}
_NULLS = (None, "", "<nil>")


class _Plan:
    """Which value of a key sequence is which key of the record. ``names`` gives each key's name on the line."""

    __slots__ = ("extra", "getter", "keys", "names", "rivals")

    def __init__(self, keys: tuple[str, ...], preferred: frozenset[str] = frozenset()) -> None:
        self.keys = keys
        absent = len(keys)  # the parser's values, and one None behind them
        at: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.rivals: list[tuple[str, int, int]] = []
        for key, names in KEYS.items():
            found = sorted((name for name in names if name in keys), key=lambda name: name not in preferred)
            at[key] = keys.index(found[0]) if found else absent
            self.names[key] = found[0] if found else names[0]
            self.rivals += [(key, at[key], keys.index(name)) for name in found[1:]]
        self.getter = itemgetter(*(at[key] for key in _ORDER))
        self.extra = [(name, index) for index, name in enumerate(keys) if name not in _NAME_OF]

    def settle(self, values: list[JsonValue]) -> _Plan:
        """Where a key stands under several names: the plan that takes the first one that says something usable."""
        better = frozenset(
            self.keys[second]
            for key, first, second in self.rivals
            if not _usable(key, values[first]) and _usable(key, values[second])
        )
        return _Plan(self.keys, better) if better else self


_NO_PLAN = _Plan(())


class Unusable(Exception):
    """The fields can't be a record; ``key`` names the field at fault."""

    def __init__(self, reason: str, key: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key


class Odd(Exception):
    """This can't be told of a single field: the whole line must be looked at."""


class Normaliser:
    """Builds records of class ``record_type``. ``drift`` collects what was never seen before, as ``kind:value``."""

    def __init__(self, record_type: type[Record] = CompactRecord) -> None:
        self._record_type = record_type
        self.full = not issubclass(record_type, CompactRecord)
        """Whether records have all keys, null ones too."""
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._uuids: dict[JsonValue, str | None] = dict.fromkeys(_NULLS)
        self._ips: dict[JsonValue, str | None] = dict.fromkeys(_NULLS)
        self._codes: dict[JsonValue, int | None] = dict.fromkeys(_NULLS)
        self._types: dict[tuple[JsonValue, bool], tuple[str | None, str | None, str | None]] = {}
        self._drift_seen: set[str] = set()
        self.drift: list[str] = []

    def build(self, parsed: Parsed, source: Source) -> Record:
        """The record of an event; raises ``Unusable`` where it has no usable id, time or status."""
        keys, values = parsed.keys, parsed.values
        plan = self._plans.get(keys) or self._make_plan(keys)
        if plan.rivals:
            plan = plan.settle(values)
        values.append(None)
        (
            id_, time, status, type_, method, app_or_slug, organization, owner, workspace, workspace_name, agent_name,
            agent, user, ip, user_agent, slug_or_port, code, connection, session, reason, request,
        ) = plan.getter(values)  # fmt: skip
        wrong: dict[str, JsonValue] | None = None
        if parsed.beside or plan.rivals:
            wrong = self._beside(parsed, plan)

        # One look at both ids that are never met again, an event's and a connection's.
        sound = connection is not None and _TWO_UUIDS(f"{id_} {connection}") is not None
        if not sound and (type(id_) is not str or _UUID(id_) is None):
            id_ = self._id(id_, plan)
        when = canonical(time) if type(time) is str else None
        if when is None:
            raise self._no_time(time, plan)
        known = STATUSES.get(status) if type(status) is str else None
        if known is None:
            known = self._status(status, plan)

        uuids = self._uuids
        try:
            organization, owner, workspace = uuids[organization], uuids[owner], uuids[workspace]
            agent, user = uuids[agent], uuids[user]
        except (KeyError, TypeError):
            # An id not yet in the cache, a value that is none, or one that can't even be a key.
            wrong = wrong if wrong is not None else {}
            raw = dict(zip(_ORDER, plan.getter(values), strict=True))
            organization, owner, workspace, agent, user = (
                self._uuid(raw[key], plan.names[key], wrong) for key in _UUIDS
            )
        if not sound and connection is not None and (type(connection) is not str or _UUID(connection) is None):
            wrong = wrong if wrong is not None else {}
            connection = self._uuid(connection, plan.names["connection_id"], wrong)
        try:
            ip = self._ips[ip]
        except (KeyError, TypeError):
            wrong = wrong if wrong is not None else {}
            ip = self._ip(ip, plan.names["ip"], wrong)
        try:
            if type(code) is not int or not -0x80000000 <= code < 0x80000000:
                code = self._codes[code]
        except (KeyError, TypeError):
            wrong = wrong if wrong is not None else {}
            code = self._code(code, plan.names["code"], wrong)
        try:
            # One call that fails unless each of them is text.
            "".join((workspace_name, agent_name, user_agent, reason))  # noqa: FLY002 (an f-string would not fail)
            if session is not None or request is not None or slug_or_port is not None:
                "".join((session or "", request or "", slug_or_port or ""))
        except TypeError:
            wrong = wrong if wrong is not None else {}
            names = plan.names
            workspace_name = _text(workspace_name, names["workspace_name"], wrong)
            agent_name = _text(agent_name, names["agent_name"], wrong)
            user_agent = _text(user_agent, names["user_agent"], wrong)
            reason = _text(reason, names["disconnect_reason"], wrong)
            session = _text(session, names["client_session_id"], wrong)
            request = _text(request, names["request_id"], wrong)
            slug_or_port = _text(slug_or_port, names["slug_or_port"], wrong)
        if method is None and app_or_slug is None:
            try:
                kind, way, app = self._types[type_, connection is not None]
            except (KeyError, TypeError):
                wrong = wrong if wrong is not None else {}
                kind, way, app = self._type(type_, connection is not None, plan, wrong)
        else:
            wrong = wrong if wrong is not None else {}
            kind, way, app, slug_or_port = self._method(
                method, app_or_slug, type_, slug_or_port, connection is not None, plan, wrong
            )

        extra = _NO_EXTRA
        if plan.extra or wrong:
            extra = {name: values[at] for name, at in plan.extra}
            if wrong:
                for name, value in wrong.items():
                    gather(extra, name, value)
            if parsed.human:
                extra = {name: None if value == "<nil>" else value for name, value in extra.items()}
        return self._record_type(
            1, id_, when, known, kind, way, app, organization, owner, workspace, workspace_name or None,
            agent_name or None, agent, user, ip, user_agent or None, slug_or_port or None, code, connection,
            session or None, reason or None, request or None, parsed.log, source, extra,
        )  # fmt: skip

    # -- a field by itself -----------------------------------------------------------------

    def value(self, key: str, value: JsonValue) -> JsonValue:
        """What a record has under ``key``, one that depends on no other field, where the line has ``value``.
        Raises Odd where the line's value would be kept in ``extra``."""
        wrong: dict[str, JsonValue] = {}
        made: JsonValue = None
        if key == "status":
            made = STATUSES.get(value) if type(value) is str else None
            if made is None:
                raise Odd
        elif key in _UUIDS:
            made = self._uuid(value, key, wrong)
        elif key == "ip":
            made = None if value in _NULLS else self._ip(value, key, wrong)
        elif key == "code":
            if type(value) is int and -0x80000000 <= value < 0x80000000:
                made = value
            elif value not in _NULLS:
                made = self._code(value, key, wrong)
        else:
            made = _text(value, key, wrong) or None
        if wrong:
            raise Odd
        return made

    def kind(
        self, type_: JsonValue, method: JsonValue, app_or_slug: JsonValue, slug_or_port: JsonValue, *, connected: bool
    ) -> tuple[str | None, str | None, str | None, str | None]:
        """Type, method, app, slug or port of a record, of the fields that they depend on. Raises Odd as ``value``."""
        wrong: dict[str, JsonValue] = {}
        if method is None and app_or_slug is None:
            slug = _text(slug_or_port, "slug_or_port", wrong) or None
            made = *self._type(type_, connected, _NO_PLAN, wrong), slug
        else:
            made = self._method(method, app_or_slug, type_, slug_or_port, connected, _NO_PLAN, wrong)
        if wrong:
            raise Odd
        return made

    # -- what happens seldom ---------------------------------------------------------------

    def _make_plan(self, keys: tuple[str, ...]) -> _Plan:
        plan = _Plan(keys)
        if len(self._plans) < PLANS_MAX_COUNT and len(keys) <= PLAN_KEYS_MAX_COUNT:
            self._plans[keys] = plan
        for name, _ in plan.extra:
            self._note("key", name)
        return plan

    def _note(self, kind: str, value: str) -> None:
        name = f"{kind}:{value[:80]}"
        if name not in self._drift_seen and len(self._drift_seen) < DRIFT_MAX_COUNT:
            self._drift_seen.add(name)
            self.drift.append(name)

    @staticmethod
    def _beside(parsed: Parsed, plan: _Plan) -> dict[str, JsonValue]:
        wrong = dict(parsed.beside or {})
        for _, _, at in plan.rivals:
            if parsed.values[at] not in _NULLS:
                gather(wrong, parsed.keys[at], parsed.values[at])
        return wrong

    @staticmethod
    def _id(value: JsonValue, plan: _Plan) -> str:
        name = plan.names["id"]
        if type(value) is str and _UUID(value.lower()) is not None:
            return value.lower()
        if value in _NULLS:
            raise Unusable(f"the event has no {name}", name)
        raise Unusable(f"{name} is no UUID", name)

    def _no_time(self, value: JsonValue, plan: _Plan) -> Unusable:
        name = plan.names["time"]
        if value in _NULLS:
            return Unusable(f"the event has no {name}", name)
        self._note("time", re.sub(r"\d", "9", value)[:40] if type(value) is str else type(value).__name__)
        return Unusable(f"{name} is no time in a form that coderd is known to write", name)

    def _status(self, value: JsonValue, plan: _Plan) -> str:
        name = plan.names["status"]
        if value in _NULLS:
            raise Unusable(f"the event has no {name}", name)
        known = STATUSES.get(value.lower()) if type(value) is str else None
        if known is None:
            self._note("status", value if type(value) is str else type(value).__name__)
            raise Unusable(f"{name} is none of {', '.join(STATUSES)}", name)
        return known

    def _uuid(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
        if value is None or (type(value) is str and value in _NULLS):
            return None
        if type(value) is not str or _UUID(value.lower()) is None:
            gather(wrong, name, value)
            return None
        if len(self._uuids) >= CACHE_MAX_COUNT:
            self._uuids = dict.fromkeys(_NULLS)
        canonical_text = self._uuids[value] = value.lower()
        return canonical_text

    def _ip(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
        address = _address(value) if type(value) is str else None
        if address is None:
            gather(wrong, name, value)
            return None
        text = str(address)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None and address.scope_id is None:
            text = str(address.ipv4_mapped)
        if len(self._ips) >= CACHE_MAX_COUNT:
            self._ips = dict.fromkeys(_NULLS)
        self._ips[value] = text
        return text

    def _code(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> int | None:
        code: int | None = None
        if type(value) is str:
            # JSON of the loggers before July 2025 has the SQL value's own print.
            sql = _SQL_INT(value)
            if sql is not None:
                code = int(sql[1]) if sql[2] == "true" else None
            elif _INT(value) is not None:
                code = int(value)
            else:
                gather(wrong, name, value)
                return None
            if code is not None and not -0x80000000 <= code < 0x80000000:
                gather(wrong, name, value)
                return None
            if len(self._codes) >= CACHE_MAX_COUNT:
                self._codes = dict.fromkeys(_NULLS)
            self._codes[value] = code
            return code
        gather(wrong, name, value)
        return None

    def _type(
        self, value: JsonValue, connected: bool, plan: _Plan, wrong: dict[str, JsonValue]
    ) -> tuple[str | None, str | None, str | None]:
        kind = _text(value, plan.names["type"], wrong) or None
        if kind is None:
            return None, None, None
        if kind in METHODS:
            result: tuple[str, str | None, str | None] = kind, kind, None
        elif normal_name(kind) in APPS_OVER_SSH:
            result = kind, "ssh", kind
        else:
            self._note("type", kind)
            result = kind, "ssh" if connected else None, kind if connected else None
        if len(self._types) >= CACHE_MAX_COUNT:
            self._types.clear()
        self._types[value, connected] = result
        return result

    def _method(
        self,
        method: JsonValue,
        app_or_slug: JsonValue,
        type_: JsonValue,
        slug_or_port: JsonValue,
        connected: bool,
        plan: _Plan,
        wrong: dict[str, JsonValue],
    ) -> tuple[str | None, str | None, str | None, str | None]:
        names = plan.names
        way = _text(method, names["method"], wrong) or None
        named = _text(app_or_slug, names["app_or_slug"], wrong) or None
        slug = _text(slug_or_port, names["slug_or_port"], wrong) or None
        kind = _text(type_, names["type"], wrong) or None
        if way is None:
            # AppNameOrPort without a method: nobody can say which of the two it is.
            if named is not None:
                gather(wrong, names["app_or_slug"], named)
            typed, way, app = self._type(kind, connected, plan, wrong)
            return typed, way, app, slug
        if kind is not None:
            gather(wrong, names["type"], kind)
        if slug is not None and named is not None:
            gather(wrong, names["slug_or_port"], slug)
        if way in ("ssh", "reconnecting_pty"):
            if slug is not None and named is None:
                gather(wrong, names["slug_or_port"], slug)
            return named or way, way, named, None
        if way not in METHODS:
            self._note("type", way)
        return way, way, None, named or slug


def _address(value: str) -> IPv4Address | IPv6Address | None:
    """The address, None where it is none. The zone of a link-local one is a name of an interface, nothing else."""
    try:
        address = ip_address(value)
    except ValueError:
        return None
    scope = address.scope_id if isinstance(address, IPv6Address) else None
    return address if scope is None or _SCOPE(scope) is not None else None


def _usable(key: str, value: JsonValue) -> bool:
    """Whether a value can be what the key of a record holds."""
    if type(value) is int:
        return key == "code" and -0x80000000 <= value < 0x80000000
    if type(value) is not str or value in _NULLS:
        return False
    if key in _UUIDS or key in ("id", "connection_id"):
        return _UUID(value.lower()) is not None
    if key == "ip":
        return _address(value) is not None
    if key == "time":
        return canonical(value) is not None
    if key == "status":
        return value.lower() in STATUSES
    if key == "code":
        return _SQL_INT(value) is not None or _INT(value) is not None
    return True


def _text(value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
    """Text as it is; anything else but null is kept under its own name."""
    if value is None or type(value) is str:
        return value
    gather(wrong, name, value)
    return None
