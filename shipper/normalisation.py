"""An event's fields to a record: aliases, times, nulls, addresses, types, all rules of the record in one place.

A plan for each sequence of keys says which value stands where, so that per line no name is looked up twice; what one
value becomes is the business of ``value``.
"""

from __future__ import annotations

import re
from operator import itemgetter

from shipper.alias import KEYS, STATUSES
from shipper.parsing.jsonline import HEADER_KEYS
from shipper.parsing.result import Parsed, gather
from shipper.record import CompactRecord, JsonValue, Record, Source
from shipper.timestamp import canonical
from shipper.value import NULLS, UUIDS, Odd, Values, is_uuid, text, usable

PLANS_MAX_COUNT = 1024
"""Key sequences with a remembered plan; further ones are planned at each line."""
PLAN_KEYS_MAX_COUNT = 64
"""Keys of a line whose plan is remembered."""
PLAN_KEYS_MAX_CHARACTERS = 2048
"""All these keys together."""

_NO_EXTRA: dict[str, JsonValue] = {}
_ORDER = (
    "id", "time", "status", "type", "method", "app_or_slug", "organization_id", "workspace_owner_id", "workspace_id",
    "workspace_name", "agent_name", "agent_id", "user_id", "ip", "user_agent", "slug_or_port", "code", "connection_id",
    "client_session_id", "disconnect_reason", "request_id",
)  # fmt: skip
_NAME_OF = {name: key for key, names in KEYS.items() for name in names}


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
            if not usable(key, values[first]) and usable(key, values[second])
        )
        return _Plan(self.keys, better) if better else self


_NO_PLAN = _Plan(())


class Unusable(Exception):
    """The fields can't be a record; ``key`` names the field at fault."""

    def __init__(self, reason: str, key: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.key = key


class Normaliser:
    """Builds records of class ``record_type``."""

    def __init__(self, record_type: type[Record] = CompactRecord) -> None:
        self._record_type = record_type
        self.full = not issubclass(record_type, CompactRecord)
        """Whether records have all keys, null ones too."""
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._values = Values()

    def take_drift(self) -> list[str]:
        """What was never seen before the last call, as ``kind:value``."""
        found, self._values.drift = self._values.drift, []
        return found

    def build(self, parsed: Parsed, source: Source) -> Record:
        """The record of an event; raises ``Unusable`` where it has no usable id, time or status."""
        plan = self._plans.get(parsed.keys) or self._make_plan(parsed.keys)
        values = [*parsed.values, None]
        if plan.rivals:
            plan = plan.settle(values)
        names, made = plan.names, self._values
        (
            id_, time, status, type_, method, app_or_slug, organization, owner, workspace, workspace_name, agent_name,
            agent, user, ip, user_agent, slug_or_port, code, connection, session, reason, request,
        ) = plan.getter(values)  # fmt: skip
        wrong: dict[str, JsonValue] = {}
        if parsed.beside:
            wrong.update(parsed.beside)
            for name in wrong:
                if name not in HEADER_KEYS and name not in _NAME_OF:
                    made.note("key", name)
        for _, _, at in plan.rivals:
            if values[at] not in NULLS:
                gather(wrong, parsed.keys[at], values[at])

        if not is_uuid(id_):
            raise _without(id_, names["id"], "is no UUID")
        when = canonical(time) if type(time) is str else None
        if when is None:
            raise self._no_time(time, names["time"])
        known = self._status(status, names["status"])
        organization, owner, workspace, agent, user = (
            made.uuid(value, names[key], wrong)
            for key, value in zip(UUIDS, (organization, owner, workspace, agent, user), strict=True)
        )
        if is_uuid(connection):
            connection = connection.lower()  # never met again but once: not worth a place among the remembered
        else:
            connection = made.uuid(connection, names["connection_id"], wrong)
        ip = made.ip(ip, names["ip"], wrong)
        code = made.code(code, names["code"], wrong)
        workspace_name, agent_name, user_agent, reason, session, request = (
            text(value, names[key], wrong) or None
            for key, value in (
                ("workspace_name", workspace_name),
                ("agent_name", agent_name),
                ("user_agent", user_agent),
                ("disconnect_reason", reason),
                ("client_session_id", session),
                ("request_id", request),
            )
        )
        kind, way, app, slug = made.kind(
            (type_, method, app_or_slug, slug_or_port), names, wrong, connected=connection is not None
        )
        extra = _NO_EXTRA
        if plan.extra or wrong:
            extra = {name: values[at] for name, at in plan.extra}
            for name, value in wrong.items():
                gather(extra, name, value)
            if parsed.human:
                extra = {name: None if value == "<nil>" else value for name, value in extra.items()}
        return self._record_type(
            1, id_.lower(), when, known, kind, way, app, organization, owner, workspace, workspace_name, agent_name,
            agent, user, ip, user_agent, slug, code, connection, session, reason, request, parsed.log, source, extra,
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
        elif key in UUIDS:
            made = self._values.uuid(value, key, wrong)
        elif key == "ip":
            made = self._values.ip(value, key, wrong)
        elif key == "code":
            made = self._values.code(value, key, wrong)
        else:
            made = text(value, key, wrong) or None
        if wrong:
            raise Odd
        return made

    def kind(
        self, values: tuple[JsonValue, JsonValue, JsonValue, JsonValue], *, connected: bool
    ) -> tuple[str | None, str | None, str | None, str | None]:
        """Type, method, app, and slug or port, as ``Values.kind``. Raises Odd as ``value`` does, and at the first sight
        of a type: whether the line that has it is an event at all, its other fields tell."""
        wrong: dict[str, JsonValue] = {}
        if self._values.is_new(values[0], values[1]):
            raise Odd
        made = self._values.kind(values, _NO_PLAN.names, wrong, connected=connected)
        if wrong:
            raise Odd
        return made

    # -- what happens seldom ---------------------------------------------------------------

    def _make_plan(self, keys: tuple[str, ...]) -> _Plan:
        plan = _Plan(keys)
        usual = len(keys) <= PLAN_KEYS_MAX_COUNT and sum(map(len, keys)) <= PLAN_KEYS_MAX_CHARACTERS
        if usual and len(self._plans) < PLANS_MAX_COUNT:
            self._plans[keys] = plan
        for name, _ in plan.extra:
            self._values.note("key", name)
        return plan

    def _no_time(self, value: JsonValue, name: str) -> Unusable:
        if value not in NULLS:
            form = re.sub(r"\d", "9", value)[:40] if type(value) is str else type(value).__name__
            self._values.note("time", form)
        return _without(value, name, "is no time in a form that coderd is known to write")

    def _status(self, value: JsonValue, name: str) -> str:
        known = STATUSES.get(value.lower()) if type(value) is str else None
        if known is None:
            if value not in NULLS:
                self._values.note("status", value if type(value) is str else type(value).__name__)
            raise _without(value, name, f"is none of {', '.join(STATUSES)}")
        return known


def _without(value: JsonValue, name: str, why: str) -> Unusable:
    """What a line lacks that has nothing usable for a key that it must have."""
    return Unusable(f"the event has no {name}" if value in NULLS else f"{name} {why}", name)
