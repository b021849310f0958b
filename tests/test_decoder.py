"""A decoder is what msgspec gives, later."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from shipper.decoder import json_decoder, msgpack_decoder


class Pair(Struct, frozen=True):
    name: str
    number: int = 0


@given(st.builds(Pair, st.text(), st.integers(-(1 << 63), (1 << 63) - 1)))
def test_it_reads_what_msgspec_writes(pair: Pair) -> None:
    text = msgspec.json.encode(pair)
    assert json_decoder(Pair).decode(text) == pair
    assert json_decoder(Pair).decode_lines(text + b"\n" + text) == [pair, pair]
    assert msgpack_decoder(Pair).decode(msgspec.msgpack.encode(pair)) == pair


@pytest.mark.parametrize("text", [b"", b"{", b'{"name":1}', b'{"number":1}', b"[]"])
def test_it_refuses_what_is_none_each_time(text: bytes) -> None:
    decoder = json_decoder(Pair)
    for _ in range(2):
        with pytest.raises(msgspec.DecodeError):
            decoder.decode(text)
    assert decoder.decode(b'{"name":"x"}') == Pair("x")


def test_it_is_made_at_its_first_use_and_not_before() -> None:
    class Broken(Struct):
        field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037 - what can't be read is the point

    decoder = json_decoder(Broken)
    with pytest.raises(NameError):
        decoder.decode(b"{}")


def test_it_has_what_the_decoder_has_and_no_more() -> None:
    decoder = json_decoder(Pair)
    assert decoder.type is Pair
    assert decoder.strict is True
    assert not hasattr(decoder, "nothing")
    assert not hasattr(decoder, "__len__")
