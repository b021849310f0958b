"""The form: how one sink writes the fields of a line, one field at a time."""

from __future__ import annotations

import orjson

from shipper.parsing.grammar import terminals
from shipper.pattern import pattern
from shipper.record import JsonValue
from shipper.text import BadEscape, unquote
from shipper.value import Odd


class Form:
    """How one form writes a field: the lead with its name, then its value."""

    def __init__(self, name: str) -> None:
        self.human = name == "human"
        self.null = "<nil>" if self.human else "null"
        self.between = "  " if self.human else ',"'
        """What stands between two fields; a name's opening quote in JSON belongs to it."""
        self.end = "" if self.human else "}}"
        """What stands behind the last field."""
        self._name = pattern(r'[^\s="\x1b]+' if self.human else r'[^"\\\x00-\x1f]*')
        self._bare = pattern(terminals()["BARE"])
        self._quoted = pattern(terminals()["QUOTED"])

    def lead(self, name: str) -> str:
        """What stands before the value, behind ``between``."""
        return f"{name}=" if self.human else f'{name}":'

    def plain(self, name: str) -> bool:
        """Whether a name stands on a line as it is, so that its lead tells it."""
        return self._name.fullmatch(name) is not None

    def read(self, text: str) -> JsonValue:
        """The value as the parsers give it. Raises Odd."""
        if self.human:
            if "\x1b" in text:
                raise Odd  # colours go first, wherever they stand
            if self._bare.fullmatch(text) is not None:
                return text
            if self._quoted.fullmatch(text) is None:
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
