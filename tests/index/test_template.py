"""Lines taken apart come back as they were, and no line that holds a text is missed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import re2
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.index import mould
from shipper.index.apart import Apart
from shipper.index.block import PRIMER, BlockCodec
from shipper.index.literal import longest_literal
from shipper.index.search import compile_wanted
from shipper.index.template import lines_with, put_together, take_apart
from tests.index.block import json_block

_value = st.text('ab0-%: ="', max_size=4)
_json = st.tuples(_value, _value, st.sampled_from(["null", "1", '"x"', "-22"])).map(
    lambda parts: f'{{"ab":"{parts[0]}","b":"{parts[1]}","0a":{parts[2]}}}'.encode()
)
_human = st.tuples(_value, _value).map(lambda parts: f"ab [b]  a=0  b={parts[0]}  ab={parts[1]}".encode())
_lines = st.lists(
    _json | _human | st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b"")), min_size=1, max_size=40
)
_literal = st.text('ab0-%: ="{}[],', min_size=1, max_size=8).map(str.encode)


def _column_of(columns: list[bytes]) -> Callable[[int], bytes]:
    return lambda number: b"\n%b\n" % columns[number]


@given(_lines)
@example([b""])
@example([b"{%b%%", b"{%s", b"  ", b"%"])
def test_lines_come_back_as_they_were(lines: list[bytes]) -> None:
    apart = take_apart(lines)
    assert apart is not None
    sheet, columns = apart
    assert put_together(sheet, columns) == lines
    assert sheet.plain == all(line.isascii() and b"\r" not in line for line in lines)


@given(_lines, st.data())
def test_every_line_that_holds_a_text_is_found(lines: list[bytes], data: st.DataObject) -> None:
    apart = take_apart(lines)
    assert apart is not None
    sheet, columns = apart
    line = data.draw(st.sampled_from(lines))
    begin = data.draw(st.integers(0, max(0, len(line) - 1)))
    literal = data.draw(_literal | st.just(line[begin : begin + data.draw(st.integers(1, 30))] or b"a"))
    found = lines_with(sheet, lambda number: b"\n%b\n" % columns[number], literal)
    assert found >= {place for place, one in enumerate(lines) if literal in one}


@given(st.lists(_lines, min_size=1, max_size=4), st.integers(1, 6), st.integers(0, 3), st.integers(0, 4))
@example([[b'{"a":"%s"}' % (b"x" * n,) for n in range(6)], [b'{"a":"y"}', b'{"a":1}']], 1, 0, 0)
@example([[b'{"a":"%s"}' % (b"x" * n,) for n in range(6)], [b'{"a":"y"}', b'{"a":1}']], 1, 0, 1)
@example([[b'{"a":1}', b'{"a":""}'] * 3, [b'{"a":2}', b'{"a":"b"}', b'{"b":3}']], 1, 2, 2)
def test_lines_come_back_as_they_were_by_the_shapes_of_those_before(
    blocks: list[list[bytes]], least: int, most: int, hinted: int
) -> None:
    """Whether hints tell of their shapes, of nothing, or of another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mould, "LINES_MIN", least)
        patch.setattr(mould, "WIDENED_MAX", 1 + most)
        patch.setattr(mould, "MOULDS_MAX", 2 + most)
        moulds = mould.Moulds()
        for lines in (*blocks, *blocks):
            hints = [len(line) % hinted for line in lines] if hinted else None
            apart = moulds.take_apart(lines, hints)
            assert apart is not None
            sheet, columns = apart
            assert put_together(sheet, columns) == lines
            for literal in (lines[0][:9], lines[-1][3:], b'":"'):
                found = lines_with(sheet, _column_of(columns), literal or b"a")
                assert found >= {place for place, one in enumerate(lines) if (literal or b"a") in one}


def test_a_mould_holds_for_whole_lines_or_for_none() -> None:
    rows = [[b"{", b"a", b":", b"x", b"}"], [b"{", b"a", b":", b"y", b"}"]]
    made = mould.Mould(rows)
    lines = [b'"'.join(row) for row in rows]
    assert made.apart(lines) == [b"x\ny"]
    for other in (b'{"b":"x"}', b'{"a":"x"} ', b' {"a":"x"}', b'{"a":"x"', b'{"a":"x"}{"a":"x"}', b"", b'{"a":1}'):
        assert made.apart([*lines, other]) is None
        assert made.apart([other, *lines]) is None
        assert made.match(other) is None
    long = b"n" * mould.LONG_MIN
    far = mould.Mould([[*row[:2], b":" + long, *row[3:4], long + b"}"] for row in rows])
    wide = [b'{"a":%b"%b"%b}' % (long, value, long) for value in (b"", b"x", b"yy")]
    assert far.apart(wide) == [b"\nx\nyy"]
    for other in (b'{"a":%bm"x"%b}' % (long[1:], long), b'{"a":%b"x"%bm}' % (long, long[1:]), wide[0] + b" "):
        assert far.apart([*wide, other]) is None
        assert far.apart([other, *wide]) is None
    alike = mould.Mould([rows[0]])
    assert alike.apart(lines[:1] * 3) == []
    assert alike.apart(lines) is None


def test_a_line_that_is_too_long_to_share_or_ends_within_is_kept_as_it_is_cut() -> None:
    moulds = mould.Moulds()
    long = [b'{"a":"%b"}' % (b"%d" % n + b"x" * mould.BYTES_MAX) for n in range(mould.LINES_MIN)]
    for _ in range(2):
        apart = moulds.take_apart(long)
        assert apart is not None
        assert put_together(*apart) == long
    assert moulds.take_apart([b'{"a":"1\n"}'] * mould.LINES_MIN) is None
    assert moulds.take_apart([b'{"a":"2\n"}'] * mould.LINES_MIN) is None


@given(_lines.map(lambda lines: lines * 32), st.lists(st.binary(max_size=9), min_size=1, max_size=40))
def test_a_block_gives_its_originals_back(lines: list[bytes], odd: list[bytes]) -> None:
    codec = BlockCodec(PRIMER)
    for originals in (lines, odd, [*lines, *odd]):
        rests = [b"{}"] * len(originals)
        block = json_block(codec, rests, originals)
        assert block.originals() == originals
        assert block.text() == b"".join(one + b"\n" for one in originals)
        assert block.rests() == rests


_piece = st.sampled_from(
    [
        "a",
        "ab",
        "b0",
        "-",
        '"',
        "=",
        r"\.",
        ".",
        "[ab]",
        "[^a]",
        "[]a]",
        r"\d",
        "a*",
        "b?",
        "0+",
        "a{2}",
        "(ab|0)",
        "^",
        "$",
        r"\b",
        " ",
    ]
)


@given(st.lists(_piece, min_size=1, max_size=6).map("".join), _lines, st.booleans())
def test_what_a_pattern_finds_in_lines_apart_is_what_it_finds_in_each(
    pattern: str, lines: list[bytes], fold: bool
) -> None:
    from shipper.index.search import _places

    lines = [line for line in lines if line.isascii() and b"\r" not in line] * 32
    if not lines:
        return
    codec = BlockCodec(PRIMER)
    block = json_block(codec, [b"{}"] * len(lines), lines)
    assert isinstance(block.apart(), Apart)
    wanted = compile_wanted(pattern, fold=fold, fixed=False)
    expected = {place for place, line in enumerate(lines) if wanted.line.search(line) is not None}
    found = _places(wanted, block)
    assert found is None or found == expected


@given(st.lists(_piece, min_size=1, max_size=6).map("".join), _lines)
def test_the_literal_of_a_pattern_is_in_all_that_it_matches(pattern: str, lines: list[bytes]) -> None:
    literal = longest_literal(pattern)
    for line in lines:
        found = re2.search(pattern, line)
        assert literal is None or found is None or literal in found.group()


def test_a_plain_text_is_its_own_literal() -> None:
    assert longest_literal(re2.escape('"request_id":"0cd3-x y')) == b'"request_id":"0cd3-x y'
    assert longest_literal("slog.go:3[89]") == b"slog"
    assert longest_literal("ab") is None
    assert longest_literal("(abc|d)") is None


@given(_lines.map(lambda lines: lines * 32))
def test_each_line_comes_back_by_itself(lines: list[bytes]) -> None:
    codec = BlockCodec(PRIMER)
    block = json_block(codec, [b"{}"] * len(lines), lines)
    assert [block.original(place) for place in range(len(lines))] == lines
    assert block.originals() == lines


def test_lines_of_very_many_pieces_or_shapes_are_kept_as_they_are() -> None:
    codec = BlockCodec(PRIMER)
    many = [b'{"%d' % n + b'"%d' % n * 70_000 for n in range(40)]
    some = [
        b"  ".join(b"%d.%d.%d" % (n, part, shape) for part in range(900 + shape))
        for n in range(40)
        for shape in range(3)
    ]
    shapes = [b'{"' * n for n in range(200)]
    for lines in (many, some, shapes):
        block = json_block(codec, [b"{}"] * len(lines), lines)
        assert block.originals() == lines
        assert (block.apart() is None) == (lines is not some)
