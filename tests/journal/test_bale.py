"""What was sealed as it was read is as what is sealed with its batch: no event more or less, each once, in no other words."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.journal import Baler, Batch, Journal, Piece, Wrapped, Wrapping
from shipper.journal import bale as bales
from shipper.record import CompactRecord, Encoded, Yield, encoded
from tests.journal.test_seal import Braces, Few

TIME = "2026-01-02T03:04:05.{:09d}Z"
FEW = 3
"""Records of a segment here."""


class Other(Few):
    """A wrapping of another name."""

    name = "other"

    def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
        for one in super().wrap(encoded, max_bytes, max_count):
            yield Wrapped(one.text.replace(b'"x":1', b'"other":1'), one.times)


def event(number: int) -> Encoded:
    return encoded(
        CompactRecord(1, str(uuid.UUID(int=number)), TIME.format(number ^ 5), "connected", user_agent=f"ü{number}")
    )


def found(numbers: Sequence[int], *, originals: bool) -> Yield:
    lines = [b"line %d" % number for number in numbers] if originals else []
    return Yield(encoded=[event(number) for number in numbers], originals=lines, entries=len(numbers))


def piece_of(source: str, yields: Sequence[Yield], baler: Baler | None) -> Piece:
    piece = Piece(source)
    for got in yields:
        piece.add(got, baler)
    return piece


def told(journal: Journal, *, originals: bool) -> list[list[tuple[str, bytes]]]:
    """What each batch holds, in its order: records, with their originals where there are any."""
    batches, seq = [], 0
    while (block := journal.read(seq)) is not None:
        seq = block.seq
        lines = block.originals if originals else [b""] * len(block.records)
        batches.append([(one.id, line) for one, line in zip(block.records, lines, strict=True)])
    return batches


def rows(path: Path) -> list[tuple[object, ...]]:
    """What stands beside the records of each batch."""
    with sqlite3.connect(path) as database:
        return database.execute("SELECT count, ids, time_min, time_max FROM batches ORDER BY seq").fetchall()


def wrapped(journal: Journal) -> list[str | None]:
    """What each batch is kept in."""
    names: list[str | None] = []
    outbox, seq = journal.outbox("hec"), 0
    while (parcel := outbox.after(seq)) is not None:
        seq = parcel.seq
        names.append(None if parcel.sealed is None else parcel.sealed.sealed.wrap)
        for text in parcel.sealed.sealed.texts() if parcel.sealed is not None else ():
            assert (b'"other":1' in text) == (names[-1] == Other.name)
    return names


_yields = st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=5)
_batches = st.lists(st.tuples(st.lists(_yields, min_size=1, max_size=3), st.sampled_from((0, 1, 2))), max_size=5)


@given(_batches, st.booleans())
def test_a_batch_of_bales_holds_what_it_holds_without(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[list[list[list[int]]], int]], originals: bool
) -> None:
    """Copies within a piece, a batch and among batches; and the output may change between reading and writing."""
    folder = Path(tmp_path_factory.mktemp("bales"))
    plain, baled = (
        Journal(folder / "plain.db", recent_ids_max_count=60),
        Journal(folder / "baled.db", recent_ids_max_count=60),
    )
    wrappings: tuple[Wrapping | None, ...] = (Few(), Other(), None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bales, "SEGMENT_MAX_COUNT", FEW)
        for journal in (plain, baled):
            journal.register("hec")
            journal.write_for(Few(), originals=originals)
        baler = Baler(lambda: baled.wrapping)
        for pieces, then in batches:
            appended = []
            for journal, own in ((plain, None), (baled, baler)):
                made = [
                    piece_of(f"/{n}", [found(one, originals=originals) for one in yields], own)
                    for n, yields in enumerate(pieces)
                ]
                assert all(len(piece.encoded) < FEW for piece in made if own and journal.wrapping)
                journal.write_for(wrappings[then], originals=originals)
                appended.append(journal.append(Batch(tuple(made))))
            one, other = appended
            assert (one.stored, one.duplicates) == (other.stored, other.duplicates)
    assert told(plain, originals=originals) == told(baled, originals=originals)
    assert wrapped(plain) == wrapped(baled)
    for journal in (plain, baled):
        journal.close()
    assert rows(folder / "plain.db") == rows(folder / "baled.db")


def test_what_is_baled_goes_out_in_the_very_bytes(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bales, "SEGMENT_MAX_COUNT", FEW)
        journal = Journal(tmp_path / "journal.db")
        journal.register("hec")
        journal.write_for(Few(), originals=False)
        piece = piece_of("/f", [found(range(8), originals=False)], Baler(lambda: journal.wrapping))
        assert (sum(bale.count for bale in piece.bales), len(piece.encoded), piece.count) == (6, 2, 8)
        journal.append(Batch((piece,)))
    parcel = journal.outbox("hec").after(0)
    assert parcel is not None
    assert parcel.sealed is not None
    assert [segment.count for segment in parcel.sealed.sealed.segments] == [3, 3, 2]
    assert list(parcel.lines) == [event(number).json.encode() for number in range(8)]
    with sqlite3.connect(tmp_path / "journal.db") as database:
        assert database.execute("SELECT time_min, time_max FROM batches").fetchone() == (TIME.format(0), TIME.format(7))
    assert parcel.sealed.ids == b"".join(uuid.UUID(int=number).bytes for number in range(8))


def test_a_bale_is_opened_into_what_went_in() -> None:
    events = [event(number) for number in range(250)]
    asked: list[Wrapping | None] = [None]
    baler, waiting = Baler(lambda: asked[0]), list(events)
    assert baler.bale(waiting) is None
    asked[0] = Braces()
    bale = baler.bale(waiting)
    assert bale is not None
    assert (bale.count, waiting, bale.low, bale.high) == (250, [], TIME.format(0), TIME.format(253))
    assert bale.opened() == events
    assert baler.bale(events[:124]) is None  # no whole segment


def test_a_batch_of_nothing_but_bales_is_written_and_known_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for stored in (250, 0):
        journal = Journal(path)
        journal.register("hec")
        journal.write_for(Few(), originals=False)
        piece = piece_of("/f", [found(range(250), originals=False)], Baler(Few))
        assert piece.encoded == []
        appended = journal.append(Batch((piece,)))
        assert (appended.stored, appended.duplicates) == (stored, 250 - stored)
        journal.close()


def test_who_bales_does_not_share_a_wrapping_with_who_writes() -> None:
    class Counted(Braces):
        others = 0

        def another(self) -> Braces:
            Counted.others += 1
            return Braces()

        def wrap(self, encoded: Sequence[Encoded], max_bytes: int, max_count: int) -> Iterator[Wrapped]:
            raise AssertionError("this one is not for two threads")

    theirs = Counted()
    baler = Baler(lambda: theirs)
    for _ in range(3):
        assert baler.bale([event(number) for number in range(125)]) is not None
    assert Counted.others == 1
