"""A JSON object as its pairs: every repetition of a key and every number kept, for lines that a dict would lose of."""

from __future__ import annotations

from typing import Any

from shipper.parsing.result import gather
from shipper.pattern import pattern
from shipper.record import JsonValue

DEPTH_MAX_LEVELS = 64
"""Lists and objects inside each other in one value; a line with more is malformed."""

_surrogates = pattern("[\ud800-\udfff]")


class Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, in order, with every repetition."""

    def first(self, beside: dict[str, JsonValue], whole: str | None = None) -> dict[str, Any]:
        """The first value of each key; later ones that differ go to ``beside``. An object under the key ``whole``
        stays as its pairs. Raises TooDeep."""
        out: dict[str, Any] = {}
        for written, value in self:
            key = _clean(written)
            if key not in out:
                out[key] = value if key == whole and isinstance(value, Pairs) else plain(value)
            elif differ(out[key], value := plain(value)):
                gather(beside, key, value)
        return out


class TooDeep(ValueError):
    """A value is nested deeper than any writer of the record can follow."""


def differ(one: JsonValue, other: JsonValue) -> bool:
    return type(one) is not type(other) or bool(one != other)


def integer(text: str) -> int | str:
    """A whole number; one that 64 bits can't hold is kept as its text."""
    number = int(text) if len(text) < 20 else None
    return number if number is not None and -(2**63) <= number < 2**63 else text


def real(text: str) -> float | str:
    """A number; one that is beyond a double is kept as its text."""
    number = float(text)
    return number if abs(number) != float("inf") else text


def constant(text: str) -> JsonValue:
    raise ValueError(f"{text} is no JSON")


def plain(value: Any, levels: int = DEPTH_MAX_LEVELS) -> JsonValue:
    if isinstance(value, list):
        if levels == 0:
            raise TooDeep
        if type(value) is list:
            return [plain(inner, levels - 1) for inner in value]
        out: dict[str, JsonValue] = {}
        for key, inner in value:
            gather(out, _clean(key), plain(inner, levels - 1))
        return out
    return _clean(value) if type(value) is str else value


def _clean(text: str) -> str:
    """Text without lone surrogates, which JSON can write and which are no text: one U+FFFD for each."""
    return text if text.isascii() else _surrogates.sub("\ufffd", text)
