"""The command ``connlog``: finds the module of a command and turns every error into a message and an exit code.

A command's module defines ``command``, a click command whose callback returns None or an exit code.
The modules are imported only when used, so that ``connlog --help`` answers at once.

Exit codes: 0 done, 1 bad news, 2 usage, 3 configuration, 4 I/O, 130 interrupted.
"""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from shipper.cli.talk import say
from shipper.errors import ConfigError, ConnlogError, QueryError

IO_FAILED = 4
INTERRUPTED = 130


class Entry:
    """Where a command is found, as ``module:name``, and the first sentence of its help."""

    __slots__ = ("help", "target")

    def __init__(self, target: str, help: str) -> None:
        self.target = target
        self.help = help


COMMANDS = {
    "run": Entry("shipper.cli.run_options:command", "Run the daemon."),
    "parse": Entry("shipper.cli.parse_options:command", "Read logs and print their connection events as NDJSON."),
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


QUICK = {
    "parse": ("shipper.cli.parse:quick", ("msgspec", "orjson")),
    "run": ("shipper.cli.run:quick", ("pathlib",)),
}
"""Commands whose usual words need no click, which takes as long to load as to read thousands of lines: a function of the
words behind the command that does the work and returns the exit code, or None where click must look at them; and the
libraries that are to be loaded lean before it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code. None: the process's own line, and then
    a process that is left with nothing to do is ended here."""
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
    return _leave(code) if argv is None else code


class ClosedInput(io.RawIOBase):
    """Standard input that the caller has closed: what reads it gets an OSError that says so, others never notice."""

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise OSError(errno.EBADF, "standard input is closed; give a PATH")


def _invoke(args: list[str]) -> int:
    """Do what the words ask for: quickly where they are of the usual kind, by click where not."""
    quick = QUICK.get(args[0]) if args else None
    if quick is not None:
        from shipper.standin import load_lean

        # What a start makes stays: to look for cycles in it finds none. The command begins with that when it is at work.
        gc.disable()
        try:
            target, libraries = quick
            load_lean(*libraries)
            code: int | None = find(target)(args[1:])
        finally:
            gc.enable()
        if code is not None:
            return code
    from shipper.cli.group import invoke

    return invoke(args)


def _leave(code: int) -> int:
    """End the process, all that was written being out; returns the code where somebody still has something to do.

    Python would go on to take its modules apart, one object after another, for as long as thousands of lines take to read.
    """
    threads = sys.modules.get("threading")
    if sys.flags.inspect or sys.gettrace() or sys.getprofile() or (threads and threads.active_count() > 1):
        return code
    # What was asked to be done at the end is done, as without this: flush the log, remove temporary files.
    atexit._run_exitfuncs()  # noqa: SLF001 (the only way to ask for it)
    try:
        sys.stdout.flush()
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        return code
    os._exit(code)


def find(target: str) -> Any:
    """What ``module:name`` names; the module is loaded for it."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _complete(instruction: str) -> int:
    """Answer a shell that completes a command line."""
    from shipper.cli.completion import answer

    return answer(instruction)


def _os_message(error: OSError) -> str:
    """What the system refused and where, in one line."""
    what = error.strerror or str(error) or type(error).__name__
    where = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{where}: {what}" if where else what


__all__ = ["COMMANDS", "main"]
