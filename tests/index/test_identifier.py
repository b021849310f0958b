"""Many ids are packed at once as they are one by one, and addresses as they are read elsewhere."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from shipper.index.identifier import pack_id, pack_ids, request_number, request_numbers, unpack_id
from shipper.index.lexicon import pack_address

_uuids = st.uuids().map(str)
_odd = st.one_of(
    st.none(),
    _uuids.map(str.upper),
    _uuids.map(lambda text: text.replace("-", "")),
    _uuids.map(lambda text: text[:-1] + " "),
    _uuids.map(lambda text: text[1:] + "-"),
    st.text("0123456789abcdef- é", min_size=36, max_size=36),
    st.text(max_size=40),
)


@given(st.lists(_uuids | st.none()) | st.lists(_uuids | _odd))
@example([])
@example(["0000000 -0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"])
@example(["00000000-0000-0000-0000-000000000000-11111111", "2222-3333-4444-555555555555"])
def test_many_are_packed_as_one_by_one(texts: list[str | None]) -> None:
    assert pack_ids(texts) == [pack_id(text) for text in texts]
    assert request_numbers(texts) == [request_number(text) for text in texts]


@given(_uuids)
def test_a_uuid_comes_back_in_its_canonical_form(text: str) -> None:
    assert unpack_id(pack_id(text)) == unpack_id(pack_id(text.upper())) == text


@given(
    st.ip_addresses().map(str)
    | st.ip_addresses(v=6).map(lambda address: address.exploded)
    | st.text("0123456789abf.:%x ", max_size=20)
)
@example("::ffff:1.2.3.4")
@example("fe80::1%eth0")
@example("01.2.3.4")
@example("1.2.3")
@example("1.2.3.4\0")
def test_an_address_is_packed_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = ipaddress.ip_address(text).packed
    except ValueError:
        expected = None
    assert pack_address(text) == expected
