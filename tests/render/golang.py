"""Go's own ways with text: strconv.Quote, unicode.IsPrint and IsSpace, strings.TrimSpace, encoding/json, times.

Written from Go's documentation, with nothing of the product's: what it writes is what the product must read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta

_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}
_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def runes(raw: bytes) -> Iterator[str | int]:
    """What ``for range`` gives: a rune, or the number of a byte that is not UTF-8."""
    at = 0
    while at < len(raw):
        for length in (1, 2, 3, 4):
            try:
                yield raw[at : at + length].decode()
            except UnicodeDecodeError:
                continue
            at += length
            break
        else:
            yield raw[at]
            at += 1


def is_print(rune: str) -> bool:
    """unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space."""
    return rune == " " or unicodedata.category(rune)[0] in "LMNPS"


def is_space(rune: str) -> bool:
    """unicode.IsSpace."""
    return rune in _SPACES


def trim_space(raw: bytes) -> bytes:
    """strings.TrimSpace."""
    parts = list(runes(raw))
    start, end = 0, len(parts)
    while start < end and isinstance(parts[start], str) and parts[start] in _SPACES:
        start += 1
    while end > start and isinstance(parts[end - 1], str) and parts[end - 1] in _SPACES:
        end -= 1
    return b"".join(part.encode() if isinstance(part, str) else bytes([part]) for part in parts[start:end])


def quote(raw: bytes) -> bytes:
    """strconv.Quote, with its quotes."""
    out = ['"']
    for rune in runes(raw):
        if isinstance(rune, int):
            out.append(f"\\x{rune:02x}")
        elif rune in '"\\':
            out.append("\\" + rune)
        elif is_print(rune):
            out.append(rune)
        elif rune in _SHORT:
            out.append(_SHORT[rune])
        elif rune < " " or rune == "\x7f":
            out.append(f"\\x{ord(rune):02x}")
        elif rune < "\U00010000":
            out.append(f"\\u{ord(rune):04x}")
        else:
            out.append(f"\\U{ord(rune):08x}")
    return ("".join(out) + '"').encode()


_JSON = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def json_string(raw: bytes) -> bytes:
    """A string as encoding/json writes it, HTML escaping on."""
    out = ['"']
    for rune in runes(raw):
        if isinstance(rune, int):
            out.append("\\ufffd")
        elif rune in _JSON:
            out.append(_JSON[rune])
        elif rune < " " or rune in "<>&\u2028\u2029":
            out.append(f"\\u{ord(rune):04x}")
        else:
            out.append(rune)
    return ("".join(out) + '"').encode()


def rfc3339_nano(utc: str, offset: int = 0) -> str:
    """Go's RFC3339Nano of a UTC time ``YYYY-MM-DDTHH:MM:SS[.fff]Z``, shown in a zone of ``offset`` minutes."""
    clock, fraction = _moved(utc, offset)
    fraction = fraction.rstrip("0")
    zone = f"{'+' if offset > 0 else '-'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}" if offset else "Z"
    return clock.replace(" ", "T") + (f".{fraction}" if fraction else "") + zone


def time_string(utc: str, offset: int = 0, zone: str = "UTC", monotonic: str = "") -> str:
    """Go's time.Time.String() of the same."""
    clock, fraction = _moved(utc, offset)
    fraction = fraction.rstrip("0")
    sign = "-" if offset < 0 else "+"
    shown = f"{sign}{abs(offset) // 60:02d}{abs(offset) % 60:02d} {zone}"
    return clock + (f".{fraction}" if fraction else "") + " " + shown + (f" m={monotonic}" if monotonic else "")


def stamp(utc: str) -> str:
    """The human sink's stamp: milliseconds, cut and not rounded."""
    clock, fraction = _moved(utc, 0)
    return f"{clock}.{fraction[:3]}"


def _moved(utc: str, offset: int) -> tuple[str, str]:
    """Clock text with a blank between day and time, and nine fraction digits."""
    moment = datetime.fromisoformat(utc[:19]) + timedelta(minutes=offset)
    return moment.isoformat(sep=" "), utc[19:].strip(".Z").ljust(9, "0")
