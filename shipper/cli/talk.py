"""Talk: what connlog says on stderr, with nothing in it that a terminal would obey.

Messages carry names of files, queries and parts of logs, which an attacker may have chosen.
"""

from __future__ import annotations

import click


def printable(text: str) -> str:
    """The text with every character that a terminal might obey written as an escape; line ends stay."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def say(message: str) -> None:
    """One message on stderr, behind the program's name."""
    click.echo(f"connlog: {printable(message)}", err=True)


def warn(message: str) -> None:
    """One warning on stderr: something to look at that didn't stop the command."""
    say(f"warning: {message}")
