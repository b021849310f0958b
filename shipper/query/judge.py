"""The judge: asks a filter of single records in memory, with the answers that the index gives about events.

What is asked about a connection as a whole (``status:``, ``state:``, ``duration:``) can't be answered by one event and
is refused. Types and methods that nobody has seen are no error here: they may come.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Iterator

from msgspec import UNSET

from shipper import timestamp
from shipper.errors import QueryError
from shipper.query.filter import (
    Addresses,
    Contains,
    Filter,
    FreeText,
    Ids,
    Methods,
    Moment,
    Names,
    Numbers,
    Pattern,
    State,
    Status,
    Term,
    Text,
    Types,
)
from shipper.query.kind import kinds
from shipper.query.value import compile_regex, read_uuid
from shipper.record import Record

TEXT_CHARACTERS_MAX = 2048
"""What is searched of one text, as in the index."""

Meets = Callable[[Record], bool]
_FIELDS = (
    "type", "method", "app", "agent_name", "organization_id", "workspace_owner_id", "workspace_id", "workspace_name",
    "agent_id", "user_id", "ip", "user_agent", "slug_or_port", "disconnect_reason",
)  # fmt: skip
_NAME_KEYS = ("workspace_owner", "organization", "template", "user", "user_email")
_TEXT_FIELDS = {
    "workspace": ("workspace_name", "workspace_id"),
    "agent": ("agent_name", "agent_id"),
    "slug": ("slug_or_port", None),
}
_NAMES = {
    "organization": ("organization", "organization_id"),
    "workspace_owner": ("workspace_owner", "workspace_owner_id"),
    "workspace_owner_email": (None, "workspace_owner_id"),
    "username": ("user", "user_id"),
    "user_email": ("user_email", "user_id"),
}
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


def judge(filter_: Filter) -> Meets:
    """A function that tells whether a record meets the filter. Raises QueryError where one event can't tell."""
    terms = [
        _negated(_MAKERS[type(term)](term)) if term.negated else _MAKERS[type(term)](term) for term in filter_.terms
    ]
    if len(terms) == 1:
        return terms[0]
    return lambda record: all(meets(record) for meets in terms)


def _negated(meets: Meets) -> Meets:
    return lambda record: not meets(record)


def _low(text: str | None) -> str | None:
    return None if text is None else text[:TEXT_CHARACTERS_MAX].lower()


def _texts(record: Record) -> Iterator[str]:
    for name in _FIELDS:
        text = getattr(record, name)
        if text is not None:
            yield text[:TEXT_CHARACTERS_MAX]
    names = {} if record.names is UNSET else record.names
    for key in _NAME_KEYS:
        named = names.get(key)
        if named is not None:
            yield named[:TEXT_CHARACTERS_MAX]
    extra = "\n".join(value for value in record.extra.values() if isinstance(value, str))
    if extra:
        yield extra[:TEXT_CHARACTERS_MAX]


def _free_text(term: FreeText) -> Meets:
    text = term.text
    digits = text.replace("-", "")
    starts = len(text) >= 8 and all(c in "0123456789abcdef" for c in digits) and 8 <= len(digits) <= 32
    whole = len(text) in (32, 36) and len(digits) == 32 and all(c in "0123456789abcdef" for c in digits)

    def meets(record: Record) -> bool:
        if starts:
            ids = (record.id, record.connection_id)
            if any(id_ is not None and id_.replace("-", "").startswith(digits) for id_ in ids):
                return True
        session, request = _low(record.client_session_id), _low(record.request_id)
        if session is not None and (session == text or (whole and session.replace("-", "") == digits)):
            return True
        if whole and request is not None and request.replace("-", "") == digits:
            return True
        return any(text in one.lower() for one in _texts(record))

    return meets


def _pattern(term: Pattern) -> Meets:
    search = compile_regex(term.regex).search
    return lambda record: any(search(text) for text in _texts(record))


def _text(term: Text) -> Meets:
    values = frozenset(term.values)
    if term.key == "app":
        return lambda record: record.app is not None and record.app.lower().replace("-", "_") in values
    name, id_field = _TEXT_FIELDS[term.key]
    ids = frozenset(uuid for value in values if (uuid := read_uuid(value))) if id_field else frozenset()
    if id_field is None:
        return lambda record: _low(getattr(record, name)) in values
    return lambda record: _low(getattr(record, name)) in values or getattr(record, id_field) in ids


def _contains(term: Contains) -> Meets:
    def meets(record: Record) -> bool:
        reason = _low(record.disconnect_reason)
        return reason is not None and any(value in reason for value in term.values)

    return meets


def _ids(term: Ids) -> Meets:
    values, key = frozenset(term.values), term.key
    return lambda record: getattr(record, key) in values


def _names(term: Names) -> Meets:
    name, id_field = _NAMES[term.key]
    values = frozenset(term.values)
    if term.key in ("workspace_owner", "username"):
        values -= {"me"}  # only Coder knows who that is

    def meets(record: Record) -> bool:
        if _low(getattr(record, id_field)) in values:
            return True
        if name is None or record.names is UNSET:
            return False
        return _low(record.names.get(name)) in values

    return meets


def _types(term: Types) -> Meets:
    table = kinds()
    asked = tuple(value.replace("-", "_") for value in term.values)
    wanted = frozenset(one for value in asked for one in table.family(value))
    foreign = frozenset(table.foreign_apps()) if "ssh" in asked else frozenset()

    def meets(record: Record) -> bool:
        own = None if record.type is None else record.type.lower().replace("-", "_")
        if own in wanted:
            return True
        return "ssh" in asked and _low(record.method) == "ssh" and own not in foreign

    return meets


def _methods(term: Methods) -> Meets:
    values = frozenset(term.values)
    return lambda record: _low(record.method) in values


def _addresses(term: Addresses) -> Meets:
    networks = [ipaddress.ip_network(text) for text in term.networks]

    def meets(record: Record) -> bool:
        if record.ip is None:
            return False
        try:
            address = ipaddress.ip_address(record.ip)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return meets


def _numbers(term: Numbers) -> Meets:
    if term.key != "code":
        raise _of_connections(term.key)
    return lambda record: (
        record.code is not None and any(_OPERATORS[one.operator](record.code, one.value) for one in term.comparisons)
    )


def _moment(term: Moment) -> Meets:
    ns = max(timestamp.NS_MIN, min(timestamp.NS_MAX, term.ns))
    if term.key == "connected_after":
        return lambda record: timestamp.to_ns(record.time) >= ns
    return lambda record: timestamp.to_ns(record.time) <= ns


def _whole(term: Term) -> Meets:
    raise _of_connections("status" if isinstance(term, Status) else "state")


def _of_connections(key: str) -> QueryError:
    return QueryError(key, f"{key}: asks about connections, and is asked of single events here; leave it out")


_MAKERS: dict[type[Term], Callable[..., Meets]] = {
    FreeText: _free_text,
    Pattern: _pattern,
    Text: _text,
    Contains: _contains,
    Ids: _ids,
    Names: _names,
    Types: _types,
    Methods: _methods,
    Addresses: _addresses,
    Numbers: _numbers,
    Moment: _moment,
    Status: _whole,
    State: _whole,
}
