"""The command ``completion``: the script that makes a shell complete connlog's commands, options and queries."""

from __future__ import annotations

import os

import click
from click.shell_completion import BashComplete, CompletionItem, ShellComplete, get_completion_class, split_arg_string

PROGRAM = "connlog"
VARIABLE = "_CONNLOG_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line#*,}")
    done < <(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
    [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
    return 0
}
complete -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """bash, which takes a colon for the end of a word: the whole line is read, and only what follows is given."""

    source_template = _BASH

    @staticmethod
    def _check_version() -> None:
        """click's own asks the bash in the path for its version; 4.0 of 2009 is enough for this script."""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        _, incomplete = self.get_completion_args()
        head = incomplete[: incomplete.rfind(":") + 1]
        return f"{item.type},{item.value.removeprefix(head)}"


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def command(shell: str) -> int:
    """Print the script that completes connlog in a shell.

    \b
    bash: source <(connlog completion bash)
    zsh:  source <(connlog completion zsh)
    fish: connlog completion fish | source

    Commands and options are completed, and in a query its keys, their values and names the index knows.
    """
    from shipper.cli.main import connlog

    click.echo(_shell(shell)(connlog, {}, PROGRAM, VARIABLE).source(), nl=False)
    return 0


def answer(instruction: str) -> int:
    """What a script asks for, by the value of its variable: ``bash_complete``, ``zsh_complete``, ``fish_complete``."""
    from shipper.cli.main import connlog

    shell, _, what = instruction.partition("_")
    if shell not in ("bash", "zsh", "fish") or what != "complete":
        return 1
    click.echo(_shell(shell)(connlog, {}, PROGRAM, VARIABLE).complete())
    return 0


def _shell(name: str) -> type[ShellComplete]:
    if name == "bash":
        return Bash
    found = get_completion_class(name)
    assert found is not None
    return found
