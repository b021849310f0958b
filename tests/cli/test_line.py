"""The line: events as columns on a terminal of any width, and whole in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from shipper.cli.main import main
from shipper.cli.width import cut, padded, width
from shipper.index import IndexWriter
from shipper.record import Record

WIDE = "開発😀é́"


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    made = [
        Record(
            schema=1,
            id=f"{n:08x}-0000-4000-8000-000000000000",
            time=f"2026-01-01T00:00:0{n}.000000000Z",
            status="connected" if n else "disconnected",
            type="ssh",
            workspace_name=name,
            user_id="1b1806b0-1a9a-4adb-9334-e8d0061b1913",
            ip="fd7a:115c:a1e0:4afd:8ffb:2fc9:4b5:da61",
            code=404,
            disconnect_reason="=a very long reason that nobody would ever read to its end on a narrow terminal",
        )
        for n, name in enumerate([WIDE, "plain", "a\x1b[2Jb"])
    ]
    writer.add(1, made, [f"line {n}".encode() for n in range(3)], stored_ns=0)
    writer.close()
    return str(path)


def on_terminal(args: list[str], columns: int, **environment: str) -> list[str]:
    """The lines that a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
    command = [sys.executable, "-m", "shipper", *args]
    shown = b""
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        env={**plain, "COLUMNS": str(columns), "LINES": "50", "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65_536):
                shown += piece
        except OSError:
            pass  # Linux says so when the other end is closed
        finally:
            os.close(ours)
        assert process.wait() == 0
    return shown.decode().replace("\r\n", "\n").splitlines()


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
@pytest.mark.parametrize(
    "args",
    [
        ["tail"],
        ["search"],
        ["search", "--events"],
        ["grep", "line", "--output", "table"],
        ["stats", "--by", "workspace,type"],
    ],
)
def test_on_a_terminal_each_line_fits(index: str, args: list[str], columns: int) -> None:
    lines = on_terminal([*args, "--index", index], columns, NO_COLOR="1")
    text = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines if not line.startswith("connlog:")]
    rows = text[-3:] if args[0] == "stats" else [line for line in text if line.startswith("2026-01-01")]
    assert len(rows) == 3
    assert max(map(cell_len, rows)) <= max(columns, 67)  # time, status, type and workspace are never left out
    assert "\x1b" not in "".join(rows)


@pytest.mark.parametrize("args", [["tail"], ["grep", "line"], ["grep", "line", "--output", "table"], ["search"]])
def test_no_color_is_honoured(index: str, args: list[str]) -> None:
    def colours(text: list[str]) -> bool:
        return any("\x1b[3" in line or "\x1b[2m" in line or "\x1b[1;3" in line for line in text)

    assert colours(on_terminal([*args, "--index", index], 120))
    assert not colours(on_terminal([*args, "--index", index], 120, NO_COLOR="1"))
    assert not colours(on_terminal([*args, "--index", index], 120, TERM="dumb"))


@pytest.mark.parametrize("args", [["tail"], ["grep", "line", "--output", "table"]])
def test_in_a_pipe_all_is_whole_and_stands_in_columns(
    index: str, args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*args, "--index", index]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all("fd7a:115c:a1e0:4afd:8ffb:2fc9:4b5:da61" in line for line in lines)
    assert {cell_len(line[: line.index("1b1806b0")]) for line in lines} == {cell_len(lines[1].partition("1b1806b0")[0])}


@pytest.mark.parametrize("command", [["tail"], ["grep", "line"]])
def test_columns_zone_and_csv_are_those_of_search(
    index: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*command, "--index", index, "--columns", "time,workspace,detail"]
    assert main([*asked, "--output", "table", "--tz", "Asia/Tokyo", "workspace:plain"]) == 0
    assert capsys.readouterr().out.startswith("2026-01-01 09:00:01  plain")
    assert main([*asked, "--output", "csv", "-workspace:plain"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == "time,workspace,detail"
    assert [row.split(",")[1] for row in rows] == [WIDE, r"a\x1b[2Jb"]
    assert all(",'=a very" in row for row in rows)
    assert main([*asked, "--output", "ndjson"]) == 2
    assert "goes with a table or csv" in capsys.readouterr().err
    assert main([*command, "--index", index, "--output", "table", "--columns", "workspce"]) == 2
    assert 'did you mean "workspace"' in capsys.readouterr().err


@given(st.text(st.characters(exclude_categories=("C", "Z", "M", "Sk", "Lm")), max_size=20))
def test_the_width_is_that_of_terminals(text: str) -> None:
    # Emoji of later Unicode versions, and Hangul's parts, differ from table to table.
    text = "".join(c for c in text if c.isascii() or c in "日本語한😀éИяخπ" or "\u00c0" <= c <= "\u024f")
    assert width(text) == cell_len(text)


@given(st.text("a日😀é", max_size=20), st.integers(1, 12))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, room: int) -> None:
    shown = cut(text, room)
    assert width(shown) <= room
    assert (shown == text) == (width(text) <= room)
    assert width(padded(shown, room)) == room
