"""Envelopes of a body: read one after the other, kept up to the first bad one, which is named as Splunk names it.

Where published facts are silent, the stricter reading is taken: a client that passes here passes there too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from msgspec import Struct

KEYS = frozenset(("time", "host", "source", "sourcetype", "index", "event", "fields"))
_TEXT_KEYS = ("host", "source", "sourcetype", "index")
_BLANK: tuple[object, ...] = (None, "", {}, [])
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?\Z")


class Envelope(Struct, frozen=True, kw_only=True):
    """One object as it was sent: ``number`` is its place in the request from 0, ``raw`` its own bytes."""

    number: int
    raw: bytes
    event: object
    time: float | None = None
    host: str | None = None
    source: str | None = None
    sourcetype: str | None = None
    index: str | None = None
    fields: dict[str, object] = {}

    @property
    def event_id(self) -> str | None:
        """The id of the event: the indexed field, else the ``id`` of the event itself."""
        value = self.fields.get("event_id")
        if value is None and isinstance(self.event, dict):
            value = self.event.get("id")
        return value if isinstance(value, str) else None


class Refusal(Struct, frozen=True):
    """The code that ended the reading, and ``invalid-event-number`` as the server writes it (code 7: one higher)."""

    code: int
    number: int | None


class Reading(Struct, frozen=True):
    """What of a body was taken, and why the rest was not; without a refusal all is well, even if objects were left."""

    taken: tuple[Envelope, ...]
    refusal: Refusal | None = None


class _Refused(Exception):
    """Carries a code out of the checks of one object; None ends the reading without an error."""

    def __init__(self, code: int | None) -> None:
        self.code = code


def _no_constant(name: str) -> object:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def read_envelopes(
    body: bytes,
    index_allowed: Callable[[str], bool],
    event_max_bytes: int,
    poison: Callable[[Envelope], int | None] = lambda envelope: None,
) -> Reading:
    """Reads a body of ``/event``: objects with or without white space between them, or arrays of them.

    Each is checked in order: JSON (6), size (6), keys, ``event`` (12, 13), ``time`` (15), ``fields`` (15), index (7).
    An unknown key ends the reading with success for what came before it; with nothing before it there was no data (5).
    ``fields`` without ``event`` is passed over. ``poison`` may refuse what is good with a code of its own.
    """
    taken: list[Envelope] = []
    number = 0
    try:
        for raw, value in _objects(body):
            envelope = _checked(number, raw, value, index_allowed, event_max_bytes)
            if envelope is not None:
                _check_poison(poison(envelope))
                taken.append(envelope)
            number += 1
    except _Refused as refused:
        if refused.code is None:
            return Reading(tuple(taken), None if number else Refusal(5, None))
        return Reading(tuple(taken), Refusal(refused.code, number + 1 if refused.code == 7 else number))
    return Reading(tuple(taken), None if number else Refusal(5, None))


def _objects(body: bytes) -> Iterator[tuple[bytes, object]]:
    """Each object with its bytes; raises at the first place that is no JSON."""
    text = body.decode("utf-8", "surrogateescape")
    place = _skip(text, 0)
    while place < len(text):
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            raise _Refused(6) from None
        try:
            raw = text[place:end].encode()
        except UnicodeEncodeError:
            raise _Refused(6) from None
        if isinstance(value, list):
            yield from ((json.dumps(each, ensure_ascii=False).encode(), each) for each in value)
        else:
            yield raw, value
        place = _skip(text, end)


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _checked(
    number: int, raw: bytes, value: object, index_allowed: Callable[[str], bool], event_max_bytes: int
) -> Envelope | None:
    if not isinstance(value, dict) or len(raw) > event_max_bytes:
        raise _Refused(6)
    if not value.keys() <= KEYS:
        raise _Refused(None)
    if "event" not in value:
        if "fields" in value:
            return None
        raise _Refused(12)
    if value["event"] in _BLANK:
        raise _Refused(13)
    time = _time(value["time"]) if "time" in value else None
    if not _fields_are_good(value.get("fields", {})):
        raise _Refused(15)
    if any(not isinstance(value.get(key, ""), str) for key in _TEXT_KEYS):
        raise _Refused(6)
    if value.get("index") and not index_allowed(value["index"]):
        raise _Refused(7)
    return Envelope(
        number=number,
        raw=raw,
        event=value["event"],
        time=time,
        host=value.get("host"),
        source=value.get("source"),
        sourcetype=value.get("sourcetype"),
        index=value.get("index"),
        fields=value.get("fields", {}),
    )


def _check_poison(code: int | None) -> None:
    if code is not None:
        raise _Refused(code)


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Refused(15)
    if isinstance(value, str) and not _NUMBER.match(value):
        raise _Refused(15)
    return float(value)


def _fields_are_good(fields: object) -> bool:
    """One flat object of strings, numbers, or arrays of strings."""
    return isinstance(fields, dict) and all(
        (isinstance(value, str | int | float) and not isinstance(value, bool))
        or (isinstance(value, list) and all(isinstance(each, str) for each in value))
        for value in fields.values()
    )
