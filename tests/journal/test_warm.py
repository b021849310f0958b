"""An output that is close behind gets the newest batches as they were written, and never another one for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.errors import StateFull
from shipper.journal import Journal, Outbox, Parcel, warm
from shipper.journal.warm import WarmParcels
from shipper.record import Gap, Source
from tests.journal.test_seal import TIME, Few, batch


def opened(path: Path) -> tuple[Journal, Outbox]:
    journal = Journal(path)
    journal.register("hec")
    journal.write_for(Few(), originals=False)
    return journal, journal.outbox("hec")


def walked(outbox: Outbox, seq: int) -> list[Parcel]:
    found: list[Parcel] = []
    while (parcel := outbox.after(seq)) is not None:
        found.append(parcel)
        seq = parcel.seq
    return found


def told(parcel: Parcel) -> object:
    assert parcel.sealed is not None
    return parcel.seq, parcel.stored_ns, parcel.gaps, parcel.sealed.ids, parcel.sealed.sealed, list(parcel.lines)


@pytest.mark.parametrize("count", [1, 3, warm.WARM_MAX_COUNT, warm.WARM_MAX_COUNT + 5])
def test_a_batch_is_the_same_whether_it_is_read_back_or_not(tmp_path: Path, count: int) -> None:
    journal, outbox = opened(tmp_path / "journal.db")
    gap = Gap(1, "rotated_unread", Source(path="/f"), detected=TIME.format(1))
    first = journal.append(batch(1)).seq
    assert first is not None
    for number in range(count):
        journal.append(batch(4, 1 + 4 * number, [gap]))
    assert len(journal._appender.warm) == min(count + 1, warm.WARM_MAX_COUNT)
    from_memory = walked(outbox, first)
    assert len(journal._appender.warm) == (count < warm.WARM_MAX_COUNT)  # the first one, that nobody asked for
    from_file = walked(outbox, first)
    assert list(map(told, from_memory)) == list(map(told, from_file))
    assert len(from_file) == count
    journal.close()


def test_a_batch_of_another_process_is_not_passed_over(tmp_path: Path) -> None:
    journal, outbox = opened(tmp_path / "journal.db")
    first = journal.append(batch(1)).seq
    other, _ = opened(tmp_path / "journal.db")
    between = other.append(batch(2, 1)).seq
    last = journal.append(batch(3, 3)).seq
    assert first is not None
    assert [parcel.seq for parcel in walked(outbox, first)] == [between, last]
    other.close()
    journal.close()


def test_a_batch_that_was_not_committed_is_never_given(tmp_path: Path) -> None:
    journal, outbox = opened(tmp_path / "journal.db")
    first = journal.append(batch(1)).seq
    assert first is not None
    # It fails behind the batch itself, at the positions: the disk is full.
    pages = int(journal._db.execute("PRAGMA page_count").fetchone()[0])
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StateFull):
        journal.append(batch(20_000, 1))
    journal._db.execute("PRAGMA max_page_count=1000000")
    assert outbox.after(first) is None
    again = journal.append(batch(5, 1)).seq
    assert [(parcel.seq, parcel.count) for parcel in walked(outbox, first)] == [(again, 5)]
    journal.close()


def test_numbers_that_move_leave_nothing_under_the_old_ones(tmp_path: Path) -> None:
    journal, outbox = opened(tmp_path / "journal.db")
    journal.append(batch(1))
    second = journal.append(batch(2, 1)).seq
    assert second is not None
    journal.register("index", second + 100)
    assert outbox.after(second - 1) is not None
    moved = walked(outbox, second + 100)
    assert [parcel.seq for parcel in moved] == [second + 101, second + 102]
    assert [parcel.count for parcel in moved] == [1, 2]
    journal.close()


def test_little_is_kept_and_the_newest_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(warm, "WARM_MAX_BYTES", 1)
    journal, outbox = opened(tmp_path / "journal.db")
    numbers = [journal.append(batch(3, 3 * number)).seq for number in range(4)]
    assert len(journal._appender.warm) == 1
    assert numbers[2] is not None
    assert journal._appender.warm.take(numbers[2]) is None
    found = outbox.after(numbers[2])
    assert found is not None
    assert (found.seq, found.count) == (numbers[3], 3)
    assert len(journal._appender.warm) == 0
    journal.close()


def test_what_is_not_kept_as_it_is_sent_is_left_to_the_database() -> None:
    kept = WarmParcels()
    kept.put(Parcel(1, 0, [b"{}"], []))
    assert len(kept) == 0
    assert kept.take(1) is None
