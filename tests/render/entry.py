"""One log call as coderd's code makes it: the fields and their Go types, before any sink has printed them."""

from __future__ import annotations

from dataclasses import dataclass

ERAS = ("seed", "valuer", "v3", "new")
CALLER = "/home/coder/coder/enterprise/audit/backends/slog.go"
FUNC = "github.com/coder/coder/v2/enterprise/audit/backends.(*SlogExporter).ExportStruct"


@dataclass(frozen=True)
class Text:
    """A string. ``named`` is a string type of its own (an enum): the human sink never takes it for many lines."""

    raw: bytes
    named: bool = False


@dataclass(frozen=True)
class Uuid:
    """A UUID, or a NULL one."""

    text: str | None


@dataclass(frozen=True)
class Code:
    """A sql.NullInt32."""

    number: int | None


@dataclass(frozen=True)
class Address:
    """An IP, already as net.IP prints it; None has no address."""

    text: str | None


@dataclass(frozen=True)
class Moment:
    """A time.Time: UTC text with up to nine fraction digits, and the zone it carries (minutes, name)."""

    utc: str
    offset: int = 0
    zone: str = "UTC"
    monotonic: str = ""


@dataclass(frozen=True)
class Number:
    """An int."""

    number: int


@dataclass(frozen=True)
class Mapping:
    """A map or a struct: the human sink prints it as JSON, unquoted."""

    json: bytes


Value = Text | Uuid | Code | Address | Moment | Number | Mapping
Fields = tuple[tuple[str, Value], ...]

_UUIDS = {"ID", "OrganizationID", "WorkspaceOwnerID", "WorkspaceID", "UserID", "ConnectionID", "AgentID", "SessionID"}
_NAMED = {"Type", "ConnectionMethod", "ConnectionStatus", "ConnectionAction"}
_V1 = (
    "ID", "Time", "OrganizationID", "WorkspaceOwnerID", "WorkspaceID", "WorkspaceName", "AgentName", "Type", "Code",
    "Ip", "UserAgent", "UserID", "SlugOrPort", "ConnectionID", "CloseReason", "ConnectionStatus",
)  # fmt: skip
_V2 = (
    "ID", "OrganizationID", "WorkspaceOwnerID", "WorkspaceID", "WorkspaceName", "AgentName", "Type", "Code", "Ip",
    "UserAgent", "UserID", "SlugOrPort", "ConnectionID", "DisconnectReason", "Time", "ConnectionStatus",
)  # fmt: skip
_V4 = tuple("IP" if key == "Ip" else key for key in _V2)
VARIANTS: dict[str, tuple[str, ...]] = {
    "V0": (*_V1[:-1], "ConnectionAction"),
    "V1": _V1,
    "V2": _V2,
    "V3": (*_V2[:6], "AgentID", *_V2[6:14], "SessionID", "ClientHostname", "ShortDescription", *_V2[14:]),
    "V4": _V4,
    "V5": tuple({"Type": "ConnectionMethod", "SlugOrPort": "AppNameOrPort"}.get(key, key) for key in _V4),
}
"""The keys of each variant of the struct, in the order of its fields."""


def kind_of(key: str) -> type[Value]:
    """The Go type of one of the struct's fields."""
    if key in _UUIDS:
        return Uuid
    return {"Time": Moment, "Code": Code, "Ip": Address, "IP": Address}.get(key, Text)


def is_named(key: str) -> bool:
    """Whether the field is of a string type of its own."""
    return key in _NAMED


@dataclass(frozen=True)
class Entry:
    """One log call. ``context`` are the fields of the context, printed before those of the call."""

    time: str
    fields: Fields = ()
    context: Fields = ()
    level: str = "info"
    logger: tuple[str, ...] = ("coderd",)
    message: bytes = b"connection_log"
    trace: str = ""
    span: str = ""
    sampled: bool = True
    caller: str = CALLER
    line: int = 38
    func: str = FUNC
