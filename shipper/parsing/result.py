"""What a parser says of one entry: its fields, or why it was refused."""

from __future__ import annotations

from msgspec import Struct

from shipper.record import JsonValue, Log


class Parsed(Struct, gc=False):
    """An event's fields as the line has them.

    ``values`` runs beside ``keys``, in the line's order and with every key once; ``beside`` holds
    what else the line says under a name of its own (unknown top-level keys, second copies of a key
    with another value). ``human`` tells that the values are text, so that ``<nil>`` means null.
    """

    keys: tuple[str, ...]
    values: list[JsonValue]
    log: Log
    human: bool
    beside: dict[str, JsonValue] | None = None


class Several(list[JsonValue]):
    """The differing values that stand under one name, in the line's order."""


def gather(into: dict[str, JsonValue], name: str, value: JsonValue) -> None:
    """Adds a value under a name that may be taken: nothing is overwritten, equal neighbours are kept once."""
    if name not in into:
        into[name] = value
        return
    kept = into[name]
    values = kept if type(kept) is Several else Several((kept,))
    for one in value if type(value) is Several else (value,):
        # Against the first and the last alone: a line may repeat a name a hundred thousand times.
        if not any(type(one) is type(other) and one == other for other in (values[0], values[-1])):
            values.append(one)
    if len(values) > 1:
        into[name] = values


class Refused(Struct, frozen=True):
    """An entry that is ours and can't be read: ``at`` is the 0-based place in its text."""

    reason: str
    at: int
