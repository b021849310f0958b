"""The human sink of each era: an ``Entry`` to the bytes it writes, with the newline."""

from __future__ import annotations

from dataclasses import dataclass

from tests.render.entry import Address, Code, Entry, Mapping, Moment, Number, Text, Uuid, Value
from tests.render.golang import is_space, quote, rfc3339_nano, runes, stamp, time_string, trim_space

_LEVELS = {
    "debug": b"debu", "info": b"info", "warn": b"warn", "error": b"erro", "critical": b"crit", "fatal": b"fata",
}  # fmt: skip
_RESET = b"\x1b[0m"
_ADDRESSES = {"seed": ("0x590280", "0x590320"), "valuer": ("0x590360", "0x590400")}
"""Before v3 the address of a function stands where an OpenTelemetry id should."""
SCANNER_LIMIT = 65_536
"""Before v3 the output goes through a bufio.Scanner: a line that does not fit makes the whole record vanish."""


@dataclass(frozen=True)
class Paint:
    """The colours of one era. ``with_blank``: the blank behind the time is coloured too."""

    grey: bytes
    levels: dict[str, bytes]
    with_blank: bool = False

    def grey_on(self, text: bytes) -> bytes:
        return _on(self.grey, text)


def _on(code: bytes, text: bytes) -> bytes:
    return b"\x1b[" + code + b"m" + text + _RESET if code else text


TRUECOLOR = Paint(
    b"38;2;96;99;102",
    {
        "debug": b"38;2;96;99;102",
        "info": b"38;2;0;145;255",
        "warn": b"38;2;255;207;13",
        "error": b"38;2;255;89;13",
        "critical": b"38;2;255;89;13",
        "fatal": b"38;2;255;89;13",
    },
    with_blank=True,
)
ANSI256 = Paint(
    b"38;5;59",
    {
        "debug": b"38;5;59",
        "info": b"38;5;33",
        "warn": b"38;5;220",
        "error": b"38;5;202",
        "critical": b"38;5;202",
        "fatal": b"38;5;202",
    },
)
NO_TERM = Paint(b"", {})
"""Colours forced, but no TERM: only the reset at the start of the line is left."""


def human(entry: Entry, era: str, paint: Paint | None = None) -> bytes:
    """The record as the sink of ``era`` writes it; empty where the sink loses it."""
    colours = paint or NO_TERM
    old = era in ("seed", "valuer")
    message = trim_space(entry.message)
    block_key, block = b"", b""
    if b"\n" in message:
        block_key, block, message = b"msg", message, b"..."
    pairs = list(entry.context + entry.fields)
    if entry.trace:
        ids = _ADDRESSES.get(era, (entry.trace, entry.span))
        pairs = [("trace", Mapping(ids[0].encode())), ("span", Mapping(ids[1].encode())), *pairs]
    if not block:
        for at, (key, value) in enumerate(pairs):
            if isinstance(value, Text) and not value.named and b"\n" in trim_space(value.raw):
                block_key, block = key.encode(), trim_space(value.raw)
                del pairs[at]
                break
    names = b".".join(_plain(name.replace(" ", "_").encode()) for name in entry.logger)
    time = stamp(entry.time).encode()
    head = colours.grey_on(time + b" ") if colours.with_blank else colours.grey_on(time) + b" "
    level = _on(colours.levels.get(entry.level, b""), b"[" + _LEVELS[entry.level] + b"]")
    out = head + level + b"  " + (names + b": " if names else b"") + message
    for key, value in pairs:
        out += b"  " + colours.grey_on(_plain(key.replace(" ", "_").encode())) + colours.grey_on(b"=")
        out += _printed(value, era)
    if paint is not None:
        out = _RESET + out
    if block:
        if message != b"...":
            out += b" ..."
        indent = b"    " + b" " * (len(block_key) + 2)
        first, *rest = block.split(b"\n")
        out += b"\n    " + colours.grey_on(block_key) + b"= " + first
        for line in rest:
            out += b"\n" + (indent + line if line else b"")
    if old:
        lines = out.split(b"\n")
        if any(len(line) >= SCANNER_LIMIT for line in lines):
            return b""
        out = b"\n".join(line.removesuffix(b"\r") for line in lines)
    return out + b"\n"


def _printed(value: Value, era: str) -> bytes:
    """A value in the line, quoted where it must be."""
    match value:
        case Text(raw):
            return _plain(raw)
        case Uuid(text) | Address(text):
            return b"<nil>" if text is None else text.encode()
        case Code(number):
            return b"<nil>" if number is None else str(number).encode()
        case Number(number):
            return str(number).encode()
        case Mapping(json):
            return json
        case Moment(utc, offset, zone, monotonic):
            if era == "new":
                return _plain(time_string(utc, offset, zone, monotonic).encode())
            return b'"' + rfc3339_nano(utc, offset).encode() + b'"'


def _plain(raw: bytes) -> bytes:
    """Text as it stands in a line: quoted if it is empty, has white space, or Quote changes it."""
    quoted = quote(raw)
    spaced = any(isinstance(rune, str) and is_space(rune) for rune in runes(raw))
    return quoted if not raw or spaced or quoted[1:-1] != raw else raw
