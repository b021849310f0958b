"""What rows don't give back of records comes back from blocks as it was, or not at all."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from shipper import timestamp
from shipper.index import block, rest
from shipper.index.block import PRIMER, Block, BlockCodec
from shipper.index.cell import left_of, take_rests
from shipper.index.rest import PackedRests, Rests
from shipper.record import Log, Record, Source, encode_record

_text = st.none() | st.sampled_from(["", "a", "b", "\n", "a\nb", "é", "\x00", "0" * 40])
_json = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=3)
_extra = st.dictionaries(st.sampled_from(["A", "B"]), _json, max_size=2)
_numbers = st.none() | st.sampled_from([0, 1, -1, 2**63, 2**64 - 1, 2**64, 2**70])
_records = st.lists(
    st.builds(
        Record,
        schema=st.sampled_from([1, 1, 2]),
        id=st.just("an id"),
        time=st.sampled_from(["2026-01-01T00:00:00.000000000Z", "0001-01-01T00:00:00.000000000Z"]),
        status=st.sampled_from(["connected", "disconnected", "connected", "odd"]),
        workspace_name=st.sampled_from([None, "dev", "long" * 1000]),
        code=st.sampled_from([None, 0]),
        client_session_id=_text,
        request_id=_text,
        log=st.builds(Log, time=_text, level=_text, caller=_text, trace=_text, span=_text),
        source=st.builds(Source, host=_text, path=_text, offset=_numbers, cursor=_text, meta=_extra),
        extra=_extra,
        names=st.just(UNSET) | st.dictionaries(st.sampled_from(["user", "template"]), _text),
    ),
    min_size=1,
    max_size=12,
)


def _taken(records: list[Record]) -> Rests:
    times = timestamp.all_to_ns([one.time for one in records])
    cut = {place for place, one in enumerate(records) if one.workspace_name is not None and len(one.workspace_name) > 9}
    return take_rests(records, times, cut)


def _left(one: Record) -> Record:
    """A record without what its row gives back."""
    odd = one.status == "odd" or one.time.startswith("0001") or len(one.workspace_name or "") > 9
    return replace(
        one,
        id="",
        time=one.time if one.time.startswith("0001") else "",
        status="odd" if one.status == "odd" else "",
        code=None,
        workspace_name=one.workspace_name if odd and len(one.workspace_name or "") > 9 else None,
    )


@given(_records, st.sampled_from([1, 3]))
def test_rests_come_back_as_they_were(records: list[Record], times: int) -> None:
    records = records * times
    codec = BlockCodec(PRIMER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "COLUMNS_EVENTS_MIN", 2)
        patch.setattr(block, "BLOCK_EVENTS_MAX", 8)
        rests = _taken(records)
        originals = [b"%d" % place for place in range(len(records))]
        packed = list(codec.blocks(rests, originals, rests.hints()))
    assert sum(events for events, _ in packed) == len(records)
    blocks = [Block(codec, data) for _, data in packed]
    found = [one.record(place) for one in blocks for place in range(len(one))]
    assert found == [_left(one) for one in records]
    assert [text for one in blocks for text in one.rests()] == [encode_record(_left(one)) for one in records]
    assert [text for one in blocks for text in one.originals()] == originals
    # Merged they are the same.
    ((events, data),) = codec.blocks(left_of(found), originals)
    merged = Block(codec, data)
    assert [merged.record(place) for place in range(events)] == found


@given(_records.map(lambda records: [replace(one, source=Source()) for one in records]), st.data())
def test_what_is_damaged_is_a_value_error_and_never_another_record(records: list[Record], data: st.DataObject) -> None:
    rests = Rests(records * 3, {})
    whole = rests.pack()
    columns = msgspec.msgpack.decode(whole)
    which = data.draw(st.sampled_from([(part, number) for part in (0, 1) for number in range(len(columns[part]))]))
    column = columns[which[0]][which[1]]
    columns[which[0]][which[1]] = data.draw(
        st.sampled_from([[], column + column, column[:-1]] if len(column) > 2 else [[], [*column, None], 7])
    )
    with pytest.raises(ValueError):  # noqa: PT011  # of any text
        PackedRests(msgspec.msgpack.encode(columns), len(rests))
    with pytest.raises(ValueError):  # noqa: PT011
        PackedRests(whole[: data.draw(st.integers(0, len(whole) - 1))], len(rests))
    sound = PackedRests(whole, len(rests))
    for place in (-1, len(rests)):
        with pytest.raises(ValueError, match="as many records"):
            sound.record(place)


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_block_with_a_changed_byte_gives_no_other_record(at: int, change: int) -> None:
    codec = BlockCodec(PRIMER)
    record = Record(1, "", "", "", request_id="r", log=Log(time="t"), source=Source(path="p", offset=1))
    records = [replace(record, request_id=f"r{place}") for place in range(40)]
    ((_, data),) = codec.blocks(Rests(records, {}), [b""] * len(records))
    sound = Block(codec, data)
    begin = len(data) - at % (len(data) - sound.original_bytes - 13) - 1
    changed = bytearray(data)
    changed[begin] ^= change
    try:
        found = Block(codec, bytes(changed)).record(7)
    except ValueError:
        return
    assert found == records[7]


def test_a_block_holds_no_more_bytes_than_it_may() -> None:
    codec = BlockCodec(PRIMER)
    record = Record(1, "", "", "")
    long = [replace(record, extra={"A": f"{place}" + "x" * 1000}) for place in range(100)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block, "BLOCK_BYTES_MAX", 20_000)
        for originals in ([b""] * 100, [b"y" * 2000] * 100):
            packed = list(codec.blocks(Rests(long, {}), originals))
            assert sum(events for events, _ in packed) == len(long)
            blocks = [Block(codec, data) for _, data in packed]
            assert max(map(len, blocks)) <= 20
            assert [one.record(place) for one in blocks for place in range(len(one))] == long
        ((events, _),) = codec.blocks(Rests(long[:1], {}), [b"z" * 30_000])
        assert events == 1


def test_a_record_tells_of_the_shape_of_its_line() -> None:
    one = Record(1, "", "", "", code=0, extra={"A": None, "B": 1})
    same = replace(one, code=200, extra={"C": None, "D": "x"}, request_id=None)
    others = [replace(one, code=None), replace(one, user_id="u"), replace(one, extra={"A": 2, "B": 1})]
    hint, again, *different = Rests([one, same, *others], {}).hints()
    assert hint == again
    assert hint not in different
    many = replace(one, extra=dict.fromkeys(map(str, range(1000))))
    assert len(repr(Rests([many], {}).hints())) < rest.EXTRA_HINTED_MAX * 20
