"""Text comes back as it was before Go quoted it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.text import BadEscape, decode, strip_colours, unquote
from tests.render.golang import is_print, quote, runes


def each(raw: bytes) -> str:
    """Bytes as text, one U+FFFD for each that is not UTF-8, found rune by rune."""
    return "".join("\ufffd" if isinstance(rune, int) else rune for rune in runes(raw))


@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_decoding_replaces_each_bad_byte_by_one(raw: bytes) -> None:
    """A Go reader's way, for every sequence of bytes, also after pieces of a rune and for surrogates."""
    assert decode(raw) == each(raw)


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"\xff", 1),
        (b"\xf0\x9f\x98", 3),
        (b"\xed\xa0\x80", 3),
        (b"\xc0\x80", 2),
        (b"\xf4\x90\x80\x80", 4),
        (b"\xe2\x82", 2),
    ],
)
def test_pieces_of_runes_are_not_taken_together(raw: bytes, count: int) -> None:
    """Python's own "replace" gives one mark for some of these runs."""
    assert decode(b"a" + raw + b"b") == "a" + "\ufffd" * count + "b"


@given(st.one_of(st.binary(), st.text().map(str.encode)))
def test_unquote_undoes_quote(raw: bytes) -> None:
    """The value of a literal is what Go's strconv.Quote was given, for any bytes."""
    assert unquote(decode(quote(raw))[1:-1]) == each(raw)


@given(st.text(max_size=40))
def test_unquote_gives_text_or_says_where_not(inner: str) -> None:
    """Any text is a value or has a bad escape at a backslash inside it."""
    try:
        value = unquote(inner)
    except BadEscape as error:
        assert inner[error.at] == "\\"
    else:
        value.encode()
        assert "\\" in inner or value == inner


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        (r"\a\b\f\n\r\t\v\\\"", "\a\b\f\n\r\t\v\\\""), (r"\x00\x1b\x7f", "\x00\x1b\x7f"), (r"\xff\x80", "\ufffd\ufffd"),
        (r"\u0085\u2028\ufeff", "\x85\u2028\ufeff"), (r"\U000e0001", "\U000e0001"), (r"\101", "A"), (r"\377", "\ufffd"),
        (r"\\n", "\\n"), (r"\\\\", "\\\\"), ("😀", "😀"), ("", ""),
    ],
)  # fmt: skip
def test_every_escape(inner: str, value: str) -> None:
    """Each escape that Go has, by example."""
    assert unquote(inner) == value


@pytest.mark.parametrize(
    ("inner", "at"),
    [
        ("\\", 0),
        ("a\\q", 1),
        (r"\x1", 0),
        (r"\u12", 0),
        (r"\ud800", 0),
        (r"\U00110000", 0),
        (r"\400", 0),
        (r"ab\n\8", 4),
        ("\\\n", 0),
    ],
)
def test_an_escape_that_go_lacks_is_refused_at_its_place(inner: str, at: int) -> None:
    """Cut escapes, surrogates, numbers beyond Unicode and letters without a meaning."""
    with pytest.raises(BadEscape) as caught:
        unquote(inner)
    assert caught.value.at == at


@given(
    st.text(), st.lists(st.sampled_from(["\x1b[0m", "\x1b[38;2;96;99;102m", "\x1b[38;5;59m", "\x1b[1;31m", "\x1b[m"]))
)
def test_colours_are_taken_off(text: str, colours: list[str]) -> None:
    """Colour sequences go wherever they stand; text without them stays as it is."""
    clean = text.replace("\x1b", "")
    step = max(1, len(clean) // (len(colours) + 1))
    painted = "".join(colour + clean[at * step : (at + 1) * step] for at, colour in enumerate(colours))
    assert strip_colours(painted) == clean[: step * len(colours)]
    assert strip_colours(clean) == clean


@pytest.mark.parametrize("text", ["\x1b[2J", "\x1b]0;title\x07", "\x1b", "\x1b[12", "\x1b[31", "[0m"])
def test_other_control_sequences_are_not_colours(text: str) -> None:
    """What the sink does not write is the value's own and is kept."""
    assert strip_colours(text) == text


def test_the_go_of_these_tests_knows_what_prints() -> None:
    """The inverse is only as good as the quoter: its rules by example from Go's documentation."""
    assert [is_print(c) for c in "a \u00e9\u4e2d\U0001f600\ufffd\u0301"] == [True] * 7
    assert [is_print(c) for c in "\t\u00a0\u200d\u2028\u0085\ufeff\U000e0001\ue000"] == [False] * 8
    assert quote(b'\xff\x00\x7f\xc2\x85"\\') == rb'"\xff\x00\x7f\u0085\"\\"'
