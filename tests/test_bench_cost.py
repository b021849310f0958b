"""The benchmark of a daemon's cost measures a real one, counts what it read, and says honestly what is over a limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import cost


def test_a_daemon_is_measured_from_its_start_to_its_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cost, "SETTLE_SECONDS", 0.3)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{cost.BEGIN}\nold\n<!-- end -->\nafter\n")
    assert cost.main(["--seconds", "1", "--write", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| CPU at 200 lines/s, 5 % events | " in text
    assert capsys.readouterr().out in text


def test_what_is_over_its_limit_is_told() -> None:
    assert cost._row("memory", 70_000_000, 60_000_000) == "| memory | 70.0 MB | ≤ 60.0 MB | NOT MET |"
    assert cost._row("load", 0.01, 0.015) == "| load | 1.00% of one core | ≤ 1.50% of one core | met |"


def test_one_line_in_twenty_is_an_event() -> None:
    lines = [cost.line(number) for number in range(200)]
    assert sum(b'"connection_log"' in one for one in lines) == 10
    assert all(one.endswith(b"\n") and one.count(b"\n") == 1 for one in lines)
