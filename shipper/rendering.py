"""Rendering: a usual line to an encoded record, field by field, with nothing made in between.

A usual line has a sequence of keys that was met before. It is split at what stands between its fields, and each
field that was met before (a workspace, a user, an address) is a look-up that gives its part of the record's JSON.
A field that is new is read by the terminals of ``grammars/human.lark`` or the rules of JSON, and made a value by
``normalisation``. Whatever does not fit is left to the careful way, which gives the same (property test).
"""

from __future__ import annotations

import json
import re

import msgspec

from shipper.alias import LEVELS
from shipper.form import Form
from shipper.memo import Cache, SecondMemo, TextMemo
from shipper.normalisation import Normaliser
from shipper.parsing.grammar import terminals
from shipper.parsing.human import HumanParser
from shipper.parsing.jsonline import JsonParser
from shipper.parsing.result import Parsed
from shipper.pattern import pattern
from shipper.record import Encoded, Log, Record, Source, encoded
from shipper.shape import Render, ShapeMaker, no_trace, to_json
from shipper.timestamp import canonical
from shipper.value import Odd

SHAPES_MAX_COUNT = 64
"""Key sequences that are rendered; lines of further ones take the careful way."""
SHAPES_MET_MAX_COUNT = 1024
"""Key sequences met once: a shape is made, in a millisecond, for those that come again."""
SHAPE_KEYS_MAX_COUNT = 64
"""Keys of a line that can be a shape."""
SHAPE_KEYS_MAX_CHARACTERS = 2048
"""All these keys together."""

_SIXTY = frozenset(f"{second:02}" for second in range(60))
_ZEROS = tuple("0" * (9 - digits) + 'Z"' for digits in range(10))
_TRACE = ',"trace":"'
_TRACE_IDS = '[0-9a-f]{32}","span":"[0-9a-f]{16}",'
_trace, _traced = pattern(_TRACE_IDS), pattern(_TRACE_IDS + '"fields":{"')
_IDS = 32 + len('","span":"') + 16
"""Characters of a trace's two ids with what stands between them."""
_TRACED = _IDS + len('","fields":{"')
_level = pattern(r"([0-9]{3}) \[([a-z]{4})\]")
_OFFSET = 2**53 - 1
_DIGITS_BEGIN, _DIGITS_END = 27, 36
"""Of a fraction's digits, mostly nine, in ``{"ts":"2026-01-01T10:00:00.000000000Z``."""
_LEVEL_BEGIN, _LEVEL_END = 20, 30
"""Of what stands behind the point in ``2026-01-01 10:00:00.000 [info]``."""


class Renderer:
    """Renders the usual lines of one source, into records that say they are from it. ``learn`` shows it lines that
    the careful way has read; ``log_type`` is the class of ``Log`` that this gives them."""

    def __init__(
        self, source: Source, normaliser: Normaliser, json: JsonParser, human: HumanParser, log_type: type[Log]
    ) -> None:
        self._json = json
        self._human = human
        self._log_type = log_type
        self._no_trace = no_trace(full=normaliser.full)
        cache = Cache()
        self._heads = TextMemo(cache, self._head)
        self._rest, self._head_log, self._log, self._json_fields_at = "\n", "", "", 0
        self._traced_rest, self._traced_log, self._traced_at = "\n", "", 0
        self._logger_rest, self._logger_log, self._human_fields_at = "\n", "", 0
        """What stood in the header that was met last, between what is new in each line and its fields (in one with a trace, up
        to that), its part of the log, and where the fields begin (the trace does) where there are as many digits as mostly:
        the next is mostly the same again."""
        self._levels = TextMemo(cache, _rest_and_level)
        self._loggers = TextMemo(cache, self._logger)
        self._stamps = SecondMemo(self._stamp)
        self._stamp_minutes = TextMemo(cache, self._minute)
        self._minutes = TextMemo(cache, _minute)
        self._seconds = SecondMemo(self._second)
        self._starts = SecondMemo(self._start)
        self._makers = {
            name: self._maker(source, Form(name), normaliser, cache, self._seconds) for name in ("json", "human")
        }
        self._shapes: dict[str, dict[str, list[Render]]] = {"json": {}, "human": {}}
        self._json_shapes, self._human_shapes = self._shapes["json"].get, self._shapes["human"].get
        self._known: set[tuple[str, tuple[str, ...]]] = set()
        self._met: set[tuple[str, tuple[str, ...]]] = set()
        # All lines have the same source, but for the offset.
        whole = to_json(msgspec.structs.replace(source, offset=_OFFSET))
        head, mark, self._source_tail = whole.partition(f'"offset":{_OFFSET}')
        self._source_head = f'"source":{head}{mark.removesuffix(str(_OFFSET))}'

    def render(self, raw: bytes, offset: int, source: str = "") -> Encoded | None:
        """The record of one line, without a line feed; None: it is left to the careful way. It is a bare line at
        ``offset``, or ``source`` is the record's part that says where it was read."""
        origin, place, meta = ("", "", source) if source else (self._source_head, offset, self._source_tail)
        try:
            text = raw.decode()
            if text[0] == "{":
                if text.startswith(self._rest, _DIGITS_END):
                    stamp, log, line = text[_DIGITS_BEGIN:_DIGITS_END], self._log, text[self._json_fields_at :]
                else:
                    stamp, log, line = self._other_head(text)
                shapes = self._json_shapes(line[0], ())
                if not (stamp.isdigit() and stamp.isascii()):
                    return None
                logged = self._starts[text[:_DIGITS_BEGIN]]
            else:
                if text.startswith(self._logger_rest, _LEVEL_END):
                    stamp, line = text[_LEVEL_BEGIN:_LEVEL_END], text[self._human_fields_at :]
                else:
                    stamp, line = self._other_logger(text)
                shapes = self._human_shapes(line[0], ())
                if not shapes:
                    return None
                logged, stamp, log = self._stamps[text[:_LEVEL_BEGIN]], self._levels[stamp], self._logger_log
            for shape in shapes:
                try:
                    found = shape(line, logged, stamp, log, origin, place, meta)
                except (Odd, LookupError, ValueError):
                    continue
                if found is not None:
                    return found
        except (Odd, LookupError, ValueError, RecursionError):
            pass  # no usual line, or a header nested beyond reason: the careful way tells what it is
        except Exception:  # noqa: BLE001
            return None  # a fault of this way: it must not stop the reading, and the careful way gives the same
        return None

    def learn(self, raw: bytes, parsed: Parsed, record: Record) -> None:
        """Take note of a line that the careful way has read. The second of its kind makes a shape, unless that
        would give something else."""
        form, keys = parsed.log.format or "", parsed.keys
        if record.log.trace is not None and form == "human":
            # The parser took them out of the fields, where they stand.
            keys = tuple(piece.partition("=")[0] for piece in raw.decode(errors="replace").split("  ")[2:])
        if form not in self._makers or (form, keys) in self._known or len(self._known) >= SHAPES_MAX_COUNT:
            return
        if parsed.beside or len(keys) > SHAPE_KEYS_MAX_COUNT or sum(map(len, keys)) > SHAPE_KEYS_MAX_CHARACTERS:
            return
        if (form, keys) not in self._met:
            if len(self._met) < SHAPES_MET_MAX_COUNT:
                self._met.add((form, keys))
            return
        self._known.add((form, keys))
        made = self._makers[form].make(keys)
        if made is None:
            return
        shape, fit = made
        shapes = self._shapes[form].setdefault(shape.initial, [])
        if shape.render not in shapes:
            shapes.append(shape.render)
        if b"\n" in raw:
            return
        if not self._gives(raw, record):
            shape.forget(fit)

    def _maker(self, _: Source, form: Form, normaliser: Normaliser, cache: Cache, seconds: SecondMemo) -> ShapeMaker:
        return ShapeMaker(form, normaliser, cache, seconds)

    def _gives(self, raw: bytes, record: Record) -> bool:
        """Whether a line gives this record, or nothing."""
        rendered = self.render(raw, 0, f'"source":{to_json(record.source)}')
        return rendered is None or rendered == encoded(record)

    # -- a line's header -------------------------------------------------------------------

    def _other_head(self, text: str) -> tuple[str, str, str]:
        """The digits of a JSON line's time, the log's part behind them, and the line from its fields on; of the part what
        comes again is remembered."""
        if text.startswith(self._traced_rest, _DIGITS_END) and _traced.match(text, at := self._traced_at) is not None:
            log = f'{self._traced_log}{text[at : at + _IDS]}"}}'
            return text[_DIGITS_BEGIN:_DIGITS_END], log, text[at + _TRACED :]
        head, mark, line = text.partition('"fields":{"')
        if not mark:
            raise Odd
        end = head.index('"', _DIGITS_BEGIN - 1) - 1
        rest, trace = head[end:], self._no_trace
        traced = rest[-2:] != "],"
        if traced:
            # After the logger's names stands what changes from request to request.
            rest, trace = self._split_trace(rest)
        if f"{rest}{mark}" != self._rest:
            self._head_log = self._heads[rest]
            self._rest = f"{rest}{mark}"
            self._log = f"{_ZEROS[_DIGITS_END - _DIGITS_BEGIN]}{self._head_log}{self._no_trace}"
            self._json_fields_at = _DIGITS_END + len(self._rest)
        if traced:
            self._traced_rest = f"{rest}{_TRACE[1:]}"
            self._traced_log = f"{_ZEROS[_DIGITS_END - _DIGITS_BEGIN]}{self._head_log}{_TRACE}"
            self._traced_at = _DIGITS_END + len(self._traced_rest)
        return head[_DIGITS_BEGIN:end], f"{_ZEROS[end - _DIGITS_BEGIN]}{self._head_log}{trace}", line

    def _other_logger(self, text: str) -> tuple[str, str]:
        """The level of a human line behind its digits, and the line from its fields on; its logger is remembered."""
        head, between, line = text.partition("  ")
        logger, behind, line = line.partition("  ")
        if not self._human_shapes(line[:1], ()):
            raise Odd
        rest = f"{between}{logger}{behind}"
        if rest != self._logger_rest:
            self._logger_log = self._loggers[logger]
            self._logger_rest = rest
            self._human_fields_at = _LEVEL_END + len(rest)
        return head[_LEVEL_BEGIN:], line

    @staticmethod
    def _split_trace(rest: str) -> tuple[str, str]:
        """A JSON line's header before its trace, and the trace as the end of a log's part."""
        rest, mark, ids = rest.partition('"trace":"')
        if _trace.fullmatch(ids) is None:
            raise Odd
        return rest, f",{mark}{ids[:-1]}}}"

    def _head(self, text: str) -> str:
        """What stands in a JSON line between its time's digits and its fields, to the log's part behind its time."""
        if text[:2] != 'Z"':
            raise Odd
        line = f'{{"ts":"2026-01-01T00:00:00{text}"fields":{{"ID":"0"}}}}'
        parsed = self._json.parse(line.encode())
        if not isinstance(parsed, Parsed) or parsed.beside or parsed.keys != ("ID",):
            raise Odd
        # A key twice is no trouble where both say the same, but here one of them was made up; and where the trace's
        # place is, a line may have another one.
        keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
        if len(set(keys)) != len(keys) or "trace" in keys or "span" in keys:
            raise Odd
        return self._without_time(parsed.log)

    def _stamp(self, text: str) -> str:
        """``2026-01-01 10:00:00.`` to the same in UTC as records have it."""
        if text[17:19] not in _SIXTY or text[19:] != ".":
            raise Odd
        return f"{self._stamp_minutes[text[:17]]}{text[17:]}"

    def _minute(self, text: str) -> str:
        """``2026-01-01 10:00:`` to the same in UTC as records have it."""
        minute = self._human.minute(f"{text}00.000")
        if minute is None:
            raise Odd
        return f"{minute}:"

    def _start(self, text: str) -> str:
        """``{"ts":"2026-01-01T10:00:00.`` to the same as records have it."""
        if text[:7] != '{"ts":"' or text[26:] != ".":
            raise Odd
        return f"{self._second(text[7:26])}."

    def _second(self, text: str) -> str:
        """A date and time to the second, if there is one. Where few lines are ours each is of another second."""
        if text[17:] not in _SIXTY:
            raise Odd
        return f"{self._minutes[text[:17]]}{text[17:]}"

    def _logger(self, text: str) -> str:
        """``coderd: connection_log`` to the log's part behind its level."""
        if "\x1b" in text or re.fullmatch(terminals()["LOGGER"] + terminals()["MESSAGE"], f"  {text}") is None:
            raise Odd
        log = self._log_type("", "", text[: text.rindex(": ")], "human")
        return self._without_time(log).removeprefix(',"level":""')

    def _without_time(self, log: Log) -> str:
        """The JSON of a log behind its time, which comes first, and before its trace."""
        text = to_json(log)
        if not text.endswith(self._no_trace):
            raise Odd
        return text.removeprefix(f'{{"time":{to_json(log.time)}').removesuffix(self._no_trace)


def _rest_and_level(text: str) -> str:
    """``123 [info]`` to the end of the time and the level."""
    found = _level.fullmatch(text)
    if found is None:
        raise Odd
    return f'{found[1]}000000Z","level":"{LEVELS.get(found[2], found[2])}"'


def _minute(text: str) -> str:
    """``2026-01-01T10:00:``, if there is such a minute."""
    if canonical(f"{text}00Z") != f"{text}00.000000000Z":
        raise Odd
    return text
