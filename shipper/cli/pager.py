"""The pager: shows what is longer than the terminal through ``$PAGER``, or ``less``, and only there."""

from __future__ import annotations

import os
import sys

import click

_OFF = ("", "cat")


def show(text: str, *, wanted: bool = True) -> None:
    """Write ``text``, which ends its lines itself, to stdout: page by page where that is a terminal with fewer lines."""
    command = pager_command() if wanted and _is_long(text) else None
    if command is None:
        click.echo(text, nl=False, color=True)
        return
    import subprocess

    # No shell, and less is told to be secure: no editor, no pipe, no other file from within.
    environment = {"LESS": "FRX", **os.environ, "LESSSECURE": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as child:
        assert child.stdin is not None
        try:
            child.stdin.write(text.encode())
            child.stdin.close()
        except BrokenPipeError:
            pass  # who reads has seen enough
        while True:
            try:
                child.wait()
                break
            except KeyboardInterrupt:
                continue  # Ctrl-C is the pager's; it ends with q


def pager_command() -> list[str] | None:
    """The command of the pager, if there is one that can be run."""
    import shlex
    import shutil

    asked = os.environ.get("CONNLOG_PAGER", os.environ.get("PAGER", "less"))
    try:
        command = shlex.split(asked)
    except ValueError:
        return None
    if asked.strip() in _OFF or shutil.which(command[0]) is None:
        return None
    return command


def _is_long(text: str) -> bool:
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return False
    from shutil import get_terminal_size

    return text.count("\n") >= get_terminal_size().lines
