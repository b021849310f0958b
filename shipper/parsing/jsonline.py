"""The JSON and stackdriver forms: one JSON object to an event's fields.

Three ways, equal in result (property test). The usual line has a key sequence that was met before and is
taken apart by one regular expression for it. Other lines take ``orjson.loads``. Where the text may hold a
key twice, or where orjson refuses, the standard library's decoder reads it pair by pair, so that nothing on
the line is lost.
Facts: slog's slogjson and slogstackdriver sinks; in the flat stackdriver form a context field may repeat
``message`` or ``severity``, and the first of two is the logger's own.
"""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from shipper.alias import KEYS, LEVELS, OWN_KEYS
from shipper.parsing.result import Parsed, Refused
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import decode
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


SHAPES_MAX_COUNT = 64
"""Key sequences that get a regular expression of their own; lines of further ones take the general path."""

_STRING = r'"([^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+)"'
_SHAPE_HEAD = (
    rf'\{{"ts":{_STRING},"level":{_STRING},"msg":"connection_log","caller":{_STRING},"func":{_STRING},'
    rf'"logger_names":\["(coderd(?:\.[^"\\\x00-\x1f]++)?)"\](?:,"trace":{_STRING},"span":{_STRING})?,"fields":\{{'
)
_CODES = frozenset(KEYS["code"])


class _Shape:
    """One key sequence: its keys, and the expression that takes the values out of a line."""

    __slots__ = ("code_at", "keys", "match")

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys
        self.code_at = next((at for at, key in enumerate(keys) if key in _CODES), None)
        number = r"(-?(?:0|[1-9]\d{0,9}))"
        fields = ",".join(f'"{re.escape(key)}":(?:{_STRING if key not in _CODES else number}|null)' for key in keys)
        self.match = re.compile(f"{_SHAPE_HEAD}{fields}\\}}\\}}").fullmatch


class JsonParser:
    """Parses JSON entries of both kinds; ``log_type`` is the class of ``Log`` to give."""

    def __init__(self, log_type: type[Log] = CompactLog) -> None:
        self._log_type = log_type
        self._buckets: dict[str, list[_Shape]] = {}
        self._shapes: set[tuple[str, ...]] = set()

    def parse(self, raw: bytes) -> Parsed | Refused | None:
        """The fields of one JSON document, why it was refused, or None: not ours."""
        return self.parse_fast(raw) or self.parse_slow(raw)

    def parse_fast(self, raw: bytes) -> Parsed | None:
        """The fields of a line whose key sequence was met before, or None where it is left to the other ways."""
        text = decode(raw)
        start = text.find('"fields":{"') + 11
        bucket = self._buckets.get(text[start : text.find('"', start)])
        if bucket is None:
            return None
        for shape in bucket:
            found = shape.match(text)
            if found is not None:
                break
        else:
            return None
        values: list[JsonValue]
        ts, level, caller, func, logger, trace, span, *values = found.groups()
        if "\\" in text:
            try:
                ts, caller, func, trace, span, *values = (
                    value if value is None or "\\" not in value else orjson.loads(f'"{value}"')
                    for value in (ts, caller, func, trace, span, *values)
                )
            except orjson.JSONDecodeError:
                return None
        if shape.code_at is not None and (code := values[shape.code_at]) is not None:
            values[shape.code_at] = int(code)
        log = self._log_type(
            canonical(ts),
            LEVELS.get(level) or level.lower(),
            logger,
            "json",
            caller or None,
            func or None,
            trace or None,
            span or None,
        )
        return Parsed(shape.keys, values, log, False)

    def _learn(self, fields: dict[str, JsonValue]) -> None:
        """Remembers the key sequence of a usual line, if every key holds what its place in a shape can hold."""
        keys = tuple(fields)
        if (
            len(self._shapes) < SHAPES_MAX_COUNT
            and keys not in self._shapes
            and all(value is None or type(value) is str or key in _CODES for key, value in fields.items())
        ):
            self._shapes.add(keys)
            self._buckets.setdefault(keys[0], []).append(_Shape(keys))

    def parse_slow(self, raw: bytes) -> Parsed | Refused | None:
        """As ``parse``, by decoders of JSON."""
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
                if raw.count(b'":') != len(top) + len(fields) or float in map(type, fields.values()):
                    return self._carefully(raw)
                if tuple(top) in _USUAL:
                    self._learn(fields)
                return self._from_sink(top, fields, None)
        elif top.get("message") == "connection_log" and "timestampSeconds" in top:
            if raw.count(b'":') != len(top) + 4:
                return self._carefully(raw)
            return self._from_stackdriver(top, None)
        if _ours(raw):
            return self._carefully(raw)
        return None

    def _from_sink(
        self, top: dict[str, JsonValue], fields: dict[str, JsonValue], beside: dict[str, JsonValue] | None
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
            beside = {**{key: value for key, value in top.items() if key not in _TOP}, **(beside or {})}
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

    def _from_stackdriver(self, top: dict[str, JsonValue], beside: dict[str, JsonValue] | None) -> Parsed | None:
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
            pairs = json.loads(
                decode(raw),
                object_pairs_hook=_Pairs,
                parse_int=_integer,
                parse_float=_float,
                parse_constant=_constant,
            )
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


def _integer(text: str) -> int | str:
    """A whole number; one that 64 bits can't hold is kept as its text."""
    number = int(text) if len(text) < 20 else None
    return number if number is not None and -(2**63) <= number < 2**63 else text


def _float(text: str) -> float | str:
    """A number; one that is beyond a double is kept as its text."""
    number = float(text)
    return number if abs(number) != float("inf") else text


def _constant(text: str) -> JsonValue:
    raise ValueError(f"{text} is no JSON")


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
