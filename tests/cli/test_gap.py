"""``connlog search --gaps``: what of the log is known to be lost."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.index import IndexWriter
from shipper.record import Gap, Malformed, Record, Source

FIRST = Gap(
    schema=1,
    gap="rotated_unread",
    source=Source(host="h", input="file", path="/var/log/=1\x1b[2J.log"),
    from_="2026-01-01T10:00:00.000000000Z",
    to="2026-01-01T11:00:00.000000000Z",
    bytes=1000,
    detected="2026-01-01T12:00:00.000000000Z",
    reason="it was gone",
)
SECOND = Gap(schema=1, gap="cursor_lost", source=Source(input="journald"), detected="2026-02-01T00:00:00.000000000Z")


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    record = Record(1, "00000001-0000-4000-8000-000000000000", "2026-01-01T10:30:00.000000000Z", "connected", "ssh")
    line = Malformed(b"x", "no id", 1, 1, Source(), 1, "2026-01-01T10:31:00.000000000Z")
    writer.add(1, [record], [b"line"], gaps=[FIRST, SECOND], malformed=[line], stored_ns=0)
    writer.close()
    return str(path)


def test_gaps_are_listed_the_latest_first_for_people(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--gaps", "--tz", "Asia/Tokyo"]) == 0
    head, second, first = capsys.readouterr().out.splitlines()
    assert head.split() == ["FROM", "(Asia/Tokyo)", "TO", "(Asia/Tokyo)", "KIND", "WHERE", "BYTES", "REASON"]
    assert second.split() == ["2026-02-01", "09:00:00", "cursor_lost", "journald"]
    assert first.split() == [
        *("2026-01-01", "19:00:00", "2026-01-01", "20:00:00", "rotated_unread", r"/var/log/=1\x1b[2J.log", "≥", "1000"),
        *("it", "was", "gone"),
    ]


def test_programs_get_them_in_the_form_of_the_contract(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--index", index, "--gaps", "--output", "ndjson", "--limit", "1"]) == 0
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)) == [
        "schema", "gap", "source", "from", "to", "bytes", "exact", "detected", "reason",
    ]  # fmt: skip
    assert "only the first 1 is shown" in captured.err
    assert main(["search", "--index", index, "--gaps", "--output", "json", "--limit", "1"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert ([gap["gap"] for gap in document["gaps"]], document["count"], document["cut"]) == (["cursor_lost"], 1, True)
    assert main(["search", "--index", index, "--gaps", "--output", "csv", "--until", "2026-01-15"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["gap"], row["bytes"], row["path"]) == ("rotated_unread", "1000", r"/var/log/=1\x1b[2J.log")


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-01-01T10:30:00Z", "2026-01-01T10:40:00Z", ["rotated_unread"]),
        ("2026-01-01T11:00:00Z", "2026-01-15", ["rotated_unread"]),
        ("2026-01-02", "2026-01-15", []),
        ("2026-01-02", "2026-02-15", ["cursor_lost"]),
    ],
)
def test_a_gap_that_reaches_into_the_range_belongs_to_it(
    index: str, capsys: pytest.CaptureFixture[str], since: str, until: str, expected: list[str]
) -> None:
    asked = ["search", "--index", index, "--gaps", "--output", "ndjson", "--since", since, "--until", until]
    assert main(asked) == (0 if expected else 1)
    assert [json.loads(line)["gap"] for line in capsys.readouterr().out.splitlines()] == expected
    # and is told beside the other answers of the same range, an unread line too
    inside = since == "2026-01-01T10:30:00Z"
    bounds = ["--index", index, "--since", since, "--until", until]
    for command in (["search"], ["grep", "line"], ["stats"]):
        main([*command, *bounds])
        said = capsys.readouterr().err
        assert ("1 gap of the log" in said) == bool(expected), command
        assert ("1 malformed line" in said) == inside, command


@pytest.mark.parametrize(
    ("more", "said"),
    [(["type:ssh"], "narrow --gaps by --since"), (["--output", "raw"], "no original lines")],
)
def test_what_gaps_do_not_have_is_wrong_usage(
    index: str, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(["search", "--index", index, "--gaps", *more]) == 2
    assert said in capsys.readouterr().err


def test_stats_tell_programs_too(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--index", index, "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["gaps"], document["quarantined"]) == (2, 1)
