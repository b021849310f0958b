"""The human line's Lark grammar: its terminals, its parser, and plain words for what it refuses.

Lark itself is loaded only when a line comes that the fast path does not take. Words for errors come from the broken
lines kept beside the grammar (``human_errors.toml``): each is parsed once, and what the parser
expected there becomes the key under which its label is found, so a flood of bad lines costs one
look-up each.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from shipper.parsing.result import Refused
from shipper.resource import read_data

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

_TERMINAL = re.compile(r"^([A-Z_]+):\s+/(.*)/$", re.MULTILINE)
_Key = tuple[frozenset[str], str]


@cache
def terminals() -> dict[str, str]:
    """The regular expression of each terminal of the human grammar, by name.

    Read from the grammar's text, where each stands on a line of its own: to load Lark for it costs more
    than to parse ten thousand lines. A test holds them equal to Lark's.
    """
    return dict(_TERMINAL.findall(read_data("grammars/human.lark")))


@cache
def _lark() -> Lark:
    from lark import Lark

    return Lark(read_data("grammars/human.lark"), parser="lalr", lexer="contextual")


class HumanGrammar:
    """The Lark parser of a human entry: the text of one entry to a tree, or a ``Refused``."""

    def __init__(self) -> None:
        from lark.exceptions import UnexpectedInput

        self._parse: Callable[[str], Any] = _lark().parse
        self._unexpected: type[UnexpectedInput] = UnexpectedInput
        self._labels: dict[_Key, str] = {}
        for label, examples in tomllib.loads(read_data("grammars/human_errors.toml")).items():
            for example in examples["lines"]:
                key, _ = self._refusal(example)
                self._labels.setdefault(key, label_text(examples, label))

    def tree(self, text: str) -> Any:
        """The parse tree of one entry, or ``Refused`` with plain words."""
        try:
            return self._parse(text)
        except self._unexpected as error:
            key, at = _place(error, text)
            return Refused(self._labels.get(key, "this is not how coderd writes an event"), at)

    def _refusal(self, text: str) -> tuple[_Key, int]:
        try:
            self._parse(text)
        except self._unexpected as error:
            return _place(error, text)
        raise ValueError(f"grammars/human_errors.toml: this line is not broken: {text!r}")


def label_text(entry: dict[str, Any], label: str) -> str:
    """The words shown to a person for one entry of ``human_errors.toml``."""
    words = entry.get("say", label)
    assert isinstance(words, str)
    return words


def _place(error: UnexpectedInput, text: str) -> tuple[_Key, int]:
    """What was expected and what kind of thing stood there, as a key; and where, 0-based."""
    expected = getattr(error, "allowed", None) or getattr(error, "expected", None) or ()
    token = getattr(error, "token", None)
    at: int | None = getattr(error, "pos_in_stream", None)
    if at is None or at < 0 or (token is not None and token.type == "$END"):
        at = len(text)
    if at >= len(text):
        found = "end"
    elif text.startswith(" ...", at):
        found = " ..."
    else:
        found = text[at] if text[at] in '\n" =' else "text"
    return (frozenset(str(name) for name in expected), found), at
