"""Columns: ages and times of every year are shown, in any zone."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper import timestamp
from shipper.cli.column import View

NOW = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (3 * 86400, "3d"), (400 * 86400, "1y"), (-90, "in 1m")],
)
def test_an_age_is_in_its_largest_unit(seconds: int, shown: str) -> None:
    assert View(now_ns=NOW).ago(timestamp.from_ns(NOW - seconds * SECOND)) == shown


def test_a_time_that_can_not_be_right_has_no_age() -> None:
    assert View(now_ns=NOW).ago("0001-01-01T00:00:00.000000000Z") == ""
    assert View(now_ns=NOW).ago("9999-12-31T23:59:59.999999999Z") == ""


@given(ns=st.integers(timestamp.NS_MIN, timestamp.NS_MAX), zone=st.sampled_from(["Asia/Tokyo", "America/New_York"]))
def test_every_time_is_shown_in_every_zone(ns: int, zone: str) -> None:
    assert len(View(ZoneInfo(zone), zone).clock(timestamp.from_ns(ns))) == 19


def test_the_ends_of_the_calendar_stay_utc_and_say_so() -> None:
    assert View(ZoneInfo("America/New_York"), "").clock("0001-01-01T00:00:00.000000000Z") == "0001-01-01 00:00:00Z"
