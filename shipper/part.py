"""The part: a piece of a line, which is one field that is new in each line, or a run of the others."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from shipper.record import Record

NULLABLE = ("connection_id", "client_session_id", "request_id")
"""Keys of fields that are new in each line and can be null."""
TRACE = ("trace", "span")
OWN_KEYS = Record.__struct_fields__[3 : Record.__struct_fields__.index("log")]
"""The record's keys that a line's fields give, in its order, without those that come first."""
NEW_IN_EACH = ("id", "time", *NULLABLE, *TRACE)


class Part(NamedTuple):
    """``name`` is what a function calls it, ``key`` that of the one field that is new in each line, ``places`` are those of
    its fields on the line."""

    name: str
    key: str | None
    places: range


def parts_of(keys: tuple[str, ...], at: dict[str, int]) -> list[Part]:
    """The parts of lines with these keys, in their order; ``at`` says where the record's keys are among them."""
    fresh = {at[key]: key for key in NEW_IN_EACH if key in at}
    parts: list[Part] = []
    begin = 0
    for place in range(len(keys) + 1):
        if place < len(keys) and place not in fresh:
            continue
        if begin < place:
            parts.append(Part(f"r{begin}", None, range(begin, place)))
        if place < len(keys):
            parts.append(Part(f"p{place}", fresh[place], range(place, place + 1)))
        begin = place + 1
    return parts


def given_of(key: str) -> str:
    """The name of what says that a field is not null."""
    return f"given_{key}"


def flags_of(fresh: Container[str]) -> list[str]:
    """What of a line's fields that are new in each tells about its record beside its runs."""
    return [*map(given_of, nullable_of(fresh))]


def nullable_of(fresh: Container[str]) -> list[str]:
    """Those of a line's fields that are new in each that can be null."""
    return [key for key in NULLABLE if key in fresh]
