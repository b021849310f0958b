"""The literal: a text that every match of a regular expression holds, to look for before the expression itself."""

from __future__ import annotations

LITERAL_MIN = 3
"""Shorter ones are in nearly every line."""
_CLASSES = frozenset("dswDSWbB")


def longest_literal(pattern: str) -> bytes | None:
    """The longest run of characters that are in every match of ``pattern`` as they are; None where there is none of
    ``LITERAL_MIN``, or the pattern has what isn't looked into: alternatives, groups, repetitions by number, letters
    that are not ASCII."""
    if not pattern.isascii():
        return None
    runs = [""]
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character in "|(){":
            return None
        if character == "[":
            end = _class_end(pattern, place)
            if end is None:
                return None
            place = end
            runs.append("")
        elif character in "*?":
            # What stands before it need not be there.
            runs[-1] = runs[-1][:-1]
            runs.append("")
        elif character in "+.^$":
            runs.append("")
        elif character == "\\":
            escaped = pattern[place : place + 1]
            place += 1
            if escaped in _CLASSES and escaped:
                runs.append("")
            elif not escaped or escaped.isalnum() or ord(escaped) < 0x20:
                return None
            else:
                runs[-1] += escaped
        elif ord(character) < 0x20:
            return None
        else:
            runs[-1] += character
    longest = max(runs, key=len)
    return longest.encode() if len(longest) >= LITERAL_MIN else None


def _class_end(pattern: str, place: int) -> int | None:
    """Where a class ends whose bracket is before ``place``; None for one that has brackets or escapes of its own."""
    end = pattern.find("]", place + 1 + pattern.startswith("^", place))
    inside = pattern[place:end]
    return None if end < 0 or "[" in inside or "\\" in inside else end + 1
