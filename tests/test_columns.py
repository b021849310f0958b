"""Records as columns are the same records, however they came to be columns."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from shipper import columns
from shipper.columns import Columns, columns_of, columns_of_encoded, read_columns
from shipper.record import Log, Record, Source, encode_records, encoded

_text = st.none() | st.sampled_from(["", "a", "\n", 'a"\\b', "é", "\x00"])
_extra = st.dictionaries(st.sampled_from(["A", "B"]), st.none() | st.integers(-5, 5) | st.text(max_size=3), max_size=2)
_records = st.lists(
    st.builds(
        Record,
        schema=st.sampled_from([1, 2]),
        id=st.text(max_size=3),
        time=st.text(max_size=3),
        status=st.text(max_size=3),
        type=_text,
        workspace_name=_text,
        code=st.none() | st.integers(-1, 500),
        request_id=_text,
        log=st.builds(Log, time=_text, level=_text, span=_text),
        source=st.builds(Source, host=_text, offset=st.none() | st.integers(0), cursor=_text, meta=_extra),
        extra=_extra,
        names=st.just(UNSET) | st.dictionaries(st.sampled_from(["user", "template"]), _text),
    ),
    max_size=9,
)


@given(_records, st.sampled_from([1, 2, 128]), st.sampled_from([1, 300, 65_536]))
def test_columns_give_the_records_back(records: list[Record], together: int, bytes_: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "RECORDS_TOGETHER", together)
        patch.setattr(columns, "BYTES_TOGETHER", bytes_)
        lines = encode_records(records)
        for made in (
            columns_of(records),
            columns_of_encoded([encoded(record) for record in records]),
            read_columns(lines),
            read_columns(lines.removesuffix(b"\n")),
        ):
            assert list(made) == records
            assert len(made) == len(records)
    assert list(made.id) == [record.id for record in records]
    assert [*zip(*made.log, strict=True)] == [msgspec.structs.astuple(record.log) for record in records]
    assert [*zip(*made.source, strict=True)] == [msgspec.structs.astuple(record.source) for record in records]


@given(st.lists(_records, max_size=4), st.data())
def test_parts_of_columns_hold_what_parts_of_the_records_hold(parts: list[list[Record]], data: st.DataObject) -> None:
    whole = [record for part in parts for record in part]
    made = Columns.joined([part if data.draw(st.booleans()) else columns_of(part) for part in parts])
    assert list(made) == whole
    places = sorted(data.draw(st.sets(st.sampled_from(range(len(whole)))))) if whole else []
    assert list(made.only(places)) == [whole[place] for place in places]
    first, last = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))
    assert list(made[first:last]) == whole[first:last]
    assert columns_of(made) is made


@given(st.binary(max_size=20))
def test_what_holds_no_records_is_refused(lines: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        read_columns(b'{"schema":1,"id":"a","time":"b","status":"c"}\n{' + lines)
