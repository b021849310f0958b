"""What the sieve tells of a block's lines is what a look at each line tells."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from shipper.index.apart import Apart
from shipper.index.block import PRIMER, Block, BlockCodec
from shipper.index.linewise import matching_texts
from shipper.index.search import _places, compile_wanted
from shipper.index.sieve import make_sieve
from shipper.index.way import read_ways
from tests.index.block import json_block

_NAMES = ("gpu", "main", "dev-0cd3", "", "a b", "win arm")
_REASONS = ("", "context canceled", "EOF", "a  b", "  x ", '\\"quoted\\" end', "tls: bad \\u003cnil\\u003e")


def _json(name: str, reason: str, number: int, hexadecimal: int) -> str:
    return (
        f'{{"ts":"2026-02-01T00:00:{number:02d}Z","caller":"slog.go:{38 + number % 3}","fields":{{'
        f'"request_id":"0cd{hexadecimal:05x}-ffff","AgentName":"{name}","Code":{number * 7},'
        f'"Ip":"10.1.{number}.7","DisconnectReason":"{reason}","ConnectionStatus":"connected"}}}}'
    )


def _human(name: str, reason: str, number: int, hexadecimal: int) -> str:
    return (
        f"2026-02-01 00:00:{number:02d} [info]  coderd: connection_log  request_id=0cd{hexadecimal:05x}-ffff  "
        f'AgentName={name}  Code={number * 7}  Ip=10.1.{number}.7  DisconnectReason="{reason}"'
    )


_line = st.builds(
    lambda form, *values: form(*values),
    st.sampled_from([_json, _human]),
    st.sampled_from(_NAMES),
    st.sampled_from(_REASONS),
    st.integers(0, 59),
    st.integers(0, 0xFFFFF),
)
_lines = st.lists(_line, min_size=32, max_size=60)
_EXACT = (
    '"request_id":"0cd3[0-9a-f]*-ffff', "slog.go:3[89]", r"10\.1\.\d+\.7", '"AgentName":"[gm]', "gpu|main", "(?i)CANCELED",
    '"Code":[0-9]{2,3},', r"^\{", r'"connected"\}\}$', ".", "", "  AgentName=", "Code=7  Ip", "a b", "[^,]*EOF", "a  b",
    r"ffff  AgentName=(gpu|main)  Code=\d", '"AgentName":"gpu".*"Ip":"10.1.2', "^2026", '"$', '""', " ", "  ", r"\bgpu\b",
    r'x"?,"Ip', "request_id(=|\":\")0cd", ".request", "Agent.*,.*Ip", "nothing_like_it", r"[^a]\b[^b]", "e.*e.*e", "gpu|main|EOF|tls|dev|zzz", '"gpu|main"|EOF"|^x|tls|dev|zzz',
)  # fmt: skip
_item = st.sampled_from(
    [
        "a", "gpu", "0", "0cd", "-", "-ffff", '"', '":"', ",", ".", r"\.", ".*", ".+", "[0-9]", "[0-9a-f]*", '[^"]*', "[^,]", r"\d+",
        r"\s", r"\S*", r"\b", r"\B", " ", "  ", "=", "Agent", "Name", "a?", '"?', " ?", "b*", "(gpu|main)", '("|=)', "(?:a|)", "( |b)+",
        "x{0,1}", "[ax]{2}", '".', "^", "$", "(^|,)", r"\"", r"\{", "[]a]", "E", "{", "}", "1", '(a|"b)*', "[ =]", "T00:0",
    ]
)  # fmt: skip
_pattern = st.one_of(st.sampled_from(_EXACT), st.lists(_item, min_size=1, max_size=7).map("".join))


def _block(lines: list[str]) -> Block:
    codec = BlockCodec(PRIMER)
    return json_block(codec, [b"{}"] * len(lines), [line.encode() for line in lines])


def _expected(pattern: str, lines: list[str]) -> set[int]:
    return {place for place, line in enumerate(lines) if re2.search(pattern, line) is not None}


@given(_lines, _pattern, st.booleans(), st.data())
def test_the_places_are_those_of_the_lines_that_match(
    lines: list[str], pattern: str, fold: bool, data: st.DataObject
) -> None:
    if data.draw(st.integers(0, 3)) == 0:
        line = data.draw(st.sampled_from(lines))
        begin = data.draw(st.integers(0, len(line) - 1))
        cut = line[begin : begin + data.draw(st.integers(1, 25))]
        pattern = re2.escape(cut) + pattern if data.draw(st.booleans()) else re2.escape(cut)
    block = _block(lines)
    assert isinstance(block.apart(), Apart)
    try:
        wanted = compile_wanted(pattern, fold=fold, fixed=False)
    except ValueError:
        return  # a repetition of nothing
    expected = {place for place, line in enumerate(lines) if wanted.line.search(line) is not None}
    found = _places(wanted, block)
    assert found is None or found == expected
    sieved = None if wanted.sieve is None else wanted.sieve.places(block.apart())  # type: ignore[arg-type]  # seen above
    if sieved is not None:
        assert sieved.sure <= expected <= sieved.sure | sieved.maybe


@pytest.mark.parametrize("pattern", _EXACT)
def test_a_sieve_that_met_one_block_is_right_about_the_next(pattern: str) -> None:
    sieve = make_sieve(pattern, fold=False)
    if sieve is None:
        return
    for step in range(3):
        lines = [
            form(_NAMES[(at + step) % 6], _REASONS[at % 7], at, 0x31111 * (at + step) % 0xFFFFF)
            for at in range(40)
            for form in (_json, _human)
        ]
        apart = _block(lines).apart()
        assert apart is not None
        sieved = sieve.places(apart)
        assert sieved is None or sieved.sure <= _expected(pattern, lines) <= sieved.sure | sieved.maybe


@pytest.mark.parametrize(
    "pattern",
    [
        "slog.go:3[89]",
        '"request_id":"0cd3[0-9a-f]*-ffff',
        '"AgentName":"[gm]',
        r"10\.1\.\d+\.7",
        "(?:gpu|main)",
        r"\bgpu\b",
    ],
)
def test_usual_patterns_need_no_look_at_a_line(pattern: str) -> None:
    sieve = make_sieve(pattern, fold=False)
    lines = [_json(_NAMES[at % 6], _REASONS[at % 7], at % 60, at * 0x31111 % 0xFFFFF) for at in range(80)]
    apart = _block(lines).apart()
    assert sieve is not None
    assert apart is not None
    sieved = sieve.places(apart)
    assert sieved is not None
    assert not sieved.maybe
    assert sieved.sure == _expected(pattern, lines)


def test_many_alternatives_are_one_way() -> None:
    words = [f"word{number}" for number in range(300)]
    lines = [_json("gpu" if at % 7 else f"word{at}", "", at % 60, at) for at in range(80)]
    ways = read_ways("|".join(words), b'"', fold=False)
    assert ways is not None
    assert len(ways) == 1
    sieve, apart = make_sieve("|".join(words), fold=False), _block(lines).apart()
    assert sieve is not None
    assert apart is not None
    sieved = sieve.places(apart)
    assert sieved is not None
    assert sieved.sure == {place for place in range(80) if place % 7 == 0}
    assert read_ways("|".join(f'"{word}' for word in words), b'"', fold=False) is None


def test_what_is_not_read_of_a_pattern_is_left_to_a_look_at_each_line() -> None:
    for pattern in (
        r"\x41",
        "[[:alpha:]]",
        "(?s).",
        r"\pN",
        r"a(?i)b",
        "(" * 30 + "a" + ")" * 30,
        "a**",
        r"\Qa",
        "a^b",
        "(^a)*",
        "x\t",
    ):
        assert read_ways(pattern, b'"', fold=False) is None
    for pattern in (" AgentName", "a ", "a   b", "[^a]*  b", "a*  b", "(?:a|)  b"):
        assert read_ways(pattern, b"  ", fold=False) is None
    assert read_ways("|".join('("|a)' for _ in range(3)), b'"', fold=False) is not None
    assert read_ways('("|a)' * 8, b'"', fold=False) is None


@given(st.lists(st.text("ab\né ", max_size=4), max_size=30), st.lists(_item, min_size=1, max_size=4).map("".join))
def test_texts_that_match_are_found_together_as_each_by_itself(texts: list[str], pattern: str) -> None:
    try:
        expected = [place for place, text in enumerate(texts) if re2.search(pattern, text) is not None]
    except re2.error:
        return
    assert list(matching_texts(pattern, texts)) == expected
    ended = rf"\A(?:{pattern})\z"
    assert list(matching_texts(ended, texts)) == [
        at for at, text in enumerate(texts) if re2.search(ended, text) is not None
    ]
