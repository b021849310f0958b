"""What a perfect reader gets back of a log call, after its sink and its wrapper: the truth of rendered lines."""

from __future__ import annotations

from typing import Any

from tests.render.entry import Address, Code, Entry, Mapping, Moment, Number, Text, Uuid, Value
from tests.render.golang import runes, trim_space
from tests.render.wrapper import journal_texts

BY_JOURNAL = ("journald", "syslog")


def shown(raw: bytes) -> str:
    """Bytes as text, one U+FFFD for each that is not UTF-8."""
    return "".join("\ufffd" if isinstance(rune, int) else rune for rune in runes(raw))


def truth_of(entry: Entry, form: str, era: str, wrapper: str, offset: int) -> dict[str, Any]:
    """The truth of one rendered entry, in the shape of the corpus's."""
    block = _block(entry) if form == "human" else ""
    values: dict[str, Any] = {}
    for key, value in entry.context + entry.fields:
        text = _plain(value)
        if key == block and isinstance(value, Text):
            text = shown(_many_lines(key, value.raw, era, wrapper))
        values[key] = text
    own = {key for key, _ in entry.fields}
    traceless = form == "human" and era in ("seed", "valuer")
    return {
        "line": 0,
        "offset": offset,
        "level": entry.level,
        "logger": ".".join(entry.logger),
        "log_time": entry.time,
        "request_id": values.get("request_id") or None,
        "fields": {key: value for key, value in values.items() if key in own},
        "extra_fields": {key: value for key, value in values.items() if key not in own and key != "request_id"},
        "lossy": ["trace", "span"] if traceless else [],
        "trace": entry.trace or None,
        "span": entry.span or None,
    }


def _block(entry: Entry) -> str:
    """The field that the human sink prints over many lines."""
    for key, value in entry.context + entry.fields:
        if isinstance(value, Text) and not value.named and b"\n" in trim_space(value.raw):
            return key
    return ""


def _many_lines(key: str, raw: bytes, era: str, wrapper: str) -> bytes:
    """What is left of a many-line value: trimmed, and each physical line as the way treats it."""
    indent = b" " * (4 + len(key.encode()) + 2)
    first, *rest = trim_space(raw).split(b"\n")
    lines = [indent + first, *(indent + line if line else b"" for line in rest)]
    if era in ("seed", "valuer"):
        lines = [line.removesuffix(b"\r") for line in lines]
    if wrapper in BY_JOURNAL:
        lines = [b"\0".join(text for text, _ in journal_texts(line)) for line in lines]
        lines = [line for line in lines if line]
    return b"\n".join(line.removeprefix(indent) for line in lines)


def undecidable(record: bytes, wrapper: str) -> bool:
    """Whether a wrapper loses where this record's lines end, so that nobody can read it.

    The journal cuts a line at NUL. Before the newline nothing is left of the line, and the entry that should
    end it is dropped: the next line, whosesoever it is, then looks like the rest of this one. In the short form the cut
    shows no mark at all, and what follows stands at column 0.
    """
    if wrapper == "journald":
        return b"\0\n" in record
    if wrapper == "syslog":
        return b"\0" in record
    return False


def _plain(value: Value) -> Any:
    match value:
        case Text(raw):
            return shown(raw)
        case Uuid(text) | Address(text):
            return text
        case Code(number) | Number(number):
            return number
        case Moment(utc, _, _, _):
            return utc
        case Mapping(json):
            return json.decode()
