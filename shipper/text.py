"""Text as Go wrote it: bytes decoded the way a Go reader does, and Go string literals taken apart."""

from __future__ import annotations

import codecs
import re

from shipper.pattern import pattern

_REPLACEMENT = "\ufffd"


def _one_each(error: UnicodeError) -> tuple[str, int]:
    """One U+FFFD for each bad byte: a Go reader's way; Python's "replace" gives one for a run."""
    assert isinstance(error, UnicodeDecodeError)
    return _REPLACEMENT * (error.end - error.start), error.end


codecs.register_error("connlog-each-byte", _one_each)


def counted(number: int, one: str, many: str = "") -> str:
    """How many there are, in words: ``1 event``, ``2 events``; ``many`` where an s is not enough."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def decode(raw: bytes) -> str:
    """UTF-8 text of ``raw`` with one U+FFFD for each byte that is not UTF-8. Never fails."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "connlog-each-byte")


_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}
_ESCAPE = pattern(
    r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.)|$)", re.DOTALL
)


class BadEscape(ValueError):
    """A Go string literal holds an escape that Go does not have; ``at`` is its place inside the quotes."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


def unquote(inner: str) -> str:
    r"""The value of a Go string literal, given what stands between its quotes.

    The escapes are those of strconv.Quote (``\a \b \f \n \r \t \v \\ \" \xNN \uNNNN \UNNNNNNNN``). Quote
    writes ``\xNN`` with NN of 80 and more only for a byte that is not UTF-8, so it is one U+FFFD.
    Raises BadEscape.
    """
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescape, inner)


def _unescape(found: re.Match[str]) -> str:
    simple, byte, short, long, octal, _ = found.groups()
    if simple is not None:
        return _SIMPLE[simple]
    if byte is not None or octal is not None:
        number = int(byte, 16) if byte is not None else int(octal, 8)
        if number > 0xFF:
            raise BadEscape(found.start())
        return chr(number) if number < 0x80 else _REPLACEMENT
    digits = short if short is not None else long
    if digits is None:
        raise BadEscape(found.start())
    number = int(digits, 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise BadEscape(found.start())
    return chr(number)


_SGR = pattern(r"\x1b\[[0-9;:]*m")


def strip_colours(text: str) -> str:
    """``text`` without the SGR sequences that the sink paints with."""
    return _SGR.sub("", text)
