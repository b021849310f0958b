"""A configuration is read whole or refused with every problem, each with its line and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.config import Config, FileInput, IndexOutput, State, load, load_config
from shipper.config.load import SYSTEM_FILE, default_state_dir, parse_config
from shipper.errors import ConfigError

HOME = {"HOME": "/home/someone"}

INPUT = "[[input]]\ntype = 'file'\npaths = ['a']\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Path("/etc/c.toml"), HOME)
    return caught.value.problems


def test_nothing_given_runs_on_the_local_index_alone() -> None:
    assert parse_config("", None, HOME) == Config(
        path=None,
        state=State(dir=Path("/home/someone/.local/state/connlog"), journal_max_bytes=1 << 30),
        inputs=(FileInput(paths=("/var/log/coder/*.log",)),),
        outputs=(IndexOutput(retention_seconds=365 * 86400),),
    )


def test_every_option_is_read_into_its_unit(tmp_path: Path) -> None:
    file = tmp_path / "connlog.toml"
    file.write_text("""
        [state]
        dir = "state"
        journal_max = "2GiB"
        [[input]]
        type = "file"
        paths = ["logs/*.log", "~/coderd.log", "/abs/*"]
        exclude = ["*.old", "logs/not.log"]
        format = "json"
        wrapper = "docker"
        tz = "America/New_York"
        line_max = "64KiB"
        poll = "250ms"
        read_from = "end"
        [[output]]
        type = "index"
        retention = "forever"
    """)
    assert load_config(file, HOME) == Config(
        path=file,
        state=State(dir=tmp_path / "state", journal_max_bytes=2 << 30),
        inputs=(
            FileInput(
                paths=(str(tmp_path / "logs/*.log"), "/home/someone/coderd.log", "/abs/*"),
                exclude=("*.old", str(tmp_path / "logs/not.log")),
                format="json",
                wrapper="docker",
                tz="America/New_York",
                line_max_bytes=65536,
                poll_seconds=0.25,
                read_from="end",
            ),
        ),
        outputs=(IndexOutput(retention_seconds=None),),
    )


def test_all_problems_are_told_at_once_in_the_order_of_their_lines() -> None:
    found = problems("""
[state]
dri = "x"
journal_max = 5
[[input]]
type = "file"
paths = [
  "a.log",
  3,
  "",
]
poll = "10ms"
tz = "Europe/Berln"
[[input]]
type = "journal"
units = ["ignored until the type is right"]
[[input]]
paths = ["a"]
[[output]]
type = "index"
[[output]]
type = "index"
retention = "1500ms"
[metrics]
listen = "localhost"
[outputs]
""")
    assert found == [
        '/etc/c.toml:3: state.dri: is not known; did you mean "dir"?',
        '/etc/c.toml:4: state.journal_max: must be text in quotes, not a number; write it as "16MiB"',
        '/etc/c.toml:9: input[1].paths[2]: must be text in quotes, not a number; write it as "/var/log/coder/*.log"',
        "/etc/c.toml:10: input[1].paths[3]: is empty; write a pattern or remove it",
        '/etc/c.toml:12: input[1].poll: "10ms" is out of bounds; write a duration between 50ms and 1h',
        '/etc/c.toml:13: input[1].tz: "Europe/Berln" is no time zone known here; did you mean "Europe/Berlin"?',
        '/etc/c.toml:15: input[2].type: "journal" is not known; did you mean "journald"?',
        "/etc/c.toml:17: input[3].type: is missing; write "
        + " or ".join(f'type = "{name}"' for name in ("file", "journald", "stdin", "coder_api")),
        '/etc/c.toml:23: output[2].retention: "1500ms" is out of bounds; write a duration between 1m and 36500d',
        '/etc/c.toml:25: metrics.listen: "localhost" has no port; write it as "127.0.0.1:9464"',
        '/etc/c.toml:26: outputs: is not known; did you mean "output"?',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("state = 1", "1: state: must be a table, not a number; write [state] and its keys below"),
        ("[input]", "1: input: must be a list of tables; write [[input]] with two brackets on each side"),
        ("input = [1]", "1: input[1]: must be a table, not a number; write [[input]] and its keys below"),
        ("[[input]]\ntype = 'file'", "1: input[1].paths: is missing; write paths = …, a list of glob patterns"),
        ("[[input]]\ntype = 'journald'", '1: input[1].units: says nothing to follow; write units = ["coder.service"]'),
        (
            "[[input]]\ntype = 'journald'\nunits = ['']",
            '3: input[1].units[1]: "" is no name; write one such as "coder.service"',
        ),
        (
            "[[input]]\ntype = 'journald'\nunits = ['a', 'a']",
            '3: input[1].units[2]: "a" is there twice; remove one',
        ),
        (
            "[[input]]\ntype = 'journald'\nunits = ['a']\n[[input]]\ntype = 'journald'\nunits = ['b', 'a.service']",
            '6: input[2].units[2]: "a.service" is already followed by input[1].units[1] as "a"; remove one of them',
        ),
        (
            "[[input]]\ntype = 'journald'\nidentifiers = ['a']\nunits = ['a.service', 'a']",
            '4: input[1].units[2]: "a" is already followed by input[1].units[1] as "a.service"; remove one of them',
        ),
        (
            "[[input]]\ntype = 'journald'\nunits = 'a'",
            '3: input[1].units: must be a list, not text; write it as ["coder.service"]',
        ),
        (
            "[[input]]\ntype = 'stdin'\n[[input]]\ntype = 'stdin'",
            "3: input[2]: is a second stdin, and there is but one; remove it",
        ),
        ("[[input]]\ntype = 'flie'\nx = 1", '2: input[1].type: "flie" is not known; did you mean "file"?'),
        (
            "[[output]]\ntype = 'splunk'",
            '2: output[1].type: "splunk" is not known; did you mean "splunk_hec"?',
        ),
        (
            "[[output]]\ntype='index'\n[[output]]\ntype='index'",
            "3: output[2]: is a second index, and there can be but one",
        ),
        ("[state]\ndir = ''", "2: state.dir: is empty; write the path of a folder or remove the line"),
        ('[state]\ndir = "\\u0000"', "2: state.dir: has a NUL character in it; remove it"),
        ('[state]\n"a\\u001bb" = 1', '2: state."a\\u001bb": is not known; known here: dir, journal_max'),
        ("[state]\njournal_max = '1KiB'", '2: state.journal_max: "1KiB" is out of bounds; write a size between 16MiB'),
        ("[state]\njournal_max = 'big'", '2: state.journal_max: "big" is no size; write a number with B, KiB'),
        (INPUT + "poll = 'soon'", '4: input[1].poll: "soon" is no duration; write a number with ms'),
        (INPUT + "exclude = '*.gz'", '4: input[1].exclude: must be a list, not text; write it as ["*.gz"]'),
        (
            INPUT + "format = 'xml!'",
            '4: input[1].format: "xml!" is not known; use "auto", "json", "human", "stackdriver"',
        ),
        (INPUT + "tz = '@'", '4: input[1].tz: "@" is no time zone known here; write a name such as "Europe/Berlin"'),
        (INPUT + "tz = '../x'", '4: input[1].tz: "../x" is no time zone known here'),
        (INPUT + "read_from = 2026-01-12", "4: input[1].read_from: must be text in quotes, not a date or time"),
        ("[[input]]\ntype = 'file'\npaths = []", "3: input[1].paths: has 0 entries; write 1 to 1000"),
        (
            "[[output]]\ntype = 'index'\nretention = true",
            "3: output[1].retention: must be text in quotes, not true or false",
        ),
        ("[state]\ndir = 'x", "2: is not valid TOML at the end"),
        ("[state", "1: is not valid TOML"),
        ("a = 1\na = 2", "2: is not valid TOML"),
        ("[state]\njournal_max = " + "9" * 5000, ": is not valid TOML"),
        ("x = " + "[" * 5000, ": is nested too deeply"),
        ("input = [" + "{}," * 1001 + "]", "1: input: has 1001 tables; 1000 is the most"),
    ],
)
def test_a_problem_says_where_and_what_to_do(text: str, problem: str) -> None:
    (found,) = problems(text)
    assert problem in found


@given(st.text(st.sampled_from("[]{}=.\"'\n#, \\aié\u2028\x00stateinputtype0159:-+T"), max_size=60))
def test_no_text_makes_any_other_error(text: str) -> None:
    try:
        parse_config(text, Path("c.toml"), HOME)
    except ConfigError as error:
        assert all(re.match(r"c\.toml(:\d+)?: ", problem) for problem in error.problems)


def test_a_file_that_was_asked_for_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"/nope\.toml: can't be read: No such file or directory; .* \(-c names it\)"):
        load_config(tmp_path / "nope.toml", HOME)
    with pytest.raises(ConfigError, match=r"can't be read: Is a directory; .*CONNLOG_CONFIG names it"):
        load_config(None, HOME | {"CONNLOG_CONFIG": str(tmp_path)})


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"\n# \xff\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: is not UTF-8 text; save the file as UTF-8"):
        load_config(file, HOME)
    file.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(ConfigError, match="larger than 1MiB"):
        load_config(file, HOME)


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"\xef\xbb\xbf[state]\r\njournal_max = '1GiB'\r\n")
    assert load_config(file, HOME).path == file


def test_the_named_file_goes_before_the_environment(tmp_path: Path) -> None:
    one, two = tmp_path / "1.toml", tmp_path / "2.toml"
    one.write_text("")
    two.write_text("")
    assert load_config(one, HOME | {"CONNLOG_CONFIG": str(two)}).path == one
    assert load_config(None, HOME | {"CONNLOG_CONFIG": str(two)}).path == two


def test_the_systems_file_is_read_where_nothing_else_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is then in /var/lib/connlog, so that a person's search asks the service's index."""
    monkeypatch.setattr(load, "SYSTEM_FILE", tmp_path / "connlog.toml")
    assert load_config(None, HOME) == parse_config("", None, HOME)
    (tmp_path / "connlog.toml").write_text("[state]\njournal_max = '2GiB'")
    assert load_config(None, HOME).state == State(dir=Path("/var/lib/connlog"), journal_max_bytes=2 << 30)
    (tmp_path / "connlog.toml").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"connlog\.toml:1: is not valid TOML"):
        load_config(None, HOME)


@pytest.mark.parametrize(
    ("path", "environ", "folder"),
    [
        (None, HOME, "/home/someone/.local/state/connlog"),
        (None, HOME | {"XDG_STATE_HOME": "/xdg"}, "/xdg/connlog"),
        (None, HOME | {"XDG_STATE_HOME": "relative"}, "/home/someone/.local/state/connlog"),
        (SYSTEM_FILE, HOME | {"XDG_STATE_HOME": "/xdg"}, "/var/lib/connlog"),
        (SYSTEM_FILE, {"STATE_DIRECTORY": "/run/one:/run/two"}, "/run/one"),
        (None, {}, None),
    ],
)
def test_where_the_state_is_kept_when_nothing_says_so(
    path: Path | None, environ: dict[str, str], folder: str | None
) -> None:
    assert default_state_dir(path, environ) == (None if folder is None else Path(folder))


def test_without_a_home_folder_the_state_folder_must_be_given() -> None:
    with pytest.raises(ConfigError, match=r"built-in defaults: state\.dir: is not given"):
        parse_config("", None, {})
    with pytest.raises(ConfigError, match=r"state\.dir: '~' needs a home folder"):
        parse_config("[state]\ndir = '~/x'", None, {})
    assert parse_config("[state]\ndir = '/x'", None, {}).state.dir == Path("/x")


def test_one_unit_of_two_journals_is_two_sources(tmp_path: Path) -> None:
    tables = "".join(
        f"[[input]]\ntype = 'journald'\nunits = ['a']\n{where}\n"
        for where in ("", "namespace = 'b'", "directory = '/var/log/journal'", "read_from = 'end'\nnamespace = 'c'")
    )
    assert len(parse_config(tables, tmp_path / "c.toml", {"HOME": "/root"}).inputs) == 4
