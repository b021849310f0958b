"""The JSON and stackdriver forms: one JSON object to an event's fields.

Three ways, equal in result (property test). The usual line has a key sequence that was met before, and a
decoder of its own for it. Other lines take ``orjson.loads``. Where the text may hold a
key twice, or where orjson refuses, the standard library's decoder reads it pair by pair, so that nothing on
the line is lost.
Facts: slog's slogjson and slogstackdriver sinks; in the flat stackdriver form a context field may repeat
``message`` or ``severity``, and the first of two is the logger's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec.structs import astuple

from shipper.alias import KEYS, LEVELS, OWN_KEYS
from shipper.parsing.pairs import Pairs, TooDeep, constant, integer, plain, real
from shipper.parsing.result import Parsed, Refused, gather
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import decode
from shipper.timestamp import canonical, from_ns

_HEAD_BYTES = 4096
_MESSAGE = re.compile(rb'"(?:msg|message)"\s*+:\s*+"((?:[^"\\]|\\.){0,64})"')
_LOGGER = re.compile(rb'(?:"logger_names"\s*+:\s*+\[\s*+|"producer"\s*+:\s*+)"coderd(?:[".])')
_BEGUN = re.compile(rb'"(?:ts|severity)"\s*+:\s*+"')
_LEVEL = re.compile(rb'"(?:level|severity)"\s*+:\s*+"')
_EVENT = re.compile(rb'"(?:msg|message)"\s*+:\s*+"connection_log"')
_FLAT = re.compile(rb'"message"\s*+:\s*+"connection_log"')
_spoils_shape = re.compile(r'["\\\x00-\x1f\x7f]').search
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


SHAPES_MAX_COUNT = 64
"""Key sequences that get a decoder of their own; lines of further ones take the general way."""
SHAPE_KEYS_MAX_COUNT = 64
"""Keys of a line that is remembered as a shape."""

_CODES = frozenset(KEYS["code"])
_Code = Annotated[int, msgspec.Meta(ge=-0x80000000, le=0x7FFFFFFF)] | None


class _Shape:
    """One key sequence: a decoder for lines that have exactly these keys, text or null at each."""

    __slots__ = ("code_at", "decode", "keys", "quotes")

    def __init__(self, keys: tuple[str, ...]) -> None:
        names = {f"f{at}": key for at, key in enumerate(keys)}
        fields = msgspec.defstruct(
            "Fields",
            [(name, _Code if key in _CODES else str | None) for name, key in names.items()],
            rename=names,
            forbid_unknown_fields=True,
            gc=False,
        )
        line = msgspec.defstruct(
            "Line",
            [
                ("ts", str),
                ("level", str),
                ("msg", Literal["connection_log"]),
                ("caller", str),
                ("func", str),
                ("logger_names", list[str]),
                ("fields", fields),
                ("trace", str | None, None),
                ("span", str | None, None),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self.keys = keys
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(line).decode
        self.code_at = next((at for at, key in enumerate(keys) if key in _CODES), None)
        # Quotes of a line with one logger name and text at every key. A key that is there twice shows as more.
        self.quotes = 2 * (7 + 5 + 1 + 2 * len(keys))


class JsonParser:
    """Parses JSON entries of both kinds; ``log_type`` is the class of ``Log`` to give."""

    def __init__(self, log_type: type[Log] = CompactLog) -> None:
        self._log_type = log_type
        self._buckets: dict[bytes, list[_Shape]] = {}
        self._shapes: set[tuple[str, ...]] = set()

    def parse(self, raw: bytes) -> Parsed | Refused | None:
        """The fields of one JSON document, why it was refused, or None: not ours."""
        return self.parse_fast(raw) or self.parse_slow(raw)

    def parse_fast(self, raw: bytes) -> Parsed | None:
        """The fields of a line whose key sequence was met before, or None where it is left to the other ways."""
        start = raw.find(b'"fields":{"', 100) + 11
        bucket = self._buckets.get(raw[start : raw.find(b'"', start)])
        if bucket is None:
            return None
        for shape in bucket:
            try:
                line = shape.decode(raw)
                break
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
        else:
            return None
        logger = line.logger_names
        if len(logger) != 1:
            return None
        logger = logger[0]
        if logger != "coderd" and not logger.startswith("coderd."):
            return None
        values = list(astuple(line.fields))
        textless = values.count(None)
        if shape.code_at is not None and values[shape.code_at] is not None:
            textless += 1
        quotes = shape.quotes - 2 * textless
        trace, span = line.trace, line.span
        if trace is not None or span is not None:
            quotes += 8
        if raw.count(b'"') != quotes:
            return None  # a key twice, or a value that holds quotes: the slow way tells which
        time = canonical(line.ts)
        if time is None:
            return None  # no time in a known form: the slow way keeps its text
        level = line.level
        log = self._log_type(
            time,
            LEVELS.get(level) or level.lower(),
            logger,
            "json",
            line.caller or None,
            line.func or None,
            trace or None,
            span or None,
        )
        return Parsed(shape.keys, values, log, False)

    def _learn(self, fields: dict[str, JsonValue]) -> None:
        """Remembers the key sequence of a usual line, if every key holds what its place in a shape can hold."""
        keys = tuple(fields)
        if (
            len(self._shapes) < SHAPES_MAX_COUNT
            and len(keys) <= SHAPE_KEYS_MAX_COUNT
            and keys not in self._shapes
            and not any(map(_spoils_shape, keys))
            and all(value is None or type(value) is str or key in _CODES for key, value in fields.items())
        ):
            self._shapes.add(keys)
            self._buckets.setdefault(keys[0].encode(), []).append(_Shape(keys))

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
                if raw.count(b'":') != len(top) + len(fields) or not _CAREFUL.isdisjoint(map(type, fields.values())):
                    return self._carefully(raw)
                if tuple(top) in _USUAL:
                    self._learn(fields)
                elif not _CAREFUL.isdisjoint(type(value) for key, value in top.items() if key not in _TOP):
                    return self._carefully(raw)
                return self._from_sink(top, fields, None)
        elif top.get("message") == "connection_log" and "timestampSeconds" in top:
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
            if top.get("message") == "connection_log" and "timestampSeconds" in top:
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
