"""The JSON and stackdriver forms: one JSON object to an event's fields.

The way of every line is one ``orjson.loads``. Only where the text may hold a key twice, or where orjson
refuses, the standard library's decoder reads it again, pair by pair, so that nothing on the line is lost.
Facts: slog's slogjson and slogstackdriver sinks; in the flat stackdriver form a context field may repeat
``message`` or ``severity``, and the first of two is the logger's own.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from shipper.alias import LEVELS, OWN_KEYS
from shipper.parsing.result import Parsed, Refused
from shipper.text import decode
from shipper.record import CompactLog, JsonValue, Log
from shipper.timestamp import canonical, from_ns

_HEAD_BYTES = 4096
_MESSAGE = re.compile(rb'"(?:msg|message)"\s*+:\s*+"((?:[^"\\]|\\.){0,64})"')
_LOGGER = re.compile(rb'(?:"logger_names"\s*+:\s*+\[\s*+|"producer"\s*+:\s*+)"coderd(?:[".])')
_OWN = re.compile(rb'"(?:' + b"|".join(sorted(key.encode() for key in OWN_KEYS)) + rb')"\s*+:')
_TOP = ("ts", "level", "msg", "caller", "func", "logger_names", "trace", "span", "fields")
_USUAL = frozenset(
    {
        ("ts", "level", "msg", "caller", "func", "logger_names", "fields"),
        ("ts", "level", "msg", "caller", "func", "logger_names", "trace", "span", "fields"),
    }
)
_SD = "logging.googleapis.com/"
_SD_TOP = frozenset(
    {"severity", "message", "timestampSeconds", "timestampNanos"}
    | {_SD + name for name in ("severity", "sourceLocation", "operation", "trace", "spanId", "trace_sampled")}
)


class JsonParser:
    """Parses JSON entries of both kinds; ``log_type`` is the class of ``Log`` to give."""

    def __init__(self, log_type: type[Log] = CompactLog) -> None:
        self._log_type = log_type
        self._callers: dict[str, str] = {}

    def parse(self, raw: bytes) -> Parsed | Refused | None:
        """The fields of one JSON document, why it was refused, or None: not ours."""
        try:
            top = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            return self._broken(raw, error)
        if type(top) is not dict:
            return None
        if top.get("msg") == "connection_log":
            fields = top.get("fields")
            if type(fields) is dict and not OWN_KEYS.isdisjoint(fields):
                # A key twice is lost in a dict: the raw text has more `":` than the dict has keys. Values
                # hold `":` as well, now and then; then the careful way finds the same as this one.
                if raw.count(b'":') != len(top) + len(fields):
                    return self._carefully(raw)
                return self._from_sink(top, fields, {})
        elif top.get("message") == "connection_log" and "timestampSeconds" in top:
            if raw.count(b'":') != len(top) + 4:
                return self._carefully(raw)
            return self._from_stackdriver(top, {})
        if _ours(raw):
            return self._carefully(raw)
        return None

    def _from_sink(
        self, top: dict[str, JsonValue], fields: dict[str, JsonValue], beside: dict[str, JsonValue]
    ) -> Parsed | Refused | None:
        get = top.get
        names = get("logger_names")
        if type(names) is not list or not names:
            return None
        if len(names) == 1:
            logger = names[0]
        else:
            logger = ".".join(name if type(name) is str else str(name) for name in names)
        if logger != "coderd" and not (type(logger) is str and logger.startswith("coderd.")):
            return None
        if tuple(top) not in _USUAL:
            beside = {**{key: value for key, value in top.items() if key not in _TOP}, **beside}
        ts = get("ts")
        level = get("level")
        log = self._log_type(
            canonical(ts) if type(ts) is str else None,
            LEVELS.get(level, level.lower()) if type(level) is str else None,
            logger,
            "json",
            _text(get("caller")),
            _text(get("func")),
            _text(get("trace")),
            _text(get("span")),
        )
        return Parsed(tuple(fields), list(fields.values()), log, False, beside)

    def _from_stackdriver(self, top: dict[str, JsonValue], beside: dict[str, JsonValue]) -> Parsed | None:
        if OWN_KEYS.isdisjoint(top):
            return None
        operation = top.get(_SD + "operation")
        logger = operation.get("producer") if type(operation) is dict else None
        if type(logger) is not str or (logger != "coderd" and not logger.startswith("coderd.")):
            return None
        seconds, nanos = top.get("timestampSeconds"), top.get("timestampNanos")
        time = from_ns(seconds * 1_000_000_000 + nanos) if type(seconds) is int and type(nanos) is int else None
        place = top.get(_SD + "sourceLocation")
        caller = func = None
        if type(place) is dict:
            func = _text(place.get("function"))
            file = _text(place.get("file"))
            caller = f"{file}:{place.get('line')}" if file else None
        level = top.get("severity")
        trace = _text(top.get(_SD + "trace"))
        log = self._log_type(
            time,
            LEVELS.get(level, level.lower()) if type(level) is str else None,
            logger,
            "stackdriver",
            caller,
            func,
            trace.rpartition("/")[2] if trace else None,
            _text(top.get(_SD + "spanId")),
        )
        kept = [(key, value) for key, value in top.items() if key not in _SD_TOP]
        return Parsed(tuple(key for key, _ in kept), [value for _, value in kept], log, False, beside)

    # -- the careful way -------------------------------------------------------------------

    def _carefully(self, raw: bytes) -> Parsed | Refused | None:
        """As ``parse``, where the first of two equal keys wins and the other's value is kept beside."""
        try:
            pairs = json.loads(decode(raw), object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            return Refused(f"this is no JSON that can be read: {_words(error)}", 0) if _ours(raw) else None
        if not isinstance(pairs, _Pairs):
            return None
        beside: dict[str, JsonValue] = {}
        top = pairs.first(beside)
        if top.get("msg") == "connection_log" and isinstance(top.get("fields"), _Pairs):
            fields = top["fields"].first(beside)
            if OWN_KEYS.isdisjoint(fields):
                return None
            top = {key: _plain(value) for key, value in top.items()}
            fields = {key: _plain(value) for key, value in fields.items()}
            return self._from_sink(top, fields, {key: _plain(value) for key, value in beside.items()})
        if top.get("message") == "connection_log" and "timestampSeconds" in top:
            top = {key: _plain(value) for key, value in top.items()}
            return self._from_stackdriver(top, {key: _plain(value) for key, value in beside.items()})
        return None

    def _broken(self, raw: bytes, error: orjson.JSONDecodeError) -> Parsed | Refused | None:
        if not _ours(raw):
            return None
        careful = self._carefully(raw)
        if isinstance(careful, Refused):
            at = min(error.pos, len(raw))
            end = at >= len(raw.rstrip())
            return Refused("the JSON ends before it is complete" if end else f"the JSON is broken: {_words(error)}", at)
        return careful


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, in order, with every repetition."""

    def first(self, beside: dict[str, JsonValue]) -> dict[str, Any]:
        """The first value of each key; a later one that differs goes to ``beside``."""
        out: dict[str, Any] = {}
        for key, value in self:
            if key not in out:
                out[key] = value
            elif out[key] != value:
                beside[key] = value
        return out


def _plain(value: Any) -> JsonValue:
    if isinstance(value, _Pairs):
        return {key: _plain(inner) for key, inner in value}
    if type(value) is list:
        return [_plain(inner) for inner in value]
    if type(value) is str:
        # A lone surrogate can be written in JSON and is no text.
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not value.isascii() else value
    return value


def _ours(raw: bytes) -> bool:
    """Whether a line that is no readable event begins like one: the message, the logger and a key of an event."""
    found = _MESSAGE.search(raw, 0, _HEAD_BYTES)
    return (
        found is not None
        and found[1] == b"connection_log"
        and _LOGGER.search(raw, 0, _HEAD_BYTES) is not None
        and _OWN.search(raw, 0, 2 * _HEAD_BYTES) is not None
    )


def _text(value: JsonValue) -> str | None:
    return value if type(value) is str and value else None


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split(": line ")[0][:120]
