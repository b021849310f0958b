"""The syntax of a regular expression, as far as it is read: its items in order, each with its own text.

What is read is RE2's (https://github.com/google/re2/wiki/Syntax) without what is rare: escapes by number or by name,
classes by name, flags within. Of the rest nothing is said, and who asks looks at whole lines.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

GROUPS_NESTED_MAX = 20

_quantifier = re.compile(r"([*+?]|\{(\d+)(,(\d*))?\})\??", re.ASCII)
_class = re.compile(r"\[\^?\]?(?:[^\]\[\\]|\\[dswDSW]|\\[^0-9A-Za-z_\x00-\x1f])*\]", re.ASCII)
_SHORT_CLASSES = "dswDSW"
_ENDS = {"^": True, "$": False}
_ESCAPED_ENDS = {"A": True, "z": False}


class Item(Struct, frozen=True):
    """``text`` is the item as an expression of its own, which may stand beside others."""

    text: str


class Character(Item, frozen=True):
    """One character; ``literal`` where only that one will do (in a pattern for either case: its other one as well)."""

    literal: str | None = None


class Edge(Item, frozen=True):
    """The edge of a word, or none: between two characters."""


class End(Item, frozen=True):
    """The begin of the line, or its end."""

    begin: bool


class Group(Item, frozen=True):
    """Sequences of which one is there."""

    choices: tuple[tuple[Item, ...], ...]


class Repeated(Item, frozen=True):
    """An item that is there ``least`` times or more often; ``once``: once or not at all."""

    item: Item
    least: int
    once: bool


def read_choices(pattern: str) -> tuple[tuple[Item, ...], ...]:
    """The sequences of which one has to match; raises ValueError where the pattern has what isn't read."""
    reader = _Reader(pattern)
    choices = reader.choices(0)
    if reader.place < len(pattern):
        raise ValueError("a bracket too many")
    return choices


def matches(item: Item, character: str, fold: bool) -> bool:
    """Whether an item can match a text that holds ``character``."""
    if isinstance(item, Character):
        return _character_matches(item.text, character, fold)
    if isinstance(item, Group):
        return any(matches(one, character, fold) for choice in item.choices for one in choice)
    return isinstance(item, Repeated) and matches(item.item, character, fold)


def ends(item: Item) -> bool:
    """Whether an item asks for an end of the line."""
    if isinstance(item, Group):
        return any(ends(one) for choice in item.choices for one in choice)
    return isinstance(item, End) or (isinstance(item, Repeated) and ends(item.item))


def needs_other(item: Item, characters: str, fold: bool) -> bool:
    """Whether all that an item matches holds a character that is none of ``characters``."""
    if isinstance(item, Character):
        return not any(_character_matches(item.text, one, fold) for one in characters)
    if isinstance(item, Group):
        return all(any(needs_other(one, characters, fold) for one in choice) for choice in item.choices)
    return isinstance(item, Repeated) and item.least > 0 and needs_other(item.item, characters, fold)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def choices(self, depth: int) -> tuple[tuple[Item, ...], ...]:
        """Up to the end, or the bracket that ends a group."""
        if depth > GROUPS_NESTED_MAX:
            raise ValueError("groups in too many groups")
        found: list[list[Item]] = [[]]
        while self.place < len(self.pattern):
            if self.pattern[self.place] == ")" and depth:
                break
            if self.pattern[self.place] == "|":
                self.place += 1
                found.append([])
            else:
                found[-1].append(self._quantified(depth))
        return tuple(map(tuple, found))

    def _quantified(self, depth: int) -> Item:
        item = self._item(depth)
        found = _quantifier.match(self.pattern, self.place)
        if found is None:
            return item
        self.place = found.end()
        if _quantifier.match(self.pattern, self.place) or isinstance(item, (End, Edge)):
            raise ValueError("a repetition of what isn't repeated")
        least = 1 if found[1] == "+" else int(found[2] or 0)
        once = found[1] in {"?", "{0,1}"}
        return Repeated(item.text + found[0], item, least, once)

    def _item(self, depth: int) -> Item:
        pattern, place = self.pattern, self.place
        character = pattern[place]
        if character == "(":
            return self._group(depth)
        if character == "[":
            found = _class.match(pattern, place)
            if found is None:
                raise ValueError("a class that isn't read")
            self.place = found.end()
            return Character(found[0])
        if character in "*+?)":
            raise ValueError(f"{character} alone")
        self.place += 1
        if character in _ENDS:
            return End(character, _ENDS[character])
        if character == ".":
            return Character(character)
        if character == "\\":
            return self._escape()
        return _literal(character)

    def _escape(self) -> Item:
        escaped = self.pattern[self.place : self.place + 1]
        self.place += 1
        if not escaped:
            raise ValueError("an escape of nothing")
        if escaped in _SHORT_CLASSES:
            return Character(f"\\{escaped}")
        if escaped in "bB":
            return Edge(f"\\{escaped}")
        if escaped in _ESCAPED_ENDS:
            return End(f"\\{escaped}", _ESCAPED_ENDS[escaped])
        if escaped.isalnum() or not escaped.isascii():
            raise ValueError("an escape that isn't read")
        return _literal(escaped)

    def _group(self, depth: int) -> Item:
        place = self.place + 1
        if self.pattern.startswith("?", place):
            if not self.pattern.startswith("?:", place):
                raise ValueError("a group that isn't read")
            place += 2
        self.place = place
        choices = self.choices(depth + 1)
        if not self.pattern.startswith(")", self.place):
            raise ValueError("a bracket without its end")
        self.place += 1
        return Group(f"(?:{'|'.join(''.join(one.text for one in choice) for choice in choices)})", choices)


def _literal(character: str) -> Character:
    if character < " " or character == "\x7f":
        raise ValueError("a character that isn't read")
    plain = character.isalnum() or not character.isascii() or character == "_"
    return Character(character if plain else f"\\{character}", character)


@lru_cache(4096)
def _character_matches(text: str, character: str, fold: bool) -> bool:
    from shipper.query.value import compile_regex

    return compile_regex(rf"\A(?:{'(?i)' if fold else ''}{text})\z").search(character) is not None
