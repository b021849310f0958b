"""The explanation: for each entry of a log what it was taken for, field by field, or why it was refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from functools import cache
from typing import Any

import click
import orjson
from msgspec import to_builtins

from shipper.alias import KEYS, OWN_KEYS
from shipper.cli.talk import printable
from shipper.extraction import Extractor
from shipper.framing.chain import NEEDLE, Entry
from shipper.parsing.human import HumanParser
from shipper.parsing.jsonline import JsonParser
from shipper.parsing.result import Parsed
from shipper.recognition import uncoloured
from shipper.record import Encoded, JsonValue, Malformed, Record, Source
from shipper.resource import read_data
from shipper.text import decode, strip_colours

_VALUE_MAX_CHARACTERS = 300
_LINE_MAX_CHARACTERS = 120
_header = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[\w+\]  ?(?P<logger>[^\s:]+): (?P<message>.*?)(?:  |$| \.\.\.$)"
)


class Explainer(Extractor):
    """An extractor that looks at every entry on its own and prints what it makes of it."""

    def __init__(self, source: Source, *, format: str, wrapper: str, tz: str) -> None:
        super().__init__(source, format=format, wrapper=wrapper, tz=tz, compact=False, by_scan=False)
        self._usual = None  # here each entry is looked at by the careful way
        self._name = source.path or "<stdin>"
        self._format = format
        self._json, self._human = JsonParser(), HumanParser()

    def _seen(self, entry: Entry, verdict: Record | Encoded | Malformed | None) -> None:
        last = entry.line + entry.raw.count(b"\n")
        place = f"{printable(self._name)}:{entry.line}" + (f"-{last}" if last > entry.line else "")
        wrapper = self._mode or "no wrapper"
        if isinstance(verdict, Record):
            fields = self._on_line(entry.raw)
            click.echo(f"{place}: event, {verdict.log.format}, {wrapper}, {era(fields)}")
            for line in _fields(verdict, fields):
                click.echo(f"    {line}")
        elif isinstance(verdict, Malformed):
            from shipper.cli.parse import complaint

            click.echo(f"{complaint(verdict, self._name)}\n    malformed: it is kept whole, and counted ({wrapper})")
        else:
            click.echo(f"{place}: not ours, {wrapper}: {why_not(entry.raw, self._format)}")

    def _on_line(self, raw: bytes) -> dict[str, JsonValue]:
        """The fields of an event by their names on its line: what a value says is no name."""
        found = self._json.parse(raw) if raw[:1] == b"{" else self._human.parse(uncoloured(decode(raw)))
        return dict(zip(found.keys, found.values, strict=True)) if isinstance(found, Parsed) else {}


def why_not(raw: bytes, form: str = "auto") -> str:
    """Why an entry is not a connection event, in plain words."""
    if raw.startswith(b"    "):
        return "it stands behind blanks, so it continues the entry above"
    if NEEDLE not in raw:
        return "it does not mention connection_log"
    if raw[:1] == b"{":
        try:
            top = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return "it is broken JSON, and does not begin as an event does"
        message = top.get("msg", top.get("message"))
        if message != "connection_log":
            return f"its message is {_short(repr(message))}, not 'connection_log'"
        fields = top.get("fields", top)
        if not isinstance(fields, dict) or OWN_KEYS.isdisjoint(fields):
            return "none of an event's own keys is on it"
        names = _logger_names(top)
        if not names or names[0] != "coderd":
            return f"its logger is {_short(repr('.'.join(map(str, names))))}, not coderd"
        if form == "auto":
            return "the name of its logger does not stand where coderd has it"
        return f"only {form} entries are asked for"
    line = strip_colours(decode(raw)).partition("\n")[0]
    found = _header.match(line)
    if found is None:
        return "it has no header of coderd's logger (time, level, logger: message)"
    if found["message"] != "connection_log":
        return f"its message is {_short(repr(found['message']))}, not 'connection_log'"
    if found["logger"] != "coderd" and not found["logger"].startswith("coderd."):
        return f"its logger is {_short(repr(found['logger']))}, not coderd"
    if form not in ("auto", "human"):
        return f"only {form} entries are asked for"
    return "none of an event's own keys is on it"


def _logger_names(top: dict[str, Any]) -> list[object]:
    """The names of the logger, of whatever type the entry has in their place."""
    names = top.get("logger_names")
    if not names:
        operation = top.get("logging.googleapis.com/operation")
        names = operation.get("producer") if isinstance(operation, dict) else operation
    return names if isinstance(names, list) else [names]


def era(fields: Mapping[str, JsonValue]) -> str:
    """Which coderd and which logger an event's fields point to, as its line has them."""
    words = [entry["say"] for entry in _eras()["keys"] if fields.keys() >= set(entry["has"])][:1]
    for entry in _eras()["logger"]:
        value = fields.get(entry["key"])
        if type(value) is str and value.startswith(entry.get("starts", "")) and entry.get("contains", "") in value:
            words.append(entry["say"])
    return ", ".join(words) or "version unknown"


@cache
def _eras() -> dict[str, Any]:
    return tomllib.loads(read_data("grammars/eras.toml"))


def _fields(record: Record, names: Container[str]) -> Iterator[str]:
    """Each key of the record that has a value, with the name that the line has for it among its ``names``."""
    known = to_builtins(record)
    for key, value in known.items():
        if key in ("log", "extra"):
            for inner, inner_value in value.items():
                if inner_value is not None:
                    yield f"{key + '.' + printable(inner):<22} {_show(inner_value)}"
        elif key != "source" and value is not None:
            own = [name for name in KEYS.get(key, ()) if name in names]
            hint = f"   ({own[0]})" if own else ""
            yield f"{key:<22} {_show(value)}{hint}"


def _show(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return _short(printable(text).replace("\n", "\\n"), _VALUE_MAX_CHARACTERS)


def _short(text: str, limit: int = _LINE_MAX_CHARACTERS) -> str:
    text = printable(text)
    return text if len(text) <= limit else text[:limit] + "…"
