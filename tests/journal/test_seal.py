"""Records that are sealed for an output come back as they were, and their segments make one gzip member."""

from __future__ import annotations

import sqlite3
import uuid
import zlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import StateDamaged
from shipper.journal import Batch, Journal, Piece, Wrapped, gzip_member
from shipper.journal.seal import Sealed, seal, unpack_segment, unseal
from shipper.record import CompactRecord, Encoded, Gap, Source, encoded

TIME = "2026-01-02T03:04:05.{:09d}Z"
_texts = st.text(max_size=300)


class Braces:
    """A wrapping with little in it."""

    name = "braces"

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        for at in range(0, len(encoded), max_count):
            part = encoded[at : at + max_count]
            lines = [
                f'{{"n":"\\",\\"event\\":",{"" if n % 2 else " "}"x":1,"event":{one.json}}}'
                for n, one in enumerate(part)
            ]
            yield Wrapped("\n".join(lines).encode(), [one.time for one in part])

    def another(self) -> Braces:
        return type(self)()


class Few(Braces):
    """The same in segments of few records."""

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        return super().wrap(encoded, max_bytes, 3)


def records(texts: Sequence[str]) -> list[Encoded]:
    return [
        encoded(CompactRecord(1, str(uuid.UUID(int=n)), TIME.format(n), "connected", user_agent=text))
        for n, text in enumerate(texts)
    ]


def batch(count: int, first: int = 0, gaps: Sequence[Gap] = ()) -> Batch:
    found = [
        encoded(CompactRecord(1, str(uuid.UUID(int=n)), TIME.format(n), "connected", user_agent=f"agent {n}" * 9))
        for n in range(first, first + count)
    ]
    return Batch((Piece("/f", found, [b"line %d" % n for n in range(count)], entries=count),), gaps=tuple(gaps))


def bodies_of(sealed: Sealed) -> list[bytes]:
    """What each of its segments is packed as."""
    ends = [*accumulate((segment.packed for segment in sealed.segments), initial=0)]
    return [sealed.packed[begin:end] for begin, end in pairwise(ends)]


@given(st.lists(_texts, min_size=1, max_size=20), st.data())
def test_segments_in_any_choice_are_one_gzip_member_of_their_lines(texts: list[str], data: st.DataObject) -> None:
    sealed = seal(records(texts), Few())
    assert sealed.lines() == [one.json.encode() for one in records(texts)]
    bodies = bodies_of(sealed)
    chosen = data.draw(st.lists(st.sampled_from(range(len(bodies))), min_size=1, max_size=6))
    member = gzip_member([sealed.segments[n] for n in chosen], [bodies[n] for n in chosen])
    reader = zlib.decompressobj(31)
    plain = reader.decompress(member)
    assert reader.eof
    assert not reader.unused_data
    assert plain == b"\n".join(unpack_segment(sealed.segments[n], bodies[n]) for n in chosen)


@pytest.mark.parametrize("size", [1, 4000, 5120, 5121, 160 << 10, 163_840, 163_841, 1_000_003])
def test_long_segments_are_one_gzip_member_too(size: int) -> None:
    sealed = seal(records(["a" * size, "b" * (size + 1), "c" * 7, "d" * size]), Few())
    bodies = bodies_of(sealed)
    member = gzip_member(sealed.segments, bodies)
    assert zlib.decompress(member, 31) == b"\n".join(sealed.texts())


@given(st.lists(_texts, min_size=1, max_size=9), st.data())
def test_a_byte_that_changed_is_never_taken_for_what_was_packed(texts: list[str], data: st.DataObject) -> None:
    sealed = seal(records(texts), Few())
    packed = bytearray(sealed.packed)
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    changed = unseal(sealed.wrap, sealed.table, bytes(packed), sealed.times)
    try:
        lines = changed.lines()
    except StateDamaged:
        return
    assert lines == sealed.lines()  # a bit that deflate has no meaning for


@pytest.mark.parametrize("table", [b"", b"\xc1", b"\x91\x97\x01\x02\x03\x04\x05\xa1a\xa1b"])
def test_a_table_that_is_none_is_told(table: bytes) -> None:
    with pytest.raises(StateDamaged):
        unseal("braces", table, b"1234", b"12345")


@pytest.mark.parametrize("originals", [True, False])
def test_a_sealed_batch_is_read_as_any_other(tmp_path: Path, *, originals: bool) -> None:
    gap = Gap(1, "rotated_unread", Source(path="/f"), detected=TIME.format(1))
    plain, sealed = Journal(tmp_path / "plain.db"), Journal(tmp_path / "sealed.db")
    sealed.write_for(Few(), originals=originals)
    for journal in (plain, sealed):
        journal.register("hec")
        journal.append(batch(10))
        journal.append(batch(4, 10, [gap]))
        journal.append(Batch(gaps=(gap,)))
    left, right = (outbox.after(0) for outbox in (plain.outbox("hec"), sealed.outbox("hec")))
    assert left is not None
    assert right is not None
    assert (left.sealed is None, right.sealed is None) == (True, False)
    assert list(left.lines) == list(right.lines)
    seqs = [0, 0]
    for _ in range(3):
        one, other = plain.read(seqs[0]), sealed.read(seqs[1])
        assert one is not None
        assert other is not None
        assert (one.records, one.gaps) == (other.records, other.gaps)
        assert other.originals == (one.originals if originals else [b""] * len(one.records))
        seqs = [one.seq, other.seq]


@pytest.mark.parametrize("column", ["wrap", "segments", "times", "records", "ids"])
def test_a_sealed_batch_that_is_not_sound_is_a_gap(tmp_path: Path, column: str) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.register("hec")
    journal.write_for(Few(), originals=False)
    journal.append(batch(5))
    database = sqlite3.connect(path)
    value = database.execute(f"SELECT {column} FROM batches").fetchone()[0]
    changed = value[:-1] + ("x" if isinstance(value, str) else bytes([value[-1] ^ 1]))
    database.execute(f"UPDATE batches SET {column} = ?", (changed,))
    database.commit()
    database.close()
    block, parcel = journal.read(0), journal.outbox("hec").after(0)
    assert block is not None
    assert parcel is not None
    assert [found.gap for found in block.gaps] == ["journal_damaged"] == [found.gap for found in parcel.gaps]
    assert block.records == []
    assert parcel.count == 1


def test_a_recovery_takes_sealed_batches_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal(path)
    journal.register("hec")
    journal.write_for(Few(), originals=False)
    journal.append(batch(5))
    seq = journal.append(batch(5, 5)).seq
    journal.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE batches SET records = x'00' WHERE seq = ?", (seq,))
    database.commit()
    database.close()
    recovered = Journal(path)
    parcel = recovered.outbox("hec").after(0)
    assert parcel is not None
    assert parcel.sealed is not None
    assert list(parcel.lines) == [one.json.encode() for one in batch(5).pieces[0].encoded]
    assert [gap.gap for gap in recovered.gaps()[1]] == ["journal_damaged"]


def test_batches_of_either_kind_are_appended_to_by_turns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.register("hec")
    outbox = journal.outbox("hec")
    for number in range(4):
        journal.write_for(Few() if number % 2 else None, originals=False)
        journal.append(batch(3, 3 * number))
    seq, kinds = 0, []
    while (parcel := outbox.after(seq)) is not None:
        kinds.append(parcel.sealed is not None)
        assert len(list(parcel.lines)) == 3
        seq = parcel.seq
    assert kinds == [False, True, False, True]
