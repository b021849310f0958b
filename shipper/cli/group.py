"""The group: all commands under one roof for click, none of them loaded before it is used."""

from __future__ import annotations

import io

import click

from shipper import __version__
from shipper.cli.main import COMMANDS, INTERRUPTED, find
from shipper.cli.talk import printable, printable_lines, tell


class LazyGroup(click.Group):
    """A group that knows its commands' names and sentences without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = find(entry.target)
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


def invoke(args: list[str]) -> int:
    """Run one command line and return its exit code, without click's own error handling: it would end the process, with
    other codes than ours. What click refuses is said on stderr; any other error is for the caller."""
    try:
        with connlog.make_context("connlog", args) as ctx:
            result = connlog.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        # It repeats what was typed, which may have been pasted from a log, line ends too.
        text = shown.getvalue().replace("\t", "    ")
        if error.message and not isinstance(error, click.exceptions.NoArgsIsHelpError):
            text = text.replace(error.message, printable(error.message))
        tell(printable_lines(text).removesuffix("\n"))
        return error.exit_code
    return result if isinstance(result, int) else 0
