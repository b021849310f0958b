"""``connlog search``: what it prints, in each form, and what it says beside the answer."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from shipper.cli.main import main
from shipper.cli.table import fitting, visible
from shipper.extraction import Extractor
from shipper.index import IndexWriter
from shipper.record import Gap, Record, Source
from shipper.resource import root

NASTY = "\x1b[31mred\x1b[0m\r\n\u202eevil\x9b"
ESCAPED = r"\x1b[31mred\x1b[0m\r\n\u202eevil\x9b"


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T00:00:{number:02d}.500000000Z",
        status="connected",
        type="ssh",
        method="ssh",
        workspace_name=f"w{number}",
    )
    return replace(made, **fields)


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.db"
    session = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    made = [
        event(1, connection_id=session),
        event(2, connection_id=session, workspace_name="w1", status="disconnected", code=143, disconnect_reason=NASTY),
        event(3, type="workspace_app", method="workspace_app", slug_or_port="=cmd|' /C calc'!A0", code=404),
        event(4, workspace_name="-1+1", agent_name="@sum", code=-7, extra={"Os": "linux"}),
    ]
    writer = IndexWriter(path)
    writer.add(1, made, [f"line {n} {NASTY}".encode() + b"\xff" for n in range(1, 5)], stored_ns=0)
    writer.close()
    return str(path)


def test_the_default_is_a_plain_table_of_connections_newest_first(
    index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--index", index]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "CONNECTED (UTC)      LASTED   TYPE           WORKSPACE  AGENT  USER  IP  CODE  DETAIL",
        "2026-01-01 00:00:04  unknown  ssh            -1+1       @sum             -7",
        "2026-01-01 00:00:03           workspace_app  w3                          404   =cmd|' /C calc'!A0",
        f"2026-01-01 00:00:01  1s       ssh            w1                          143   {ESCAPED}",
    ]


def test_events_are_single_events(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--events", "workspace:w1", "--sort", "time"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["STATUS", "connected", "disconnected"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-type:ssh"], ["w3"]),
        (["-code:404", "-w1"], ["-1+1"]),
        (["code:>=0", "-c:x"], None),
        (["-workspace_app"], ["-1+1", "w1"]),
        (["--", "-type:ssh"], ["w3"]),
        (["-/^w/"], ["-1+1"]),
        (["type:ssh", "code:143"], ["w1"]),
        (["type:ssh code:143"], ["w1"]),
    ],
)
def test_an_argument_that_begins_with_a_minus_excludes(
    index: str, words: list[str], found: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["search", "--index", index, "--output", "ndjson", *words])
    captured = capsys.readouterr()
    if found is None:
        assert (code, '"c" is not a valid query param' in captured.err) == (2, True)
    else:
        assert (code, [json.loads(line)["workspace_name"] for line in captured.out.splitlines()]) == (0, found)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--sort", "-time"], ["-1+1", "w3", "w1"]),
        (["--sort", "time"], ["w1", "w3", "-1+1"]),
        (["--sort", "-code"], ["w3", "w1", "-1+1"]),
        (["--sort=-code"], ["w3", "w1", "-1+1"]),
        (["-w3", "--sort", "-code", "-type:vscode"], ["w1", "-1+1"]),
    ],
)
def test_the_value_of_an_option_may_begin_with_a_minus(
    index: str, options: list[str], found: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--index", index, "--output", "ndjson", *options]) == 0
    assert [json.loads(line)["workspace_name"] for line in capsys.readouterr().out.splitlines()] == found


def test_an_option_with_its_file_attached_never_becomes_an_excluded_word(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "connlog.toml"
    config.touch()
    assert main(["search", "--index", index, f"-c{config}"]) == 2
    assert f"write -c {config}" in capsys.readouterr().err
    assert main(["search", "--index", index, "--", f"-c{config}"]) == 0


@pytest.mark.parametrize("limit", [2**62, 2**63 - 1, 2**64, 10**30, "9" * 10_000])
def test_any_number_is_a_limit(index: str, limit: int | str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--output", "ndjson", "--limit", str(limit)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["tail", "--index", index, "--output", "ndjson", "-n", str(limit)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


@pytest.mark.parametrize("limit", ["abc", "-1", "1.5", "", "\u0663"])
def test_what_is_no_number_is_no_limit(index: str, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--limit", limit]) == 2
    assert f"{limit!r} is not a whole number from 0 on" in capsys.readouterr().err


def test_ndjson_has_the_shape_of_a_connection_and_holds_no_control_character(
    index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--index", index, "--output", "ndjson", "code:143"]) == 0
    out = capsys.readouterr().out
    assert [c for c in out.rstrip("\n") if c < " " or "\x7f" <= c <= "\x9f"] == []
    row = json.loads(out)
    assert list(row) == [
        "id", "connect_time", "disconnect_time", "duration_seconds", "state", "state_reason", "event_ids", "type",
        "method", "app", "organization_id", "workspace_owner_id", "workspace_id", "workspace_name", "agent_name",
        "agent_id", "user_id", "ip", "user_agent", "slug_or_port", "code", "connection_id", "client_session_id",
        "disconnect_reason",
    ]  # fmt: skip
    assert (row["duration_seconds"], row["state"], row["disconnect_reason"]) == (1.0, "completed", NASTY)


def test_json_says_when_the_limit_cut_the_answer(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = {}
    for limit in ("2", "3", "0"):
        assert main(["search", "--index", index, "--output", "json", "--limit", limit]) == 0
        captured = capsys.readouterr()
        document = json.loads(captured.out)
        found[limit] = (len(document["connections"]), document["count"], document["cut"], "--limit 0" in captured.err)
    assert found == {"2": (2, 2, True, True), "3": (3, 3, False, False), "0": (3, 3, False, False)}


def test_csv_runs_in_no_spreadsheet_and_no_terminal(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--output", "csv", "--events"]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["slug_or_port"] for row in rows] == ["", "'=cmd|' /C calc'!A0", "", ""]
    assert (rows[0]["workspace_name"], rows[0]["agent_name"], rows[0]["code"]) == ("'-1+1", "'@sum", "-7")
    assert (rows[0]["extra"], rows[0]["log.time"]) == ('{"Os":"linux"}', "")


def test_raw_gives_the_very_bytes_into_a_pipe(index: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shipper", "search", "--index", index, "--output", "raw", "code:143"],
        capture_output=True,
        check=True,
        cwd=root(),
    )
    assert done.stdout == b"".join(f"line {n} {NASTY}".encode() + b"\xff\n" for n in (1, 2))


@pytest.mark.parametrize("form", ["table", "ndjson", "json", "csv", "raw"])
def test_nothing_of_the_log_reaches_a_terminal_raw(index: str, form: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "250", "TERM": "xterm"}
    command = [sys.executable, "-m", "shipper", "search", "--index", index, "--output", form]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment, cwd=root()) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:
            pass  # Linux says so when the other end is closed
        finally:
            os.close(ours)
        assert process.wait() == 0
    text = shown.decode().replace("\r\n", "\n")
    assert "evil" in text
    allowed = {"\x1b[1m", "\x1b[0m"}  # bold headings are no colour
    for code in allowed:
        text = text.replace(code, "")
    assert [c for c in text if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")] == []


def test_nothing_found_is_exit_1(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "nowhere"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "connlog: nothing found\n")


def test_since_and_until_bound_the_time_and_are_both_included(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    bounds = ["--since", "2026-01-01T00:00:01.5Z", "--until", "2026-01-01T00:00:03.5Z"]
    assert main(["search", "--index", index, "--output", "ndjson", *bounds]) == 0
    assert [json.loads(line)["workspace_name"] for line in capsys.readouterr().out.splitlines()] == ["w3", "w1"]
    assert main(["search", "--index", index, "--since", "soon"]) == 2
    assert "write 2h, 3d, yesterday" in capsys.readouterr().err


def test_a_wrong_query_is_shown_with_its_place(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "w1", "usernam:bob"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        'connlog: Query param "usernam" is not a valid query param; did you mean "username"?',
        "  w1 usernam:bob",
        "     ^",
    ]


def test_names_and_gaps_are_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "index.db"
    gap = Gap(schema=1, gap="cursor_lost", source=Source(), detected="2026-01-01T00:00:00.000000000Z")
    writer = IndexWriter(path)
    writer.add(1, [event(1)], [b""], gaps=[gap], stored_ns=0)
    writer.close()
    assert main(["search", "--index", str(path), "username:bob"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        (
            "connlog: names are not known yet: username: matches ids only; 'connlog names sync' asks Coder for them, "
            "'connlog names import' reads a file"
        ),
        "connlog: 1 gap of the log in this range: the answer may not be complete; 'connlog search --gaps' lists them",
        "connlog: nothing found",
    ]


def test_a_missing_index_names_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", str(tmp_path / "none.db")]) == 4
    assert "start 'connlog run'" in capsys.readouterr().err
    assert main(["search"]) == 4
    assert "xdg-state/connlog/index.db" in capsys.readouterr().err


def test_the_index_of_the_configuration_is_asked(
    index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "connlog.toml"
    config.write_text(f'[state]\ndir = "{Path(index).parent}"\n[[input]]\ntype = "file"\npaths = ["/x.log"]\n')
    assert main(["search", "-c", str(config), "code:404", "--output", "csv"]) == 0
    assert "workspace_app" in capsys.readouterr().out


def test_what_coderd_wrote_is_found_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Path(root()) / "tests" / "samples" / "coderd.log"
    data = log.read_bytes()
    extractor = Extractor(Source(host="h", input="file", path=str(log)), compact=False)
    first, last = extractor.feed(data), extractor.flush(final=True)
    made, lines = first.records + last.records, first.originals + last.originals
    writer = IndexWriter(tmp_path / "index.db")
    writer.add(1, made, lines, stored_ns=0)
    writer.close()
    assert (
        main(["search", "--index", str(tmp_path / "index.db"), "--events", "--limit", "0", "--output", "ndjson"]) == 0
    )
    found = {row["id"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert len(found) > 10
    for record in reversed(made):  # of an event read twice the first is kept
        assert found[record.id]["status"] == record.status
        assert found[record.id]["disconnect_reason"] == record.disconnect_reason
    assert found.keys() == {record.id for record in made}


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain é 日本", "plain é 日本"), ("a\tb\x00", r"a\tb\x00"), ("\u2028\U000e0001", r"\u2028\U000e0001")],
)
def test_what_is_not_printed_plainly_is_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_a_narrow_terminal_gives_up_columns_never_the_time(width: int) -> None:
    """What is shown fits and is whole: the time, how long it lasted and the type stand at any width."""
    needed = {"CONNECTED (UTC)": 19, "LASTED": 9, "TYPE": 16, "WORKSPACE": 12, "AGENT": 7, "USER": 12, "IP": 15}
    needed |= {"CODE": 4, "DETAIL": 10}
    shown = fitting(needed, width)
    assert shown[:4] == ["CONNECTED (UTC)", "LASTED", "TYPE", "WORKSPACE"]
    assert sum(needed[title] + 2 for title in shown) - 2 <= width or len(shown) == 4
    assert (len(shown) == len(needed)) == (width >= sum(needed.values()) + 2 * len(needed) - 2)


def test_columns_are_those_asked_for_in_a_table_and_in_csv(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["search", "--index", index, "--columns", "workspace,code,connect_time,state"]
    assert main([*asked, "code:404"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["WORKSPACE", "CODE", "CONNECT_TIME", "STATE"]
    assert row.split() == ["w3", "404", "2026-01-01", "00:00:03", "point"]
    assert main([*asked, "code:404", "--output", "csv", "--tz", "Asia/Tokyo"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "workspace,code,connect_time,state",
        "w3,404,2026-01-01T00:00:03.500000000Z,point",
    ]
    assert main([*asked, "code:-7"]) == 0
    assert "-1+1" in capsys.readouterr().out
    assert main([*asked, "code:-7", "--output", "csv"]) == 0
    assert "\n'-1+1,-7," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--columns", "workspce"], 'did you mean "workspace"'),
        (["--columns", ","], "name at least one"),
        (["--columns", "user", "--output", "ndjson"], "goes with a table or csv"),
        (["--tz", "Mars/Phobos"], "there is no time zone"),
        (["--tz", "Europe/Berln"], "did you mean Europe/Berlin?"),
        (["--since", "2026-01-01", "--until", "2025-12-31"], "--since 2026-01-01 is after --until 2025-12-31"),
        (["--since", "soon"], '--since: "soon" is no time; write 2h, 3d, yesterday,'),
        (["type:shh", "code:1"], 'did you mean "ssh"?\n  type:shh code:1\n  ^\n'),
        (["code:1", "-type:shh"], "  code:1 -type:shh\n          ^\n"),
        (["state:foo"], "state: is one of ongoing, completed, unknown, point"),
        (["status:x"], "status: is one of ongoing, completed"),
        (["connected_after:2026-01-01T00:00:00Z"], "write 'connected_after:\"2025-07-03T06:57:16Z\"', or --since"),
        (["type:ssh", "OR", "type:vscode"], "key:a,b is either of two"),
        (["--sort", "laste"], 'did you mean "lasted"?'),
        (["--tz", "../../etc/passwd"], "there is no time zone"),
    ],
)
def test_a_column_or_zone_that_there_is_not_is_wrong_usage(
    index: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["search", "--index", index, *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "since", ["2026-01-01 00:00:03", "2026-01-01T00:00:03", "2026-01-01 00:00:03.4", " 2026-01-01T00:00:03Z"]
)
def test_a_time_as_tables_show_it_can_be_asked_from(index: str, capsys: pytest.CaptureFixture[str], since: str) -> None:
    asked = ["search", "--index", index, "--output", "ndjson", "--limit", "0", "--events"]
    assert main([*asked, "--since", since]) == 0
    found = [json.loads(line)["time"] for line in capsys.readouterr().out.splitlines()]
    assert main([*asked, "--since", "2026-01-01T00:00:03Z"]) == 0
    assert found == [json.loads(line)["time"] for line in capsys.readouterr().out.splitlines()]
    assert min(found) > "2026-01-01T00:00:03"


@pytest.mark.parametrize(
    ("words", "told"),
    [(["NOT", "w1"], True), (["w1", "or", "w2"], True), (['"w1', "or", 'w2"'], False), (["organ"], False)],
)
def test_a_word_that_is_no_operator_here_is_told_of(
    index: str, capsys: pytest.CaptureFixture[str], words: list[str], told: bool
) -> None:
    main(["search", "--index", index, *words])
    assert ("is looked for as a word; all terms have to be met" in capsys.readouterr().err) is told


def test_times_of_a_table_are_in_the_zone_asked_for(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--tz", "Asia/Tokyo", "code:404"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("CONNECTED (Asia/Tokyo)")
    assert row.startswith("2026-01-01 09:00:03")


def test_a_long_table_goes_through_the_pager_on_a_terminal_only(index: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {seen}\n")
    pager.chmod(0o755)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "shipper", "search", "--index", index]
    environment = {**os.environ, "CONNLOG_PAGER": str(pager), "LINES": "3", "COLUMNS": "200"}
    for more, paged in (([], True), (["--no-pager"], False)):
        seen.unlink(missing_ok=True)
        subprocess.run([*command, *more], stdin=theirs, stdout=theirs, check=True, env=environment)
        assert seen.exists() is paged
        if paged:
            assert "w3" in seen.read_text()
    subprocess.run(command, stdin=theirs, stdout=subprocess.DEVNULL, check=True, env=environment)
    assert not seen.exists()
    os.close(ours)
    os.close(theirs)
