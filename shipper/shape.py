"""The shape: the lines of one form and one sequence of keys, rendered by a function made for them.

The function's text is put together from places and from the names of a record's keys alone; what a log line says
reaches it as values. It takes the fields of a line as they stand, looks up those that come again, and checks those
that are new in each line (ids, times) by one expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from shipper.alias import KEYS
from shipper.memo import Cache, Memo, TextMemo
from shipper.normalisation import Normaliser
from shipper.parsing.grammar import terminals
from shipper.record import SCHEMA, Encoded, JsonValue, Record
from shipper.text import BadEscape, unquote
from shipper.timestamp import canonical
from shipper.value import Odd

Render = Callable[[list[str], str, str], Encoded | None]
"""A line's fields, the log's part of the record as far as the header tells it, and the source's part, to the record;
None or Odd: not this shape."""
Kind = tuple[str | None, str | None, str | None, str | None, bool]
"""The fields of type, method, app or slug, and slug, as they stand, and whether there is a connection id."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# Another form has no Z in it, so that one letter tells them apart.
_TIME = r'"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,9}Z|[^"\\Z\x00-\x1f]{19,64})"'
_ZEROS = tuple("0" * (9 - digits) + "Z" for digits in range(10))
_KIND = ("type", "method", "app_or_slug", "slug_or_port")
_NULLABLE = ("connection_id", "client_session_id", "request_id")
_TRACE = ("trace", "span")
_NEW_IN_EACH = ("id", "time", *_NULLABLE, *_TRACE)
_encode = msgspec.json.Encoder().encode


def to_json(value: object) -> str:
    """JSON as the records have it."""
    return _encode(value).decode()


def no_trace(*, full: bool) -> str:
    """The end of a log's part where the line names no trace."""
    return ',"trace":null,"span":null}' if full else "}"


class Form:
    """How one form writes a field: the lead with its name, then its value."""

    def __init__(self, name: str) -> None:
        self.human = name == "human"
        self.null = "<nil>" if self.human else "null"
        self._name = re.compile(r'[^\s="\x1b]+' if self.human else r'[^"\\\x00-\x1f]*').fullmatch
        self._bare = re.compile(terminals()["BARE"]).fullmatch
        self._quoted = re.compile(terminals()["QUOTED"]).fullmatch

    def lead(self, name: str) -> str:
        """What stands before the value; a field's opening quote in JSON is what lines are split at."""
        return f"{name}=" if self.human else f'{name}":'

    def plain(self, name: str) -> bool:
        """Whether a name stands on a line as it is, so that its lead tells it."""
        return self._name(name) is not None

    def read(self, text: str) -> JsonValue:
        """The value as the parsers give it. Raises Odd."""
        if self.human:
            if "\x1b" in text:
                raise Odd  # colours go first, wherever they stand
            if self._bare(text) is not None:
                return text
            if self._quoted(text) is None:
                raise Odd
            try:
                return unquote(text[1:-1])
            except BadEscape as error:
                raise Odd from error
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Odd from error
        # A number of another kind is kept digit by digit, which is the careful way's business.
        if value is None or type(value) in (str, int, bool):
            return value
        raise Odd


class ShapeMaker:
    """Makes the shapes of one form. What a field gives is remembered for all of them."""

    def __init__(self, form: Form, normaliser: Normaliser, cache: Cache, seconds: TextMemo) -> None:
        self._form = form
        self._normaliser = normaliser
        self._full = normaliser.full
        self._cache = cache
        self._seconds = seconds
        self._memos: dict[str, TextMemo] = {}
        self._kinds: dict[tuple[str | None, ...], Memo[Kind, tuple[str, str]]] = {}

    def make(self, keys: tuple[str, ...]) -> Render | None:
        """The function that renders lines with these keys; None where one alone can't tell what a field means."""
        form = self._form
        names: dict[str, str] = {}
        for key, aliases in KEYS.items():
            found = [name for name in aliases if name in keys]
            if len(found) > 1:
                return None
            if found:
                names[key] = found[0]
        if form.human:
            # Here they are fields, in JSON they stand beside the other ones.
            names.update((key, key) for key in _TRACE if key in keys)
        if len(set(keys)) != len(keys) or not all(map(form.plain, keys)):
            return None
        if not {"id", "time", "status"} <= names.keys() or ("trace" in names) != ("span" in names):
            return None
        at = {key: keys.index(name) for key, name in names.items()}
        space: dict[str, Any] = {
            "seconds": self._seconds,
            "zeros": _ZEROS,
            "other_time": self._other_time,
            "Encoded": Encoded,
        }
        body = [self._check(names, at, space)]
        connected = "False"
        nullable = [key for key in _NULLABLE if key in names]
        body += [self._new(key, names[key], at[key], space) for key in nullable]
        if "connection_id" in at:
            connected = f"p{at['connection_id']} not in connection_id_null"
        kind_names = tuple(names.get(key) for key in _KIND)
        space["kinds"] = self._kinds.get(kind_names) or self._kinds.setdefault(
            kind_names, Memo(self._cache, lambda fields: self._kind(kind_names, fields), _characters)
        )
        fields = ", ".join(f"p{at[key]}" if key in at else "None" for key in _KIND)
        body.append(f"kind, slug = kinds[{fields}, {connected}]")
        lead = len(form.lead(names["id"])) + (not form.human)
        body.append(f"id = p{at['id']}[{lead}:{lead + 36}]")
        lead, time = len(form.lead(names["time"])) + 1, f"p{at['time']}"
        usual = (
            f"f'{{seconds[{time}[{lead}:{lead + 19}]]}}.{{{time}[{lead + 20}:-2]}}{{zeros[len({time}) - {lead + 22}]}}'"
        )
        body.append(f"time = {usual} if {time}[-2] == 'Z' else other_time({time}[{lead}:-1])")
        parts = [f'{{{{"schema":{SCHEMA},"id":"{{id}}","time":"{{time}}",']
        own = Record.__struct_fields__[3 : Record.__struct_fields__.index("log")]
        parts += [self._part(key, names, at, space) for key in own]
        if "trace" in at:
            trace = f',"trace":"{{p{at["trace"]}[6:]}}","span":"{{p{at["span"]}[5:]}}"}}}}'
        elif form.human:
            trace = no_trace(full=self._full).replace("}", "}}")
        else:
            trace = ""
        parts.append(f"{{log}}{trace},{{source}}")
        extra = [name for name in keys if name not in names.values()]
        for name in extra:
            space[f"extra{keys.index(name)}"] = self._memo(name, None)
        if extra or self._full:
            inner = ",".join(f"{{extra{keys.index(name)}[p{keys.index(name)}]}}" for name in extra)
            parts.append(f',"extra":{{{{{inner}}}}}')
        body.append(f"return Encoded(id, time, f'{''.join(parts)}}}}}')")
        unpacked = ["_"] * (2 if form.human else 0) + [f"p{place}" for place in range(len(keys))]
        source = "\n    ".join(["def render(pieces, log, source):", f"{', '.join(unpacked)}, = pieces", *body])
        # Of the text only places and the names of a record's own keys are this function's source.
        exec(source, space)  # noqa: S102
        render: Render = space["render"]
        return render

    def _other_time(self, text: str) -> str:
        """A time that is not RFC 3339 in UTC: mostly what Go prints of one that is in UTC."""
        digits = text[20:-10]
        if text[10] == " " and text[19] == "." and text.endswith(" +0000 UTC") and digits.isdigit() and text.isascii():
            return f"{self._seconds[f'{text[:10]}T{text[11:19]}']}.{digits}{_ZEROS[len(digits)]}"
        found = canonical(text)
        if found is None:
            raise Odd
        return found

    def _check(self, names: dict[str, str], at: dict[str, int], space: dict[str, Any]) -> str:
        """One look at all fields that are new in each line."""
        human = self._form.human
        plain = r'(?:[0-9A-Za-z_.:/+-]++|"")' if human else r'(?:"[ !#-\[\]-~]*+"|null)'
        patterns = {
            "id": _UUID if human else f'"{_UUID}"',
            "connection_id": f"(?:<nil>|{_UUID})" if human else f'(?:null|"{_UUID}")',
            "time": _TIME,
            "client_session_id": plain,
            "request_id": plain,
            "trace": "[0-9a-f]{32}",
            "span": "[0-9a-f]{16}",
        }
        new = [key for key in _NEW_IN_EACH if key in names]
        # No pattern takes the control character between them, so that none takes what is another field's.
        pattern = "\n".join(re.escape(self._form.lead(names[key])) + patterns[key] for key in new)
        space["sound"] = re.compile(pattern).fullmatch
        joined = r"\n".join(f"{{p{at[key]}}}" for key in new)
        return f"if sound(f'{joined}') is None: return None"

    def _new(self, key: str, name: str, place: int, space: dict[str, Any]) -> str:
        """A field that is new in each line and can be null."""
        lead = self._form.lead(name)
        space[f"{key}_null"] = frozenset(
            (f"{lead}{self._form.null}",) if key == "connection_id" else (f'{lead}""', f"{lead}null")
        )
        if self._form.human and key != "connection_id":
            space[f"{key}_null"] = frozenset((f'{lead}""',))
        value = f"p{place}[{len(lead)}:]" if self._form.human else f"p{place}[{len(lead) + 1}:-1]"
        none = f'"{key}":null,' if self._full else ""
        return f"{key} = '{none}' if p{place} in {key}_null else f'\"{key}\":\"{{{value}}}\",'"

    def _part(self, key: str, names: dict[str, str], at: dict[str, int], space: dict[str, Any]) -> str:
        """The record's part for a key, as it stands in the function's text."""
        if key in ("type", "method", "app"):
            return "{kind}" if key == "type" else ""
        if key == "slug_or_port":
            return "{slug}"
        if key in _NEW_IN_EACH and key in names:
            return f"{{{key}}}"
        if key not in names:
            return f'"{key}":null,' if self._full else ""
        space[f"memo{at[key]}"] = self._memo(names[key], key)
        return f"{{memo{at[key]}[p{at[key]}]}}"

    def _memo(self, name: str, key: str | None) -> TextMemo:
        if name not in self._memos:
            self._memos[name] = TextMemo(self._cache, lambda field: self._field(name, key, field))
        return self._memos[name]

    def _field(self, name: str, key: str | None, field: str) -> str:
        """The record's part for one field as it stands; without ``key`` it belongs into ``extra``."""
        value = self._value(name, field)
        if key is None:
            return f"{to_json(name)}:{to_json(None if self._form.human and value == '<nil>' else value)}"
        return self._written(key, self._normaliser.value(key, value))

    def _kind(self, names: tuple[str | None, ...], fields: Kind) -> tuple[str, str]:
        type_, method, app_or_slug, slug_or_port = (
            None if name is None or field is None else self._value(name, field)
            for name, field in zip(names, fields[:4], strict=True)
        )
        kind, method, app, slug = self._normaliser.kind((type_, method, app_or_slug, slug_or_port), connected=fields[4])
        head = "".join(self._written(key, value) for key, value in (("type", kind), ("method", method), ("app", app)))
        return head, self._written("slug_or_port", slug)

    def _value(self, name: str, field: str) -> JsonValue:
        lead = self._form.lead(name)
        if not field.startswith(lead):
            raise Odd
        return self._form.read(field[len(lead) :])

    def _written(self, key: str, value: JsonValue) -> str:
        return f'"{key}":{to_json(value)},' if self._full or value is not None else ""


def _characters(fields: Kind, made: tuple[str, str]) -> int:
    return sum(len(field or "") for field in fields[:4]) + len(made[0]) + len(made[1])
