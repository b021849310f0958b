"""``connlog stats``: what it counts, over all forms of output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper import timestamp
from shipper.cli.main import main
from shipper.cli.stats import BAR_WIDTH, EMPTY_MAX, bar
from shipper.index import IndexWriter
from shipper.record import Record


def event(number: int, **fields: object) -> Record:
    made = Record(
        schema=1,
        id=f"{number:08x}-0000-4000-8000-000000000000",
        time=f"2026-01-01T{number % 24:02d}:30:00.000000000Z",
        status="connected",
        type="ssh",
        method="ssh",
        workspace_name=f"w{number}",
    )
    return replace(made, **fields)


def build(path: Path, *made: Record) -> str:
    writer = IndexWriter(path)
    writer.add(1, made, [b""] * len(made), stored_ns=0)
    writer.close()
    return str(path)


@pytest.fixture
def index(tmp_path: Path) -> str:
    session = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    return build(
        tmp_path / "index.db",
        event(1, connection_id=session),
        event(2, connection_id=session, status="disconnected", workspace_name="w1"),
        event(3, type="vscode", code=0),
        event(4, type="=1+1\x1b[2J", agent_name="main", code=404),
        event(5, time="0001-01-01T00:00:00.000000000Z", type=None),
    )


def test_the_largest_come_first_with_bars(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--index", index, "--events", "--by", "type"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "TYPE         COUNT",
        f"ssh              2  {'█' * BAR_WIDTH}",
        f"=1+1\\x1b[2J      1  {'█' * (BAR_WIDTH // 2)}",
        f"vscode           1  {'█' * (BAR_WIDTH // 2)}",
        f"-                1  {'█' * (BAR_WIDTH // 2)}",
    ]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], [{"count": 4}]),
        (["--by", "state"], [{"state": "unknown", "count": 3}, {"state": "completed", "count": 1}]),
        (["--by", "code", "code:>=0"], [{"code": 0, "count": 1}, {"code": 404, "count": 1}]),
        (["--by", "agent,code", "-type:vscode", "agent:main"], [{"agent": "main", "code": 404, "count": 1}]),
        (["--unique", "type", "--events"], [{"count": 5, "unique_type": 3}]),
        (
            ["--interval", "12h", "--events"],
            [{"start": None, "count": 1}, {"start": "2026-01-01T00:00:00.000000000Z", "count": 4}],
        ),
        (
            ["--durations", "type:ssh"],
            [
                {
                    "count": 3,
                    "ended": 1,
                    **dict.fromkeys(("p50_seconds", "p90_seconds", "p99_seconds", "max_seconds"), 3600.0),
                }
            ],
        ),
    ],
)
def test_counts(index: str, capsys: pytest.CaptureFixture[str], args: list[str], expected: list[object]) -> None:
    assert main(["stats", "--index", index, "--output", "ndjson", *args]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == expected


def test_what_the_top_leaves_out_is_said(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--index", index, "--by", "workspace", "--top", "1", "--output", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["cut"] is True
    assert "3 smaller groups are not shown" in captured.err


def test_a_cell_is_no_formula(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--index", index, "--by", "type", "agent:main", "--output", "csv"]) == 0
    assert capsys.readouterr().out == "type,count\n'=1+1\\x1b[2J,1\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--by", "typ"], 'did you mean "type"?'),
        (["--by", "a,b,c"], "one field or two"),
        (["--interval", "soon"], '--interval: "soon" is no duration; write a number with'),
        (["--by", "day"], "--interval 1h, 1d, … counts over time"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], "exchange them"),
        (["type:shh"], "  type:shh\n  ^"),
        (["--interval", "0s"], "longer than nothing"),
        (["--events", "--durations"], "leave --events out"),
        (["--by", "state", "--events"], 'can\'t count by "state"'),
    ],
)
def test_wrong_questions_say_what_to_write(
    index: str, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert main(["stats", "--index", index, *args]) == 2
    assert said in capsys.readouterr().err


def test_nothing_found_is_1(index: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--index", index, "workspace:nowhere"]) == 1
    assert capsys.readouterr().out == ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(
        st.builds(
            dict,
            type=st.sampled_from(["ssh", "vscode", None]),
            workspace_name=st.sampled_from(["a", "b", None]),
            user_id=st.sampled_from(["u1", None]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.permutations(["type", "workspace_name", "user_id"]).map(lambda names: names[:2]),
)
def test_counts_are_those_of_a_counter(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    fields: list[dict[str, object]],
    by: list[str],
) -> None:
    index = build(tmp_path_factory.mktemp("stats") / "i.db", *(event(n, **one) for n, one in enumerate(fields)))
    main(["stats", "--index", index, "--by", ",".join(by), "--output", "ndjson", "--top", "0"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {tuple(row[name] for name in by): row["count"] for row in rows} == Counter(
        tuple(one[name] for name in by) for one in fields
    )


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_bar_is_seen_where_there_is_something_and_never_too_long(count: int, most: int) -> None:
    drawn = bar(min(count, most), most)
    assert (drawn != "") == (count > 0)
    assert len(drawn) <= BAR_WIDTH


def test_a_histogram_shows_the_intervals_without_anything_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = build(tmp_path / "i.db", event(1), event(4), event(5))
    assert main(["stats", "--index", index, "--interval", "1h"]) == 0
    assert [line.split()[1:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["01:00:00", "1"],
        ["02:00:00", "0"],
        ["03:00:00", "0"],
        ["04:00:00", "1"],
        ["05:00:00", "1"],
    ]
    days = (1, 1 + 1 + EMPTY_MAX)
    near = build(tmp_path / "near.db", *(event(n, time=f"2026-01-{n:02d}T00:00:00.000000000Z") for n in days))
    assert main(["stats", "--index", near, "--interval", "1d"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == EMPTY_MAX + 3
    far = build(tmp_path / "far.db", event(1), event(2, time="2036-01-01T00:00:00.000000000Z"))
    assert main(["stats", "--index", far, "--interval", "1m"]) == 0
    assert [line[:44] for line in capsys.readouterr().out.splitlines()] == [
        "START (UTC)          COUNT",
        "2026-01-01 01:30:00      1  " + "█" * 16,
        "… 5,258,789 intervals without anything",
        "2036-01-01 00:00:00      1  " + "█" * 16,
    ]


def test_bars_are_drawn_in_what_the_locale_has(index: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shipper", "stats", "--index", index, "--events", "--by", "type"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"ssh              2  {'#' * BAR_WIDTH}\n" in done.stdout
    assert done.stdout.isascii()


def test_lengths_are_for_people_in_a_table_and_seconds_for_programs(
    index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", "--index", index, "--durations", "type:ssh"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["COUNT", "ENDED", "P50", "P90", "P99", "MAX"]
    assert row.split()[:6] == ["3", "1", *["1h00m"] * 4]


_moments = st.one_of(
    # around the changes of the clocks in New York, and far from them
    st.integers(1_772_900_000, 1_773_100_000),
    st.integers(1_793_400_000, 1_793_700_000),
    st.integers(-3_000_000_000, 4_000_000_000),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(_moments, min_size=1, max_size=12, unique=True),
    st.sampled_from(["America/New_York", "Asia/Kathmandu", "UTC", "Australia/Lord_Howe"]),
    st.sampled_from([("1h", 3600), ("1d", 86_400), ("15m", 900)]),
)
def test_intervals_begin_as_the_clocks_of_the_zone_have_it(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    seconds: list[int],
    zone: str,
    interval: tuple[str, int],
) -> None:
    made = [event(n, time=timestamp.from_ns(one * 10**9)) for n, one in enumerate(seconds)]
    index = build(tmp_path_factory.mktemp("stats") / "i.db", *made)
    asked = ["stats", "--index", index, "--tz", zone, "--interval", interval[0], "--output", "ndjson"]
    assert main(asked) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected: Counter[datetime] = Counter()
    for one in seconds:
        shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=one)).astimezone(ZoneInfo(zone))
        shown = shown.replace(tzinfo=None)
        expected[shown - timedelta(seconds=(shown - datetime(1970, 1, 1)).total_seconds() % interval[1])] += 1  # noqa: DTZ001  # what a clock shows
    starts = (datetime.fromisoformat(row["start"][:19] + "+00:00") for row in rows)
    found = [start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for start in starts]
    assert sum(row["count"] for row in rows) == len(seconds)
    shown_exactly = {start for start in expected if _exists(start, zone)}
    assert {start: row["count"] for start, row in zip(found, rows, strict=True) if start in shown_exactly} == {
        start: expected[start] for start in shown_exactly
    }


def _exists(shown: datetime, zone: str) -> bool:
    """Whether the clocks of a zone ever show this: in spring they leave an hour out."""
    there = shown.replace(tzinfo=ZoneInfo(zone))
    return there.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == shown
