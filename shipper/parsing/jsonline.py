"""The JSON and stackdriver forms: one JSON object to an event's fields.

A line takes ``orjson.loads``. Where its text may hold a key twice, or where orjson refuses, the standard library's
decoder reads it pair by pair, so that nothing on the line is lost; the two are equal in result (property test).
Facts: slog's slogjson and slogstackdriver sinks; in the flat stackdriver form a context field may repeat
``message`` or ``severity``, and the first of two is the logger's own.
"""

from __future__ import annotations

import json

import orjson

from shipper.alias import LEVELS, OWN_KEYS
from shipper.parsing.pairs import Pairs, TooDeep, constant, integer, plain, real
from shipper.parsing.result import Parsed, Refused, gather
from shipper.pattern import pattern
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import decode
from shipper.timestamp import canonical, from_ns

_HEAD_BYTES = 4096
_MESSAGE = pattern(rb'"(?:msg|message)"\s*+:\s*+"((?:[^"\\]|\\.){0,64})"')
_LOGGER = pattern(rb'(?:"logger_names"\s*+:\s*+\[\s*+|"producer"\s*+:\s*+)"coderd(?:[".])')
_BEGUN = pattern(rb'"(?:ts|severity)"\s*+:\s*+"')
_LEVEL = pattern(rb'"(?:level|severity)"\s*+:\s*+"')
_EVENT = pattern(rb'"(?:msg|message)"\s*+:\s*+"connection_log"')
_FLAT = pattern(rb'"message"\s*+:\s*+"connection_log"')
_CAREFUL = frozenset({float, list, dict})
_FLAT_CAREFUL = frozenset({float, list})  # the sink's own objects are known by their number of keys
_TOP = ("ts", "level", "msg", "caller", "func", "logger_names", "trace", "span", "fields")
_USUAL = frozenset(
    {
        ("ts", "level", "msg", "caller", "func", "logger_names", "fields"),
        ("ts", "level", "msg", "caller", "func", "logger_names", "trace", "span", "fields"),
    }
)
_SD = "logging.googleapis.com/"
_PLACE = frozenset({"file", "line", "function"})
_SD_TOP = frozenset(
    {"severity", "message", "timestampSeconds", "timestampNanos"}
    | {_SD + name for name in ("severity", "sourceLocation", "operation", "trace", "spanId", "trace_sampled")}
)

HEADER_KEYS = frozenset(_TOP) | _SD_TOP
"""What loggers are known to write beside an event's own fields."""


class JsonParser:
    """Parses JSON entries of both kinds; ``log_type`` is the class of ``Log`` to give."""

    def __init__(self, log_type: type[Log] = CompactLog) -> None:
        self._log_type = log_type

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
                if raw.count(b'":') != len(top) + len(fields) or not _CAREFUL.isdisjoint(map(type, fields.values())):
                    return self._carefully(raw)
                if tuple(top) not in _USUAL and not _CAREFUL.isdisjoint(
                    type(value) for key, value in top.items() if key not in _TOP
                ):
                    return self._carefully(raw)
                return self._from_sink(top, fields, None)
        elif top.get("message") == "connection_log":
            if raw.count(b'":') != len(top) + 4 or not _FLAT_CAREFUL.isdisjoint(map(type, top.values())):
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
        ts = get("ts")
        level = get("level")
        time = canonical(ts) if type(ts) is str else None
        unused = {key: value for key, value in top.items() if key not in _TOP} if tuple(top) not in _USUAL else {}
        if time is None and ts is not None:
            unused["ts"] = ts
        for key in ("level", "caller", "func", "trace", "span"):
            value = get(key)
            if value is not None and type(value) is not str:
                unused[key] = value
        if unused:
            beside = _joined(unused, beside)
        log = self._log_type(
            time,
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
        span = top.get(_SD + "spanId")
        trace_id = trace.rpartition("/")[2] if trace else None
        unused: dict[str, JsonValue] = {}
        if type(level) is not str:
            unused["severity"] = level
        if time is None:
            unused["timestampSeconds"], unused["timestampNanos"] = seconds, nanos
        if top.get(_SD + "severity", level) != level:
            unused[_SD + "severity"] = top[_SD + "severity"]
        if (caller is None and place) or (type(place) is dict and not place.keys() <= _PLACE):
            unused[_SD + "sourceLocation"] = place
        if type(operation) is dict and len(operation) > 1:
            unused[_SD + "operation"] = operation
        if type(span) is not str:
            unused[_SD + "spanId"] = span
        if trace_id != top.get(_SD + "trace"):
            unused[_SD + "trace"] = top.get(_SD + "trace")
        unused[_SD + "trace_sampled"] = top.get(_SD + "trace_sampled")
        unused = {key: value for key, value in unused.items() if value is not None}
        if unused:
            beside = _joined(unused, beside)
        log = self._log_type(
            time,
            LEVELS.get(level, level.lower()) if type(level) is str else None,
            logger,
            "stackdriver",
            caller,
            func,
            trace_id,
            _text(span),
        )
        kept = [(key, value) for key, value in top.items() if key not in _SD_TOP]
        return Parsed(tuple(key for key, _ in kept), [value for _, value in kept], log, False, beside)

    # -- the careful way -------------------------------------------------------------------

    def _carefully(self, raw: bytes) -> Parsed | Refused | None:
        """As ``parse``, where the first of two equal keys wins and the other's value is kept beside."""
        try:
            pairs = json.loads(
                decode(raw),
                object_pairs_hook=Pairs,
                parse_int=integer,
                parse_float=real,
                parse_constant=constant,
            )
        except (ValueError, RecursionError) as error:
            return Refused(f"this is no JSON that can be read: {_words(error)}", 0) if _torn(raw) else None
        if not isinstance(pairs, Pairs):
            return None
        beside: dict[str, JsonValue] = {}
        try:
            top = pairs.first(beside, "fields")
            fields = top.get("fields")
            if top.get("msg") == "connection_log" and isinstance(fields, Pairs):
                own = fields.first(beside)
                return None if OWN_KEYS.isdisjoint(own) else self._from_sink(top, own, beside)
            if top.get("message") == "connection_log":
                if isinstance(fields, Pairs):
                    top["fields"] = plain(fields)
                return self._from_stackdriver(top, beside)
        except TooDeep:
            return Refused("a value is nested too deeply", 0) if _torn(raw) else None
        return None

    def _broken(self, raw: bytes, error: orjson.JSONDecodeError) -> Parsed | Refused | None:
        if not _torn(raw):
            return None
        careful = self._carefully(raw)
        if isinstance(careful, Refused) and "nested" not in careful.reason:
            at = min(error.pos, len(raw))
            end = at >= len(raw.rstrip())
            return Refused("the JSON ends before it is complete" if end else f"the JSON is broken: {_words(error)}", at)
        return careful


def _joined(unused: dict[str, JsonValue], beside: dict[str, JsonValue] | None) -> dict[str, JsonValue]:
    for key, value in (beside or {}).items():
        gather(unused, key, value)
    return unused


def _ours(raw: bytes) -> bool:
    """Whether a line that is no readable event begins like one: with the message and the logger.

    Whether it has a key of an event nobody can tell of a line that is cut or broken.
    """
    found = _MESSAGE.search(raw, 0, _HEAD_BYTES)
    return found is not None and found[1] == b"connection_log" and _LOGGER.search(raw, 0, _HEAD_BYTES) is not None


def _torn(raw: bytes) -> bool:
    """Whether a line that is no whole JSON has an event in it, or the beginning of one: the message, not inside a
    text, and the header before it or the logger anywhere. A line may be torn, and another one follow on it."""
    if _ours(raw):
        return True
    found = _EVENT.search(raw)
    if found is None:
        return False
    at = found.start()
    return (_BEGUN.search(raw, 0, at) is not None and _LEVEL.search(raw, 0, at) is not None) or _LOGGER.search(
        raw
    ) is not None


def form_of(raw: bytes) -> str:
    """The form of a line that was refused: ``json`` or ``stackdriver``."""
    return "stackdriver" if _FLAT.search(raw) is not None else "json"


def _text(value: JsonValue) -> str | None:
    return value if type(value) is str and value else None


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split(": line ")[0][:120]
