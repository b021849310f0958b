"""A value of a line to a value of a record: ids, addresses, codes and types, one field at a time.

Values that were seen before come from bounded caches. What can't be what its key holds is gathered under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shipper.alias import STATUSES
from shipper.appname import APPS_OVER_SSH, METHODS, normal_name
from shipper.parsing.result import gather
from shipper.pattern import pattern
from shipper.record import JsonValue
from shipper.timestamp import canonical

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

CACHE_MAX_COUNT = 8192
"""Entries in each of the caches; a full one is emptied."""
TYPE_MAX_CHARACTERS = 256
"""A longer type is not remembered."""
DRIFT_MAX_COUNT = 250
"""Names of drift remembered of one kind; further ones are told as one. Anyone's app can be a type: a flood of them must not
keep a new key from being told."""
DRIFT_OTHERS = "(others)"
"""What stands for all names of a kind beyond the bound."""

UUIDS = ("organization_id", "workspace_owner_id", "workspace_id", "agent_id", "user_id")
"""Ids that come again."""
NULLS = (None, "", "<nil>")

_UUID = pattern(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SQL_INT = pattern(r"\{Int\d{2}:(-?\d{1,10}) Valid:(true|false)\}", re.ASCII)
_INT = pattern(r"-?\d{1,10}", re.ASCII)
_OCTETS = frozenset(map(str, range(256)))
_SCOPE = pattern(r"[A-Za-z0-9_.-]{1,64}")


class Odd(Exception):
    """This can't be told of a single field: the whole line must be looked at."""


class Values:
    """Makes values. ``drift`` collects what was never seen before, as ``kind:value``."""

    def __init__(self) -> None:
        self._uuids: dict[JsonValue, str | None] = dict.fromkeys(NULLS)
        self._ips: dict[JsonValue, str | None] = dict.fromkeys(NULLS)
        self._types: dict[tuple[JsonValue, bool], tuple[str | None, str | None, str | None]] = {}
        self._drift_seen: dict[str, set[str]] = {}
        self.drift: list[str] = []

    def note(self, kind: str, value: str) -> None:
        """Name what was never seen before."""
        name, seen = value[:80], self._drift_seen.setdefault(kind, set())
        if name not in seen and len(seen) >= DRIFT_MAX_COUNT:
            name = DRIFT_OTHERS
        if name not in seen:
            seen.add(name)
            self.drift.append(f"{kind}:{name}")

    def is_new(self, type_: JsonValue, method: JsonValue) -> bool:
        """Whether ``kind`` would name one of them as never seen before."""
        name = method or type_
        if type(name) is not str or not name or name in METHODS:
            return False
        if not method and normal_name(name) in APPS_OVER_SSH:
            return False
        seen = self._drift_seen.get("type", ())
        return name[:80] not in seen and (len(seen) < DRIFT_MAX_COUNT or DRIFT_OTHERS not in seen)

    def uuid(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
        """An id in lower case; what is none is put under ``name`` into ``wrong``, here and in the others."""
        try:
            return self._uuids[value]
        except (KeyError, TypeError):
            pass  # not met yet, or nothing that can be a key
        if not is_uuid(value):
            gather(wrong, name, value)
            return None
        if len(self._uuids) >= CACHE_MAX_COUNT:
            self._uuids = dict.fromkeys(NULLS)
        found: str = value.lower()
        self._uuids[value] = found
        return found

    def ip(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
        """An address in its canonical form, a mapped one as IPv4."""
        try:
            return self._ips[value]
        except (KeyError, TypeError):
            pass
        text: str
        if type(value) is str and value.count(".") == 3 and _OCTETS.issuperset(value.split(".")):
            address, text = None, value  # as ipaddress writes it, for a tenth of its time
        else:
            address = _address(value) if type(value) is str else None
            if address is None:
                gather(wrong, name, value)
                return None
            text = str(address)
        if (
            address is not None
            and address.version == 6
            and address.ipv4_mapped is not None
            and address.scope_id is None
        ):
            text = str(address.ipv4_mapped)
        if len(self._ips) >= CACHE_MAX_COUNT:
            self._ips = dict.fromkeys(NULLS)
        self._ips[value] = text
        return text

    def code(self, value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> int | None:
        """A 32-bit number; JSON of the loggers before July 2025 has the SQL value's own print."""
        if value in NULLS:
            return None
        code: int | None = None
        if type(value) is int:
            code = value
        elif type(value) is str:
            sql = _SQL_INT.fullmatch(value)
            if sql is not None and sql[2] == "false":
                return None
            if sql is not None or _INT.fullmatch(value) is not None:
                code = int(sql[1] if sql is not None else value)
        if code is None or not -0x80000000 <= code < 0x80000000:
            gather(wrong, name, value)
            return None
        return code

    def kind(
        self,
        values: tuple[JsonValue, JsonValue, JsonValue, JsonValue],
        names: Mapping[str, str],
        wrong: dict[str, JsonValue],
        *,
        connected: bool,
    ) -> tuple[str | None, str | None, str | None, str | None]:
        """Type, method, app, and slug or port of a record, of what the line has for ``type``, ``method``,
        ``app_or_slug`` and ``slug_or_port``; ``names`` gives each its name on the line."""
        type_, method, app_or_slug, slug_or_port = values
        way = text(method, names["method"], wrong) or None
        named = text(app_or_slug, names["app_or_slug"], wrong) or None
        slug = text(slug_or_port, names["slug_or_port"], wrong) or None
        kind = text(type_, names["type"], wrong) or None
        if way is None:
            # AppNameOrPort without a method: nobody can say which of the two it is.
            if named is not None:
                gather(wrong, names["app_or_slug"], named)
            return *self._type(kind, connected), slug
        if kind is not None:
            gather(wrong, names["type"], kind)
        if slug is not None and named is not None:
            gather(wrong, names["slug_or_port"], slug)
        if way in ("ssh", "reconnecting_pty"):
            if slug is not None and named is None:
                gather(wrong, names["slug_or_port"], slug)
            return named or way, way, named, None
        if way not in METHODS:
            self.note("type", way)
        return way, way, None, named or slug

    def _type(self, kind: str | None, connected: bool) -> tuple[str | None, str | None, str | None]:
        if kind is None:
            return None, None, None
        found = self._types.get((kind, connected))
        if found is not None:
            return found
        if kind in METHODS:
            found = kind, kind, None
        elif normal_name(kind) in APPS_OVER_SSH:
            found = kind, "ssh", kind
        else:
            self.note("type", kind)
            found = kind, "ssh" if connected else None, kind if connected else None
        if len(kind) <= TYPE_MAX_CHARACTERS:
            if len(self._types) >= CACHE_MAX_COUNT:
                self._types.clear()
            self._types[kind, connected] = found
        return found


def is_uuid(value: JsonValue) -> bool:
    """Whether it is the text of a UUID, in letters of either case."""
    return type(value) is str and _UUID.fullmatch(value.lower()) is not None


def text(value: JsonValue, name: str, wrong: dict[str, JsonValue]) -> str | None:
    """Text as it is; anything else but null is put under ``name`` into ``wrong``."""
    if value is None or type(value) is str:
        return value
    gather(wrong, name, value)
    return None


def usable(key: str, value: JsonValue) -> bool:
    """Whether a value can be what the key of a record holds."""
    if type(value) is int:
        return key == "code" and -0x80000000 <= value < 0x80000000
    if type(value) is not str or value in NULLS:
        return False
    if key in UUIDS or key in ("id", "connection_id"):
        return is_uuid(value)
    if key == "ip":
        return _address(value) is not None
    if key == "time":
        return canonical(value) is not None
    if key == "status":
        return value.lower() in STATUSES
    if key == "code":
        return _SQL_INT.fullmatch(value) is not None or _INT.fullmatch(value) is not None
    return True


def _address(value: str) -> IPv4Address | IPv6Address | None:
    """The address, None where it is none. The zone of a link-local one is a name of an interface, nothing else."""
    # Imported here: addresses are IPv4 mostly, and are told without it.
    from ipaddress import ip_address

    try:
        address = ip_address(value)
    except ValueError:
        return None
    scope = address.scope_id if address.version == 6 else None
    return address if scope is None or _SCOPE.fullmatch(scope) is not None else None
