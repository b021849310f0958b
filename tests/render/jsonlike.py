"""The JSON and stackdriver sinks of each era: an ``Entry`` to the bytes they write, with the newline."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import datetime

from tests.render.entry import Address, Code, Entry, Mapping, Moment, Number, Text, Uuid, Value
from tests.render.golang import json_string, rfc3339_nano, trim_space

_LEVELS = {
    "debug": "DEBUG", "info": "INFO", "warn": "WARN", "error": "ERROR", "critical": "CRITICAL", "fatal": "FATAL",
}  # fmt: skip
_SEVERITIES = {**_LEVELS, "warn": "WARNING", "fatal": "CRITICAL"}
PROJECT = "acme-prod-1234"


def json(entry: Entry, era: str) -> bytes:
    """The record as slogjson writes it."""
    top: list[tuple[str, bytes]] = [
        ("ts", _text(rfc3339_nano(entry.time))),
        ("level", _text(_LEVELS[entry.level])),
        ("msg", json_string(entry.message)),
        ("caller", _text(f"{entry.caller}:{entry.line}")),
        ("func", _text(entry.func)),
    ]
    if entry.logger:
        top.append(("logger_names", b"[" + b",".join(map(_text, entry.logger)) + b"]"))
    if entry.trace:
        top += [("trace", _text(entry.trace)), ("span", _text(entry.span))]
    fields = [(key, _value(value, era)) for key, value in entry.context + entry.fields]
    if fields:
        top.append(("fields", _object(fields)))
    return _object(top) + b"\n"


def json_beside_human(entry: Entry, era: str) -> bytes:
    """The record as slogjson writes it when a human sink of the same logger came first.

    Before v3 that one takes a many-line field out of the list both share: the field is missing here, and
    the last one stands twice. With a span the list is copied first, and nothing happens.
    """
    fields = entry.context + entry.fields
    if era in ("seed", "valuer") and not entry.trace:
        for at, (_, value) in enumerate(fields):
            if isinstance(value, Text) and not value.named and b"\n" in trim_space(value.raw):
                fields = (*fields[:at], *fields[at + 1 :], fields[-1])
                break
    return json(replace(entry, context=(), fields=fields), era)


def stackdriver(entry: Entry, era: str) -> bytes:
    """The record as slogstackdriver writes it: flat, fields at the top level."""
    google = "logging.googleapis.com/"
    severity = _text(_SEVERITIES[entry.level])
    nanos = entry.time[19:].strip(".Z").ljust(9, "0")
    place = [("file", _text(entry.caller)), ("line", str(entry.line).encode()), ("function", _text(entry.func))]
    top: list[tuple[str, bytes]] = [
        (google + "severity", severity),
        ("severity", severity),
        ("message", json_string(entry.message)),
        ("timestampSeconds", str(calendar.timegm(datetime.fromisoformat(entry.time[:19]).timetuple())).encode()),
        ("timestampNanos", str(int(nanos)).encode()),
        (google + "sourceLocation", _object(place)),
    ]
    if entry.logger:
        top.append((google + "operation", _object([("producer", _text(".".join(entry.logger)))])))
    if entry.trace:
        top += [
            (google + "trace", _text(f"projects/{PROJECT}/traces/{entry.trace}")),
            (google + "spanId", _text(entry.span)),
            (google + "trace_sampled", b"true" if entry.sampled else b"false"),
        ]
    top += [(key, _value(value, era)) for key, value in entry.context + entry.fields]
    return _object(top) + b"\n"


def _value(value: Value, era: str) -> bytes:
    match value:
        case Text(raw):
            return json_string(raw)
        case Uuid(text):
            return b"null" if text is None else _text(text)
        case Address(text):
            return _text("<nil>" if text is None else text)
        case Code(number):
            if era == "seed":
                return _text(f"{{Int32:{number or 0} Valid:{'false' if number is None else 'true'}}}")
            return b"null" if number is None else str(number).encode()
        case Number(number):
            return str(number).encode()
        case Mapping(json_text):
            return json_text
        case Moment(utc, offset, _, _):
            return _text(rfc3339_nano(utc, offset))


def _text(text: str) -> bytes:
    return json_string(text.encode())


def _object(pairs: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(_text(key) + b":" + value for key, value in pairs) + b"}"
