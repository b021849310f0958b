"""Holds records against the corpus's truth: every key of every event, nothing missing, nothing invented.

The expectation is worked out here from the truth alone, with other means than the product's.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"
SAMPLES = Path(__file__).resolve().parents[1] / "samples"

OVER_SSH = {
    "vscode", "vscode_insiders", "vscode_web", "code_server", "cursor", "windsurf", "positron", "vscodium", "codium",
    "antigravity", "trae", "kiro", "devin", "jetbrains", "zed",
}  # fmt: skip
PLAIN = {"ssh", "reconnecting_pty", "workspace_app", "port_forwarding", "tunnel"}
FIELD_OF = {
    "organization_id": ("OrganizationID",), "workspace_owner_id": ("WorkspaceOwnerID",), "workspace_id": ("WorkspaceID",),
    "workspace_name": ("WorkspaceName",), "agent_name": ("AgentName",), "agent_id": ("AgentID",), "user_id": ("UserID",),
    "user_agent": ("UserAgent",), "code": ("Code",), "connection_id": ("ConnectionID",),
    "client_session_id": ("ClientSessionID",), "disconnect_reason": ("DisconnectReason", "CloseReason"),
}  # fmt: skip
KNOWN = {name for names in FIELD_OF.values() for name in names} | {
    "ID", "Time", "ConnectionStatus", "ConnectionAction", "Type", "ConnectionMethod", "SlugOrPort", "AppNameOrPort",
    "Ip", "IP",
}  # fmt: skip


class Lost:
    """The truth can't be had from the text: nothing is asked of the key."""


def truths(path: Path) -> list[dict[str, Any]]:
    """The truth beside a log file, one object an event, in order."""
    beside = path.with_name(path.name.removesuffix(".log") + ".truth.ndjson")
    return [json.loads(line) for line in beside.read_bytes().split(b"\n") if line]


def instant(text: str) -> str:
    """A time as the record writes it, worked out with datetime."""
    found = re.fullmatch(r"(.{19})(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    assert found, text
    moment = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")).astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{(found[2] or '').ljust(9, '0')}Z"


def expected(truth: dict[str, Any], form: str) -> dict[str, Any]:
    """The record's keys of one true event as a perfect parser gives them; ``Lost`` where nothing can be asked."""
    fields = dict(truth["fields"])
    for name in truth.get("lossy", []):
        fields[name] = truth.get("recoverable", {}).get(name, Lost)
    for name in truth.get("absent_in_log") or []:
        fields.pop(name, None)
    record: dict[str, Any] = dict.fromkeys(FIELD_OF)
    for key, names in FIELD_OF.items():
        for name in names:
            if name in fields:
                value = fields[name]
                record[key] = value if value != "" else None
    record["id"] = fields["ID"]
    record["time"] = instant(fields["Time"])
    status: str = fields.get("ConnectionStatus") or fields["ConnectionAction"]
    record["status"] = {"connect": "connected", "disconnect": "disconnected"}.get(status, status)
    record["request_id"] = truth["request_id"]
    record["ip"] = address(fields.get("Ip", fields.get("IP")))
    record["type"], record["method"], record["app"], record["slug_or_port"] = kind(fields)
    extra = {}
    for name, value in fields.items():
        if name not in KNOWN and name not in ("trace", "span"):
            extra[name] = as_text(value) if form == "human" else value
    for name, value in (truth.get("extra_fields") or {}).items():
        extra[name.replace(" ", "_") if form == "human" else name] = as_text(value) if form == "human" else value
    record["extra"] = extra
    stamp = instant(truth["log_time"])
    record["log.time"] = stamp[:23] + "000000Z" if form == "human" else stamp
    record["log.level"] = truth["level"]
    record["log.logger"] = truth["logger"]
    record["log.format"] = form
    for name in ("trace", "span"):
        record[f"log.{name}"] = Lost if name in truth.get("lossy", []) else truth.get(name)
    return record


def as_text(value: Any) -> str | None:
    return None if value is None or value == "<nil>" else value if isinstance(value, str) else json.dumps(value)


def address(value: str | None) -> str | None:
    if not value:
        return None
    parsed = ipaddress.ip_address(value)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def kind(fields: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """The table of type, method, app and slug."""
    if "ConnectionMethod" in fields:
        method, named = fields["ConnectionMethod"], fields.get("AppNameOrPort") or None
        if method in ("ssh", "reconnecting_pty"):
            return (named or method if named is not Lost else Lost), method, named, None
        return method, method, None, named
    value, slug = fields["Type"], fields.get("SlugOrPort") or None
    if value in PLAIN:
        return value, value, None, slug
    if value.lower().replace("-", "_") in OVER_SSH:
        return value, "ssh", value, slug
    connected = fields.get("ConnectionID") is not None
    return value, "ssh" if connected else None, value if connected else None, slug


def differences(truth: dict[str, Any], record: dict[str, Any], form: str) -> list[str]:
    """What differs between a record (full JSON form) and the truth: one line a key."""
    out: list[str] = []
    for key, want in expected(truth, form).items():
        if want is Lost:
            continue
        have = record["log"][key[4:]] if key.startswith("log.") else record[key]
        if key == "extra":
            if form == "stackdriver":
                have = sink_kept(have, truth, out)
            lost = {name for name, value in want.items() if value is Lost} | {"trace", "span"}
            want = {name: value for name, value in want.items() if name not in lost}
            have = {name: value for name, value in have.items() if name not in lost}
        if have != want or type(have) is not type(want):
            out.append(f"line {truth['line']}: {key}: {have!r} is not {want!r}")
    if record["source"]["offset"] != truth["offset"]:
        out.append(f"line {truth['line']}: offset {record['source']['offset']} is not {truth['offset']}")
    return out


def sink_kept(have: dict[str, Any], truth: dict[str, Any], out: list[str]) -> dict[str, Any]:
    """``extra`` without what the flat form says of a trace beside its id: its whole name, and the sampling flag."""
    rest = dict(have)
    whole = rest.pop("logging.googleapis.com/trace", None)
    sampled = rest.pop("logging.googleapis.com/trace_sampled", None)
    traced = truth.get("trace") is not None and "trace" not in truth.get("lossy", [])
    if traced and not (re.fullmatch(r"projects/[^/]+/traces/" + truth["trace"], str(whole)) and type(sampled) is bool):
        out.append(f"line {truth['line']}: extra: {whole!r} and {sampled!r} are not the trace's")
    return rest


class Score:
    """How a file's records stand against its truth."""

    def __init__(self) -> None:
        self.events = self.keys = 0
        self.problems: list[str] = []

    def hold(self, path: Path, records: Iterable[dict[str, Any]], malformed: Iterable[int], form: str) -> None:
        """Compares all records of a file, and the lines of its malformed entries, with its truth."""
        wanted = [truth for truth in truths(path) if not truth.get("unreadable")]
        unreadable = sorted(truth["line"] for truth in truths(path) if truth.get("unreadable"))
        by_id: dict[str, list[dict[str, Any]]] = {}
        records = list(records)
        for record in records:
            by_id.setdefault(record["id"], []).append(record)
        if [record["id"] for record in records] != [truth["fields"]["ID"] for truth in wanted]:
            self.problems.append(f"{path.name}: the events or their order differ")
        for truth in wanted:
            found = by_id.pop(truth["fields"]["ID"], [])
            self.events += 1
            if len(found) != 1:
                self.problems.append(f"{path.name}: line {truth['line']}: {len(found)} records of this event")
                continue
            self.keys += len(expected(truth, form))
            self.problems += [f"{path.name}: {problem}" for problem in differences(truth, found[0], form)]
        self.problems += [f"{path.name}: invented: {id_}" for id_ in by_id]
        if sorted(malformed) != unreadable:
            self.problems.append(f"{path.name}: malformed at {sorted(malformed)}, not {unreadable}")


TOTALS: dict[str, Score] = {}
"""The score of each file held so far, shown in the test run's summary."""


def form_of(path: Path) -> str:
    """The logger's format of a corpus file."""
    return next(form for form in ("human", "json", "stackdriver", "api") if form in path.name.replace("-api", ""))
