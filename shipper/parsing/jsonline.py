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
from shipper.parsing.result import Parsed, Refused
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import decode
from shipper.timestamp import canonical, from_ns

_HEAD_BYTES = 4096
_MESSAGE = re.compile(rb'"(?:msg|message)"\s*+:\s*+"((?:[^"\\]|\\.){0,64})"')
_LOGGER = re.compile(rb'(?:"logger_names"\s*+:\s*+\[\s*+|"producer"\s*+:\s*+)"coderd(?:[".])')
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
            except msgspec.MsgspecError:
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
        level = line.level
        log = self._log_type(
            canonical(line.ts),
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
    """Whether a line that is no readable event begins like one: with the message and the logger.

    Whether it has a key of an event nobody can tell of a line that is cut or broken.
    """
    found = _MESSAGE.search(raw, 0, _HEAD_BYTES)
    return found is not None and found[1] == b"connection_log" and _LOGGER.search(raw, 0, _HEAD_BYTES) is not None


def _text(value: JsonValue) -> str | None:
    return value if type(value) is str and value else None


def _words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).split(": line ")[0][:120]
