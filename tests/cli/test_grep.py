"""``connlog grep``: the flags and exit codes of grep, over the original lines and the fields of events."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.record import Record, Source

LINES = ["alpha one", "beta ONE", "gamma \x1b[31mred", "delta two one", "epsilon", "zeta"]


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T00:00:{number:02d}.500000000Z",
        status="connected",
        type="ssh" if number % 2 else "vscode",
        workspace_name=f"w{number}",
        source=Source(path="/log/a" if number < 3 else "/log/b"),
    )
    return replace(made, **fields)


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    writer.add(1, [event(n) for n in range(6)], [line.encode() for line in LINES], stored_ns=0)
    writer.close()
    return str(path)


def run(capsys: pytest.CaptureFixture[str], index: str, *args: str) -> tuple[int, list[str]]:
    code = main(["grep", "--index", index, *args])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["one"], ["alpha one", "delta two one"]),
        (["-i", "one"], ["alpha one", "beta ONE", "delta two one"]),
        (["-v", "a"], ["epsilon"]),
        (["-iv", "ONE"], [r"gamma \x1b[31mred", "epsilon", "zeta"]),
        (["-c", "one"], ["2"]),
        (["-ic", "one"], ["3"]),
        (["-F", "[31m"], [r"gamma \x1b[31mred"]),
        (["-o", "t[a-z]"], ["ta", "ta", "tw", "ta"]),
        (["-A1", "alpha"], ["alpha one", "beta ONE"]),
        (["-B", "1", "epsilon"], ["delta two one", "epsilon"]),
        (["-C1", "alpha|epsilon"], ["alpha one", "beta ONE", "--", "delta two one", "epsilon", "zeta"]),
        (["-m", "1", "one"], ["alpha one"]),
        (["-e", "-", "--"], []),
        (["-P", r"^alpha\b"], ["alpha one"]),
        (["-rP", "-i", "ALPHA"], ["alpha one"]),
        (["-R", "epsilon"], ["epsilon"]),
        (["--color", "epsilon"], ["epsilon"]),
        (["-e", "alpha", "-e", "epsilon"], ["alpha one", "epsilon"]),
        (["-F", "-e", "[31", "-e", "eps"], [r"gamma \x1b[31mred", "epsilon"]),
        (["-w", "on"], []),
        (["-w", "two|o"], ["delta two one"]),
        (["-x", "epsilon|alpha"], ["epsilon"]),
        (["-xi", "BETA one"], ["beta ONE"]),
        (["-Fx", "alpha"], []),
        (["-E", "alpha|zeta"], ["alpha one", "zeta"]),
        (["-l", "one"], ["/log/a", "/log/b"]),
        (["-l", "nowhere"], []),
        (["--ignore-case", "--count", "one"], ["3"]),
        (["--max-count", "1", "--only-matching", "o[a-z]"], ["on"]),
        (["w4"], ["epsilon"]),
        (["^one|one$"], ["alpha one", "delta two one"]),
        (["one", "type:ssh"], ["delta two one"]),
        (["one", "-type:ssh"], ["alpha one"]),
        (["one", "--since", "2026-01-01T00:00:01Z"], ["delta two one"]),
    ],
)
def test_events_are_found_as_grep_finds_lines(
    index: str, capsys: pytest.CaptureFixture[str], args: list[str], expected: list[str]
) -> None:
    code, lines = run(capsys, index, *args)
    assert lines == expected
    assert code == (0 if expected and expected != ["0"] else 1)


def test_nothing_found_is_1_and_a_bad_pattern_is_2(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, index, "-c", "nowhere") == (1, ["0"])
    assert main(["grep", "--index", index, "(a"]) == 2
    assert "-F takes it as plain text" in capsys.readouterr().err
    assert main(["grep", "--index", index]) == 2
    assert "PATTERN is missing" in capsys.readouterr().err


@pytest.mark.parametrize(("pattern", "code"), [("one", 0), ("nowhere", 1), ("(", 2)])
def test_quiet_has_nothing_on_stdout(index: str, capsys: pytest.CaptureFixture[str], pattern: str, code: int) -> None:
    assert main(["grep", "-q", "--index", index, pattern]) == code
    assert main(["grep", "-qc", "--index", index, pattern]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert bool(said.err) is (code == 2)


def test_of_several_patterns_the_wrong_one_is_named(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grep", "--index", index, "-e", "a", "-e", "b)"]) == 2
    assert "unexpected ): b)" in capsys.readouterr().err


def test_records_come_as_ndjson(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = run(capsys, index, "--output", "ndjson", "one")
    assert code == 0
    assert [json.loads(line)["workspace_name"] for line in lines] == ["w0", "w3"]


def test_hits_are_marked_on_a_terminal_and_nothing_of_the_log_acts(index: str) -> None:
    main_end, end = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "shipper", "grep", "--index", index, "mm|red"],
        stdout=end,
        check=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(end)
    said = os.read(main_end, 10_000)
    os.close(main_end)
    assert b"ga\x1b[31m\x1b[1mmm\x1b[0ma \\x1b[31m\x1b[31m\x1b[1mred\x1b[0m" in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.lists(st.text(st.sampled_from("ab\n .é"), max_size=6), min_size=1, max_size=8),
    st.sampled_from(["a", "^a", "b$", "a.b", "[^a]", "^$", "\\Aa", "b\\z", "\\ba", "é", "a\\nb", "(?s)a.*b", ""]),
    st.booleans(),
)
def test_what_is_found_is_what_each_line_alone_says(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    pattern: str,
    invert: bool,
) -> None:
    path = tmp_path_factory.mktemp("grep") / "index.db"
    writer = IndexWriter(path)
    made = [replace(event(n), type=None, workspace_name=None) for n in range(len(lines))]
    writer.add(1, made, [line.encode() for line in lines], stored_ns=0)
    writer.close()
    python = pattern.replace("\\z", "\\Z")

    def holds(line: str) -> bool:
        line = line.removesuffix("\n")
        # Python's $ also stands before a last line end, RE2's does not; RE2's \\b knows ASCII only.
        return re.search(python.replace("$", "\\Z"), line, re.ASCII) is not None

    expected = [record.id for record, line in zip(made, lines, strict=True) if holds(line) is not invert]
    args = ["-v"] if invert else []
    main(["grep", "--index", str(path), "--output", "ndjson", *args, "-e", pattern])
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == expected


def test_no_line_number_is_invented(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ("-n", "-rn", "-in"):
        assert main(["grep", flags, "--index", index, "one"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert "-b shows the byte" in said.err


def test_the_place_of_an_event_is_where_it_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    sources = [Source("h", "file", "/log/a\x1b[31m", 7), Source("h", "journald"), Source("h", "file", "/log/b", 0)]
    made = [replace(event(n), source=source) for n, source in enumerate(sources)]
    writer.add(1, made, [b"one", b"two", b"three"], stored_ns=0)
    writer.close()
    assert run(capsys, str(path), "-Hb", "^on|tw") == (0, [r"/log/a\x1b[31m:7:one", "journald:-:two"])
    assert run(capsys, str(path), "-H", "-A1", "two") == (0, ["journald:two", "/log/b-three"])
    assert run(capsys, str(path), "-bo", "e+$")[1][:1] == ["7:e"]


def test_what_only_grep_without_e_reads_as_an_operator_is_told_where_nothing_is_found(
    index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["grep", "--index", index, r"alpha\|epsilon"])
    assert 'is a plain "|" here' in capsys.readouterr().err
    main(["grep", "--index", index, r"\<alpha"])
    assert r"write \b" in capsys.readouterr().err
    main(["grep", "--index", index, "-F", r"alpha\|epsilon"])
    assert "plain" not in capsys.readouterr().err


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<!a)b", r"(a)\1", "a++", r"a\Kb"])
def test_what_re2_lacks_of_perl_is_told(index: str, capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    assert main(["grep", "--index", index, "-P", pattern]) == 2
    assert "neither looking around nor back references" in capsys.readouterr().err


def test_colour_may_be_asked_for_and_refused(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, index, "--color=always", "psi") == (0, ["e\x1b[31m\x1b[1mpsi\x1b[0mlon"])
    assert run(capsys, index, "--color=never", "psi") == (0, ["epsilon"])
