"""The command ``connlog``: finds the module of a command and turns every error into a message and an exit code.

A command's module defines ``command``, a click command whose callback returns None or an exit code.
The modules are imported only when used, so that ``connlog --help`` answers at once.

Exit codes: 0 done, 1 bad news, 2 usage, 3 configuration, 4 I/O, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from shipper import __version__
from shipper.cli.talk import printable, printable_lines, say
from shipper.errors import ConfigError, ConnlogError, QueryError

IO_FAILED = 4
INTERRUPTED = 130


class Entry(NamedTuple):
    """Where a command is found, as ``module:name``, and the first sentence of its help."""

    target: str
    help: str


COMMANDS = {
    "run": Entry("shipper.cli.run:command", "Run the daemon."),
    "parse": Entry("shipper.cli.parse:command", "Read logs and print their connection events as NDJSON."),
    "backfill": Entry("shipper.cli.backfill:command", "Read whole files into the configured outputs."),
    "search": Entry("shipper.cli.search:command", "Search the local index."),
    "grep": Entry("shipper.cli.grep:command", "Find a pattern in the events, as grep does."),
    "tail": Entry("shipper.cli.tail:command", "Show the newest events."),
    "stats": Entry("shipper.cli.stats:command", "Count connections by one or two fields, and over time."),
    "show": Entry("shipper.cli.show:command", "Show all that is known of one connection or event."),
    "status": Entry("shipper.cli.status:command", "Show what the daemon is doing."),
    "quarantine": Entry("shipper.cli.quarantine:command", "Show and mend what could not be read."),
    "check": Entry("shipper.cli.check:command", "Validate the configuration."),
    "doctor": Entry("shipper.cli.doctor:command", "Find what is wrong and say what to do."),
    "index": Entry("shipper.cli.index:command", "Rebuild, check or compact the local index."),
    "splunk": Entry("shipper.cli.splunk:command", "Set Splunk up, install the add-on, and check what Splunk holds."),
    "service": Entry("shipper.cli.service:command", "Install, remove or look at the systemd service."),
    "names": Entry("shipper.cli.names:command", "Show and fill the directory of names."),
    "reconcile": Entry("shipper.cli.reconcile:command", "Hold the log against Coder's API."),
    "completion": Entry("shipper.cli.completion:command", "Print the script that completes connlog in a shell."),
}
"""Every command in the order of the help; a test holds the sentences equal to the commands' own."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and sentences without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.target} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            # Imported here: only a mistyped name pays for it.
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "'connlog --help' lists the commands."
            ctx.fail(f"No such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="connlog", message="%(prog)s %(version)s")
def connlog() -> None:
    """Ships Coder's connection logs and searches them.

    Exit codes: 0 done, 1 nothing found or a check failed, 2 wrong usage, 3 configuration invalid,
    4 I/O or remote failure, 130 interrupted.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name; None: the process's own) and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:
        say("standard output is closed; send it to a file, or to /dev/null if it is not wanted")
        return IO_FAILED
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # In a locale that is not UTF-8 a character that it lacks is an escape, as stderr has it.
        sys.stdout.reconfigure(errors="backslashreplace")
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(ClosedInput()))
    try:
        instruction = os.environ.get("_CONNLOG_COMPLETE") if argv is None else None
        code = _complete(instruction) if instruction else _invoke(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python flushes stdout once more at exit: give it a place to.
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        # It repeats what was typed, which may have been pasted from a log, line ends too.
        text = shown.getvalue().replace("\t", "    ")
        if error.message and not isinstance(error, click.exceptions.NoArgsIsHelpError):
            text = text.replace(error.message, printable(error.message))
        click.echo(printable_lines(text), err=True, nl=False)
        return error.exit_code
    except ConfigError as error:
        say("the configuration is invalid", *error.problems)
        return error.exit_code
    except QueryError as error:
        # Its lines are its own: each problem, and the place below.
        say(*str(error).split("\n"))
        return error.exit_code
    except ConnlogError as error:
        say(str(error))
        return error.exit_code
    except OSError as error:
        full = error.errno == errno.ENOSPC and error.filename is None
        say(_os_message(error) + ("; make room, or send standard output elsewhere" if full else ""))
        return IO_FAILED
    return code


class ClosedInput(io.RawIOBase):
    """Standard input that the caller has closed: what reads it gets an OSError that says so, others never notice."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise OSError(errno.EBADF, "standard input is closed; give a PATH")


def _invoke(args: list[str]) -> int:
    """Run the group without click's own error handling: it would end the process, with other codes than ours."""
    try:
        with connlog.make_context("connlog", args) as ctx:
            result = connlog.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _complete(instruction: str) -> int:
    """Answer a shell that completes a command line."""
    from shipper.cli.completion import answer

    return answer(instruction)


def _os_message(error: OSError) -> str:
    """What the system refused and where, in one line."""
    what = error.strerror or str(error) or type(error).__name__
    where = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{where}: {what}" if where else what


__all__ = ["COMMANDS", "connlog", "main"]
