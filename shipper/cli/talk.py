"""Talk: what connlog says on stderr, with nothing in it that a terminal would obey.

Messages carry names of files, queries and parts of logs, which an attacker may have chosen.
"""

from __future__ import annotations

import os
import sys


def printable(text: str) -> str:
    """The text on one line, every character that a terminal might obey, a line end too, written as an escape."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def printable_lines(text: str) -> str:
    """The same, but line ends stay: for text that has lines by its own nature, and no name of a file in it."""
    return "\n".join(printable(line) for line in text.split("\n"))


def tell(text: str) -> None:
    """Lines on stderr, as they are; nowhere where it is closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def say(*lines: str) -> None:
    """A message on stderr behind the program's name; a line end within one of its lines is an escape.

    What was written to stdout before comes before it where both lead to the same place."""
    if sys.stdout is not None:
        sys.stdout.flush()
    tell("connlog: " + "\n".join(map(printable, lines)))


def warn(message: str) -> None:
    """One warning on stderr, on one line: something to look at that didn't stop the command."""
    tell(f"connlog: warning: {printable(message)}")


def visible(text: str) -> str:
    """``text`` with every character that is not plainly printed as an escape: ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible_lines(text: str) -> str:
    """As ``visible``, but lines stay lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def coloured() -> bool:
    """Whether stdout is a terminal that may be given colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
