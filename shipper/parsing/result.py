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


class Refused(Struct, frozen=True):
    """An entry that is ours and can't be read: ``at`` is the 0-based place in its text."""

    reason: str
    at: int
