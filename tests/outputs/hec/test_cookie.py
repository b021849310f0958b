"""Cookies go back to where they came from, as long as they are good, and never fill the memory."""

from __future__ import annotations

import io
from http.client import HTTPResponse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.outputs.hec.cookie import COOKIE_MAX_CHARACTERS, COOKIES_MAX_COUNT, Cookies
from tests.outputs.hec.conftest import wait

URL = "https://hec.example.com/services/collector/event"


class _Told:
    """What http.client takes for a socket."""

    def __init__(self, *headers: str) -> None:
        lines = "".join(f"Set-Cookie: {header}\r\n" for header in headers)
        self._text = f"HTTP/1.1 204 No Content\r\n{lines}\r\n".encode()

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._text)


def given_to(cookies: Cookies, *headers: str) -> None:
    response = HTTPResponse(_Told(*headers))  # type: ignore[arg-type]
    response.begin()
    cookies.take(URL, response)


def sent(*headers: str, url: str = URL) -> str:
    cookies = Cookies()
    given_to(cookies, *headers)
    return cookies.header(url)


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
        ("node=a; Domain=.example.com", "node=a"),
        ("node=a; Domain=hec.example.com", "node=a"),
        ("node=a; Domain=example.org", ""),
        ("node=a; Domain=c.example.com", ""),
        ("node=a; Max-Age=0", ""),
        ("node=a; Max-Age=-1", ""),
        ("node=a; Max-Age=99999999999999999999", "node=a"),
        ("node=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        ("node=a; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "node=a"),
        ("node=a; Expires=whenever", "node=a"),
        ("node=a; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "node=a"),
        ("node", ""),
        ("=a", ""),
        ("node=a\r\nX: y", "node=a"),
        ("node=a\r\n X: y", ""),
        ("no de=a", ""),
        ("node=ä", ""),
        ("node=" + "a" * COOKIE_MAX_CHARACTERS, ""),
    ],
)
def test_a_cookie_is_sent_back_where_it_is_for(header: str, expected: str) -> None:
    assert sent(header) == expected


def test_a_later_one_takes_the_place_of_one_before_or_takes_it_away() -> None:
    assert sent("node=a", "node=b") == "node=b"
    assert sent("node=a; Path=/", "node=b; Path=/services") == "node=b; node=a"
    cookies = Cookies()
    given_to(cookies, "node=a")
    given_to(cookies, "node=; Max-Age=0")
    assert cookies.header(URL) == ""


def test_one_that_grows_old_is_not_sent_any_more() -> None:
    cookies = Cookies()
    given_to(cookies, "old=a; Max-Age=1", "node=b; Max-Age=1000")
    assert wait(lambda: cookies.header(URL) == "node=b")


def test_a_secure_one_is_not_sent_in_the_open() -> None:
    assert sent("node=a; Secure", url=URL.replace("https", "http")) == ""
    assert sent("node=a; Secure") == "node=a"


def test_one_of_another_server_is_not_sent() -> None:
    assert sent("node=a", url=URL.replace("hec", "other")) == ""
    assert sent("node=a; Domain=.example.com", url=URL.replace("hec", "other")) == "node=a"


def test_a_server_that_gives_ever_new_ones_has_all_forgotten() -> None:
    cookies = Cookies()
    for number in range(10 * COOKIES_MAX_COUNT):
        given_to(cookies, f"c{number}=x")
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
