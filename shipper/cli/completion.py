"""The command ``completion``: the script that makes a shell complete connlog's commands, options and queries."""

from __future__ import annotations

import os
import re

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from shipper.errors import ConnlogError

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

# click's own cuts an answer at each comma, which a value may hold.
_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=(commandline -t | string collect) %(prog_name)s 2>/dev/null)
    for completion in $response
        set -l metadata (string split -m 1 "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case plain
                echo $metadata[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
# click's own puts a blank behind a key, before its value could be typed.
_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a words_of keys described response
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type key descr in ${response}; do
        case "$type" in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                if [[ "$descr" != "_" ]]; then
                    described+=("${key//:/\\\\:}:$descr")
                elif [[ "$key" == *: ]]; then
                    keys+=("$key")
                else
                    words_of+=("$key")
                fi ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#keys )) && compadd -U -S "" -V keys -a keys
    (( $#words_of )) && compadd -U -V unsorted -a words_of
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
_special = re.compile(r"""[ \t"'\\$`&;|<>()*?\[\]{}~#!]""")
_special_quoted = re.compile(r"""["\\\\$`]""")


class Fish(FishComplete):
    """fish, whose script takes an answer apart at the first comma only."""

    source_template = _FISH


class Zsh(ZshComplete):
    """zsh, whose script puts no blank behind a key."""

    source_template = _ZSH


class Bash(BashComplete):
    """bash, which takes a colon for the end of a word: the whole line is read, and only what follows is given."""

    source_template = _BASH

    @staticmethod
    def _check_version() -> None:
        """click's own asks the bash in the path for its version; 4.0 of 2009 is enough for this script."""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ.get("COMP_LINE", "")
        opened = _open_quote(line)
        if opened is not None:
            # A question in quotes: its last element is the one that is being typed.
            return split_arg_string(line[:opened])[1:], line[opened + 1 :].rpartition(" ")[2]
        words = split_arg_string(line)
        incomplete = "" if not words or line[-1:].isspace() else words.pop()
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """What bash puts on the line as it is: nothing in it may mean something to bash."""
        line = os.environ.get("COMP_LINE", "")
        opened = _open_quote(line)
        if opened is not None:
            # bash takes all that is in the quotes for one word.
            before, blank, _ = line[opened + 1 :].rpartition(" ")
            inside = (
                item.value.replace("'", "'\\''") if line[opened] == "'" else _special_quoted.sub(r"\\\g<0>", item.value)
            )
            return f"{item.type},{before}{blank}{inside}"
        _, incomplete = self.get_completion_args()
        value = _special.sub(r"\\\g<0>", item.value.removeprefix(incomplete[: incomplete.rfind(":") + 1]))
        return f"{item.type},{value}"


def _open_quote(line: str) -> int | None:
    """Where the quote stands that is not closed at the end of a command line."""
    opened: int | None = None
    escaped = False
    for place, character in enumerate(line):
        if escaped:
            escaped = False
        elif opened is None:
            if character in "'\"":
                opened = place
            escaped = character == "\\"
        elif character == line[opened]:
            opened = None
        else:
            escaped = character == "\\" and line[opened] == '"'
    return opened


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
    from shipper.cli.group import connlog

    click.echo(_shell(shell)(connlog, {}, PROGRAM, VARIABLE).source(), nl=False)
    return 0


def answer(instruction: str) -> int:
    """What a script asks for, by the value of its variable: ``bash_complete``, ``zsh_complete``, ``fish_complete``."""
    from shipper.cli.group import connlog

    shell, _, what = instruction.partition("_")
    if shell not in ("bash", "zsh", "fish") or what != "complete":
        return 1
    try:
        click.echo(_shell(shell)(connlog, {}, PROGRAM, VARIABLE).complete())
    except ConnlogError:
        return 1  # the line as it stands is wrong; the command will say so
    return 0


def _shell(name: str) -> type[ShellComplete]:
    return {"bash": Bash, "zsh": Zsh, "fish": Fish}[name]
