"""Every time that coderd writes becomes the canonical text of the same instant, and survives as nanoseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.timestamp import NS_MAX, NS_MIN, all_to_ns, canonical, canonical_header, from_ns, to_ns
from tests.render.golang import rfc3339_nano, stamp, time_string

_naive = datetime.fromisoformat
fractions = st.text("0123456789", max_size=9)
moments = st.datetimes(_naive("0001-01-03"), _naive("9999-12-29")).map(lambda moment: moment.replace(microsecond=0))
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59)


def nine(fraction: str) -> str:
    return fraction.ljust(9, "0")


@pytest.mark.parametrize("form", ["{}Z", "{}+00:00"])
def test_what_is_below_a_nanosecond_is_cut_off(form: str) -> None:
    """A fraction may have any number of digits; as Go reads it, nine of them count."""
    for digits in range(10, 40):
        assert canonical(form.format("2025-07-03T06:57:16." + "9" * digits)) == f"2025-07-03T06:57:16.{'9' * 9}Z"
        assert canonical("2025-07-03 06:57:16." + "9" * digits + " +0000 UTC") == f"2025-07-03T06:57:16.{'9' * 9}Z"


@given(moments, fractions, offsets)
def test_rfc_3339_is_the_instant_that_datetime_finds(moment: datetime, fraction: str, offset: int) -> None:
    """Any fraction of up to nine digits, any offset."""
    zone = timezone(timedelta(minutes=offset))
    sign, size = "-" if offset < 0 else "+", abs(offset)
    text = moment.isoformat() + (f".{fraction}" if fraction else "") + f"{sign}{size // 60:02d}:{size % 60:02d}"
    true = moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None).isoformat()
    assert canonical(text) == f"{true}.{nine(fraction)}Z"


@given(
    moments,
    fractions,
    st.sampled_from([(0, "UTC"), (120, "CEST"), (-240, "EDT"), (-180, "-03"), (345, "+0545")]),
    st.booleans(),
)
def test_both_ways_of_go_give_the_same(moment: datetime, fraction: str, zone: tuple[int, str], monotonic: bool) -> None:
    """RFC3339Nano and Time.String() of one time, in any zone, with the monotonic clock or without."""
    utc = f"{moment.isoformat()}.{nine(fraction)}Z"
    assert canonical(rfc3339_nano(utc, zone[0])) == utc
    assert canonical(time_string(utc, *zone, monotonic="+83.123456789" if monotonic else "")) == utc


@given(st.integers(NS_MIN, NS_MAX))
def test_nanoseconds_come_back(ns: int) -> None:
    """to_ns is the inverse of from_ns over all 64 bits, and text order is time order."""
    assert to_ns(from_ns(ns)) == ns
    assert len(from_ns(ns)) == 30
    if ns < NS_MAX:
        assert from_ns(ns) < from_ns(ns + 1)


@given(moments, fractions)
def test_canonical_text_comes_back_or_is_clamped(moment: datetime, fraction: str) -> None:
    """A time of years 1678 to 2262 survives exactly; another one is the nearest that fits."""
    text = f"{moment.isoformat()}.{nine(fraction)}Z"
    back = from_ns(to_ns(text))
    if from_ns(NS_MIN) <= text <= from_ns(NS_MAX):
        assert back == text
    else:
        assert back in (from_ns(NS_MIN), from_ns(NS_MAX))
        assert (back < text) == (text > from_ns(NS_MAX))


@given(st.integers())
def test_any_number_has_a_text(ns: int) -> None:
    """Beyond the calendar the first or the last instant of it stands."""
    assert "0001-01-01T00:00:00.000000000Z" <= from_ns(ns) <= "9999-12-31T23:59:59.999999999Z"


@given(moments, fractions)
def test_the_stamp_of_a_human_line_is_utc(moment: datetime, fraction: str) -> None:
    """Three digits, cut; another zone only where one is given."""
    utc = f"{moment.isoformat()}.{nine(fraction)}Z"
    assert canonical_header(stamp(utc)) == utc[:23] + "000000Z"


@given(
    st.datetimes(
        _naive("1950-01-01"),
        _naive("2100-01-01"),
        allow_imaginary=False,
        timezones=st.just(ZoneInfo("America/New_York")),
    )
)
def test_a_restamped_header_is_read_in_its_zone(moment: datetime) -> None:
    """With a zone the stamp is that zone's local time; of a doubled hour it is the first."""
    local = moment.replace(microsecond=0, fold=0)
    text = f"{local:%Y-%m-%d %H:%M:%S}.250"
    true = local.astimezone(UTC).replace(tzinfo=None).isoformat()
    assert canonical_header(text, ZoneInfo("America/New_York")) == f"{true}.250000000Z"


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2025-07-03", "2025-07-03T06:57:16", "2025-02-29T00:00:00Z", "2025-04-31T00:00:00Z", "2025-13-01T00:00:00Z",
        "2025-00-01T00:00:00Z", "2025-01-00T00:00:00Z", "2025-07-03T24:00:00Z", "2025-07-03T06:60:16Z", "2025-07-03T06:57:60Z",
        "2025-07-03T06:57:16.Z", "2025-07-03T06:57:16+2:00", "2025-07-03T06:57:16+24:00",
        "2025-07-03T06:57:16+00:60", "2025-07-03T06:57:16Z\n", " 2025-07-03T06:57:16Z", "2025-07-03T06:57:16ZZ",
        "\u0662\u0660\u0662\u0665-07-03T06:57:16Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        "2025-07-03 06:57:16", "2025-07-03 06:57:16 UTC", "2025-07-03 06:57:16 +0000 UTC m=", "2025-07-03 06:57:16 +0000 UTC m=+x",
        "2025-02-29 06:57:16 +0000 UTC", "2025-07-03 06:57:16 +0000 UTC x", "2025-07-03 06:57:16 +0000 " + "A" * 100,
        "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "+2025-07-03T06:57:16Z", "2025-07-03T06:57:16.1,Z",
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    """Dates that the calendar lacks, cut forms and other digits are refused, not guessed."""
    assert canonical(text) is None


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000000Z"),
        ("0001-01-01 00:00:00 +0000 UTC", "0001-01-01T00:00:00.000000000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000000Z"),
        ("2025-07-03t06:57:16.5z", "2025-07-03T06:57:16.500000000Z"),
        ("2025-07-03T06:57:16-00:00", "2025-07-03T06:57:16.000000000Z"),
        ("2025-12-31T23:30:00.1-01:00", "2026-01-01T00:30:00.100000000Z"),
        ("2025-07-03 08:57:16.144719 +0200 CEST m=+83.1", "2025-07-03T06:57:16.144719000Z"),
        ("2025-07-03 08:57:16 +0200 +0200", "2025-07-03T06:57:16.000000000Z"),
    ],
)
def test_known_times(text: str, true: str) -> None:
    """The forms by example, and the ends of the calendar."""
    assert canonical(text) == true


@pytest.mark.parametrize(
    "text", ["2025-02-29 00:00:00.000", "2025-07-03 06:57:16", "2025-07-03 06:57:16.1444", "", "x"]
)
def test_what_is_no_stamp_is_none(text: str) -> None:
    """A header's stamp has exactly three digits and a date of the calendar."""
    assert canonical_header(text) is None


@given(st.lists(st.tuples(st.datetimes(_naive("0001-01-03"), _naive("9999-12-29")), fractions)))
def test_many_times_are_the_nanoseconds_of_each(times: list[tuple[datetime, str]]) -> None:
    texts = [f"{moment.replace(microsecond=0).isoformat()}.{nine(fraction)}Z" for moment, fraction in times]
    assert all_to_ns(texts) == [to_ns(text) for text in texts]
