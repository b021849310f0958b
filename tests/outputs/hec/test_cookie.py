"""Cookies go back to where they came from, as long as they are good, and never fill the memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.cookie import COOKIE_MAX_CHARACTERS, COOKIES_MAX_COUNT, Cookies

NOW = 1_800_000_000.0


def sent(*headers: str, path: str = "/services/collector/event", secure: bool = True, later: float = 0.0) -> str:
    cookies = Cookies("hec.example.com")
    cookies.take(headers, NOW)
    return cookies.header(path, secure, NOW + later)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("node=a", "node=a"),
        ("node=a; Path=/; HttpOnly; SameSite=None", "node=a"),
        ('node="a=b"; Max-Age=60', 'node="a=b"'),
        ("node=", "node="),
        ("node=a; Path=/services", "node=a"),
        ("node=a; Path=/services/collector/event", "node=a"),
        ("node=a; Path=/services/coll", ""),
        ("node=a; Path=/other", ""),
        ("node=a; Path=elsewhere", "node=a"),
        ("node=a; Domain=.example.com", "node=a"),
        ("node=a; Domain=hec.example.com", "node=a"),
        ("node=a; Domain=example.org", ""),
        ("node=a; Domain=c.example.com", ""),
        ("node=a; Max-Age=0", ""),
        ("node=a; Max-Age=-1", ""),
        ("node=a; Max-Age=99999999999999999999", "node=a"),
        ("node=a; Max-Age=soon", "node=a"),
        ("node=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("node=a; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "node=a"),
        ("node=a; Expires=whenever", "node=a"),
        ("node=a; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "node=a"),
        ("node", ""),
        ("=a", ""),
        ("node=a\r\nX: y", ""),
        ("no de=a", ""),
        ("node=ä", ""),
        ("node=" + "a" * COOKIE_MAX_CHARACTERS, ""),
    ],
)
def test_a_cookie_is_sent_back_where_it_is_for(header: str, expected: str) -> None:
    assert sent(header) == expected


def test_a_later_one_takes_the_place_of_one_before_or_takes_it_away() -> None:
    assert sent("node=a", "node=b") == "node=b"
    assert sent("node=a", "node=; Max-Age=0") == ""
    assert sent("node=a; Path=/", "node=b; Path=/services") == "node=b; node=a"


def test_one_that_grows_old_is_not_sent_any_more() -> None:
    assert sent("node=a; Max-Age=60", later=59.0) == "node=a"
    assert sent("node=a; Max-Age=60", later=60.0) == ""


def test_a_secure_one_is_not_sent_in_the_open() -> None:
    assert sent("node=a; Secure", secure=False) == ""
    assert sent("node=a; Secure") == "node=a"


def test_a_server_that_gives_ever_new_ones_has_all_forgotten() -> None:
    cookies = Cookies("hec.example.com")
    for number in range(10 * COOKIES_MAX_COUNT):
        cookies.take([f"c{number}=x"])
        assert len(cookies) <= COOKIES_MAX_COUNT


@given(
    st.lists(
        st.text(max_size=40) | st.from_regex(r"[a-z]{1,3}=[^;]{0,9}(; ?[A-Za-z-]{1,8}=[^;]{0,9}){0,3}"), max_size=9
    )
)
def test_whatever_is_set_what_is_sent_is_one_header(headers: list[str]) -> None:
    text = sent(*headers)
    assert text.isascii()
    assert text.isprintable()
