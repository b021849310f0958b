"""The command line answers at once, and every error becomes a message and the right exit code."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from shipper import __version__
from shipper.cli import main as cli
from shipper.cli.main import COMMANDS, Entry, main
from shipper.errors import ConfigError, ConnlogError, QueryError, StateBusy
from shipper.resource import root

FORBIDDEN_AT_HELP = {"lark", "rich", "msgspec", "orjson", "re2", "watchdog", "sqlite3", "zstandard", "logging"}
FORBIDDEN_AT_PARSE = (FORBIDDEN_AT_HELP | {"click", "inspect", "ipaddress", "pathlib"}) - {"msgspec", "orjson"}


def _target(entry: Entry) -> click.Command:
    module, _, name = entry.target.partition(":")
    command = getattr(import_module(module), name)
    assert isinstance(command, click.Command)
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_each_command_says_of_itself(name: str) -> None:
    command = _target(COMMANDS[name])
    assert command.get_short_help_str(limit=200) == COMMANDS[name].help
    assert not command.hidden


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"connlog {name}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    """What makes --help slow is imports; so they are counted, not the time."""
    code = (
        "import sys; from shipper.cli.main import main; code = main(['--help']); "
        f"print('LOADED', sorted({FORBIDDEN_AT_HELP!r} & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED [] 0"
    for name, entry in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert entry.help in done.stdout


def test_parse_of_paths_loads_nothing_that_it_can_do_without() -> None:
    """Every event of a log pays its part of the start."""
    code = (
        "import sys; from shipper.cli.main import main; code = main(['parse', '/dev/null']); "
        f"print('LOADED', sorted({FORBIDDEN_AT_PARSE!r} & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED [] 0"


@pytest.mark.parametrize(
    "words",
    [
        ["parse", "LOG"],
        ["parse", "LOG", "LOG"],
        ["parse", "LOG", "/no/such/file"],
        ["parse", ""],
        ["parse", "--", "LOG"],
        ["parse", "LOG", "--format", "nope"],
        ["run", "-c", "/no/such/file"],
        ["run", "-c", "LOG"],
        ["run", "--config", "LOG"],
        ["run", "--config=LOG"],
        ["run", "-cLOG"],
        ["run", "-c"],
        ["run", "-c", "-c"],
        ["run", "LOG"],
    ],
)
def test_what_is_done_without_click_is_what_click_would_do(
    words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "coderd.log"
    log.write_bytes((Path(root()) / "tests/samples/coderd.log").read_bytes() + b'{"ts":"broken connection_log\n')
    words = [word.replace("LOG", str(log)) for word in words]
    quick = main(words), capfd.readouterr()
    monkeypatch.setattr(cli, "QUICK", {})
    assert (main(words), capfd.readouterr()) == quick


LATE = """
import atexit, sys, threading
from shipper.cli.main import main
{before}
sys.argv = ["connlog", "--version"]
code = main()
print("went on", code)
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", ""),
        ("atexit.register(print, 'at the end')", "at the end\n"),
        (
            "threading.Thread(target=lambda: (threading.main_thread().join(), print('the thread'))).start()",
            "went on 0\nthe thread\n",
        ),
        ("sys.setprofile(lambda *_: None)", "went on 0\n"),
    ],
    ids=["nothing", "at exit", "a thread", "a profiler"],
)
def test_the_end_of_the_process_leaves_out_nothing_that_anybody_waits_for(before: str, said: str) -> None:
    program = [sys.executable, "-c", LATE.format(before=before)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout == f"connlog {__version__}\n{said}"


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"connlog {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serach"], "did you mean 'search'?"),
        (["zzz"], "'connlog --help' lists the commands"),
        (["--nope"], "No such option"),
        (["\x1b[2J"], "No such command '\\x1b[2J'"),
        (["check", "\x1b[2J"], "unexpected extra argument"),
        (["check", "--\x1b[2J"], "No such option '--\\x1b[2J'"),
        (["check", "extra"], "unexpected extra argument"),
        ([], "Usage: connlog [OPTIONS] COMMAND [ARGS]...\n\n  Ships"),
        (["completion"], "Choose from:\n    bash,\n"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert "\x1b" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            ConfigError(["a.toml:1: x: is wrong", "a.toml:2: y: too"]),
            3,
            "invalid\na.toml:1: x: is wrong\na.toml:2: y: too\n",
        ),
        (QueryError("q", "the query is wrong", 3), 2, "connlog: the query is wrong\n"),
        (StateBusy("the state is held by another process"), 4, "connlog: the state is held by another process\n"),
        (ConnlogError("a name with \x1b[31m in it"), 4, "connlog: a name with \\x1b[31m in it\n"),
        (ConnlogError("bidi \u202e and \U000e0001"), 4, "connlog: bidi \\u202e and \\U000e0001\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 4, "connlog: /x/y: No space left on device\n"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "no\nconnlog: fine"),
            4,
            "connlog: no\\x0aconnlog: fine: No such file\n",
        ),
        (StateBusy("x\nconnlog: fine"), 4, "connlog: x\\x0aconnlog: fine\n"),
        (ConfigError(["x\nconnlog: fine"]), 3, "invalid\nx\\x0aconnlog: fine\n"),
        (click.UsageError("x\nconnlog: fine"), 2, "Error: x\\x0aconnlog: fine\n"),
        (QueryError("q", "wrong\n  here\n  ^", 1), 2, "connlog: wrong\n  here\n  ^\n"),
        (OSError("without a number"), 4, "connlog: without a number\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (click.UsageError("that can't be"), 2, "Error: that can't be\n"),
        (click.exceptions.Exit(1), 1, ""),
    ],
)
def test_an_error_becomes_a_message_and_its_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command("raise")
    def command() -> None:
        raise error

    _offer(monkeypatch, command)
    assert main(["raise"]) == code
    captured = capsys.readouterr()
    assert captured.err.endswith(said)
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_commands_result_is_the_exit_code(result: int | None, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("raise")
    def command() -> int | None:
        return result

    _offer(monkeypatch, command)
    assert main(["raise"]) == code


def _offer(monkeypatch: pytest.MonkeyPatch, command: click.Command) -> None:
    """Make a command of the test's own reachable as ``raise``."""
    monkeypatch.setattr(cli, "offered_by_test", command, raising=False)
    monkeypatch.setitem(COMMANDS, "raise", Entry("shipper.cli.main:offered_by_test", "Raises."))


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "shipper", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_full_disk_behind_stdout_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "shipper", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "connlog: No space left on device; make room, or send standard output elsewhere\n"


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "said"),
    [
        ("<&-", "parse", 4, "connlog: standard input is closed; give a PATH\n"),
        ("<&-", "parse --explain -", 4, "connlog: standard input is closed; give a PATH\n"),
        ("<&-", "--version", 0, ""),
        (">&-", "parse /dev/null", 4, "connlog: standard output is closed"),
        (">&-", "--help", 4, "connlog: standard output is closed"),
        ("2>&-", "parse /no/such/file", 4, ""),
        ("<&- >&- 2>&-", "parse", 4, ""),
    ],
)
def test_a_closed_stream_is_an_error_only_where_it_is_needed(closed: str, arguments: str, code: int, said: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m shipper {arguments} {closed}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_the_name_of_a_file_makes_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parse", "nofile\nconnlog: all good"]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("entry", "logger"),
    [
        ('{"msg":"connection_log","fields":{"ID":"x"},"logger_names":{"a":1}}', "{'a': 1}"),
        ('{"msg":"connection_log","fields":{"ID":"x"},"logger_names":7}', "7"),
        ('{"msg":"connection_log","fields":{"ID":"x"},"logger_names":[]}', "None"),
        ('{"message":"connection_log","ID":"x","logging.googleapis.com/operation":"s"}', "s"),
        ('{"message":"connection_log","ID":"x","logging.googleapis.com/operation":{"producer":[]}}', ""),
        ('{"message":"connection_log","ID":"x"}', "None"),
    ],
)
def test_an_entry_with_anything_in_place_of_its_logger_is_explained(
    entry: str, logger: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "coderd.log"
    log.write_text(entry + "\n")
    assert main(["parse", "--explain", str(log)]) == 0
    assert f"its logger is {logger!r}, not coderd" in capsys.readouterr().out
