"""The place: on which line of a TOML text each key stands, which tomllib doesn't tell.

Works on text that tomllib has accepted, so it need not judge: it skips values and counts lines. A key is
the tuple of its parts; tables of an array are numbered from 1, as in ``("input", 1, "paths")``.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from shipper.pattern import pattern

Key = tuple[str | int, ...]

_bare = pattern(r"[A-Za-z0-9_-]+")
_blank = pattern(r"(?:[ \t\r\n]|#[^\n]*)*")
_space = pattern(r"[ \t]*")
_scalar = pattern(r"[^,\]}#\n]+")
_strings = (
    pattern(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    pattern(r"'''.*?'{3,5}", re.DOTALL),
    pattern(r'"(?:[^"\\]|\\.)*"'),
    pattern(r"'[^']*'"),
)


def lines_of(text: str) -> dict[Key, int]:
    """The 1-based line of every key, table header and list entry of a TOML text; the first where there are several."""
    return _Scan(text).lines


class _Scan:
    """One walk over a text that is valid TOML."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Key, int] = {}
        self._counted_to = 0
        self._line = 1
        self._sizes: dict[Key, int] = {}  # of arrays of tables
        table: Key = ()
        self._skip(_blank)
        while self.at < len(text):
            if text.startswith("[", self.at):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_blank)

    def _header(self) -> Key:
        line = self._line_here()
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        parts = self._key()
        self.at += 2 if many else 1
        key = self._numbered(parts[:-1])
        last: Key = (*key, parts[-1])
        if many:
            self.lines.setdefault(last, line)
            self._sizes[last] = self._sizes.get(last, 0) + 1
            last = (*last, self._sizes[last])
        elif last in self._sizes:
            last = (*last, self._sizes[last])
        self.lines.setdefault(last, line)
        return last

    def _numbered(self, parts: Key) -> Key:
        """The key with the number of the newest table behind every array of tables on its way."""
        key: Key = ()
        for part in parts:
            key = (*key, part)
            if key in self._sizes:
                key = (*key, self._sizes[key])
        return key

    def _pair(self, table: Key) -> None:
        line = self._line_here()
        parts = self._key()
        for depth in range(1, len(parts) + 1):
            self.lines.setdefault((*table, *parts[:depth]), line)
        self.at += 1  # the sign between key and value
        self._skip(_space)
        self._value((*table, *parts))

    def _key(self) -> Key:
        """A key with its dots; ends at what follows it."""
        parts: list[str | int] = []
        while True:
            self._skip(_space)
            start = self.at
            if self._string():
                parts.append(_unquoted(self.text[start : self.at]))
            else:
                self._skip(_bare)
                parts.append(self.text[start : self.at])
            self._skip(_space)
            if not self.text.startswith(".", self.at):
                return tuple(parts)
            self.at += 1

    def _value(self, key: Key) -> None:
        if self._string():
            return
        if self.text.startswith("[", self.at):
            self._list(key)
        elif self.text.startswith("{", self.at):
            self._inline_table(key)
        else:
            self._skip(_scalar)

    def _list(self, key: Key) -> None:
        self.at += 1
        number = 0
        self._skip(_blank)
        while not self.text.startswith("]", self.at):
            number += 1
            self.lines.setdefault((*key, number), self._line_here())
            self._value((*key, number))
            self._skip(_blank)
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip(_blank)
        self.at += 1

    def _inline_table(self, key: Key) -> None:
        self.at += 1
        self._skip(_blank)
        while not self.text.startswith("}", self.at):
            self._pair(key)
            self._skip(_blank)
            if self.text.startswith(",", self.at):
                self.at += 1
                self._skip(_blank)
        self.at += 1

    def _string(self) -> bool:
        for string in _strings:
            found = string.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
                return True
        return False

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def _line_here(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line


def _unquoted(literal: str) -> str:
    value: Any = tomllib.loads(f"key = {literal}")["key"]
    return str(value)
