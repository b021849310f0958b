"""The manual: the page ``docs/connlog.1``, made from the commands themselves.

``python -m shipper.cli.manual`` writes it in a checkout; with ``--check`` it only compares, and ends with 1
where it is stale. The wheel puts it where ``man connlog`` finds it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from shipper.cli.group import connlog
from shipper.cli.main import COMMANDS

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = "docs/connlog.1"
_HEAD = """\
.\\" Made by `make docs` from the commands; `make docs-check` compares.
.TH CONNLOG 1 "" "connlog" "User Commands"
.SH NAME
connlog \\- ships Coder's connection logs and searches them
.SH SYNOPSIS
.B connlog
.I COMMAND
[OPTION]... [ARGUMENT]...
.SH DESCRIPTION
A daemon, connlog run, follows coderd's logs, keeps each connection event in a journal, and feeds a local index and
Splunk. The other commands ask the index, and look after the daemon.
Data is written to standard output, what is said about it to standard error.
.SH COMMANDS
"""
_TAIL = """\
.SH QUERIES
The filter language of Coder's dashboard, and more: type:ssh, workspace:dev,test, \\-username:bob, ip:10.0.0.0/8,
code:>=400, duration:>1h, state:unknown, "free text", /regular expression/.
Terms must all be met; a comma separates alternatives, a minus excludes.
Times are 2h, 3d, yesterday, 2025\\-07\\-03 or RFC 3339.
.SH EXIT STATUS
0 done; 1 nothing found, or a check failed; 2 wrong usage; 3 configuration invalid; 4 I/O or remote failure;
130 interrupted.
.SH ENVIRONMENT
.TP
CONNLOG_CONFIG
The configuration file, where \\-c names none.
.TP
CONNLOG_PAGER, PAGER
What shows a table that is longer than the terminal; less where neither is set, none where it is empty.
.TP
NO_COLOR
Set to anything: no colour.
.SH FILES
.TP
/etc/connlog/connlog.toml
The configuration.
.TP
/var/lib/connlog
The state folder: the journal, the index, the status.
"""


def page() -> str:
    """The page in roff."""
    root = click.Context(connlog, info_name="connlog")
    lines: list[str] = []
    for name in COMMANDS:
        command = connlog.get_command(root, name)
        assert command is not None
        lines += _command(command, click.Context(command, info_name=name, parent=root))
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f".SS {_roff(context.command_path)}"
    yield f".B {_roff(_usage(command, context))}"
    yield ".PP"
    yield from _prose(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            yield ".TP"
            yield f".B {_roff(record[0])}"
            yield _roff(record[1]) or "\\&"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join((context.command_path, *command.collect_usage_pieces(context)))


def _prose(text: str) -> Iterator[str]:
    """A docstring: paragraphs are filled, those that click is told to leave alone are kept line by line."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        kept, body = paragraph.startswith("\b"), paragraph.lstrip("\b\n")
        if kept:
            yield ".nf"
        yield from (_roff(line.strip()) for line in body.splitlines())
        if kept:
            yield ".fi"


def _roff(text: str) -> str:
    """Text on one line, nothing in it a request of roff."""
    text = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def main(arguments: list[str], root: Path = CHECKOUT) -> int:
    """Write the page in the checkout ``root``, or with ``--check`` compare it; returns the exit code."""
    path, text = root / PAGE, page()
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{path}: is stale; run 'make docs'\n")
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
