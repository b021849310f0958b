"""What the journal holds is given to be sent, each item once, also where reading it fails now and then or clocks jump."""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.errors import StateBusy
from shipper.journal import Batch, DeliveredLedger, Journal, Outbox, Parcel, Piece
from shipper.outputs.hec import supply as supplying
from shipper.outputs.hec.envelope import Renderer
from shipper.outputs.hec.progress import Progress
from shipper.outputs.hec.routing import Routing
from shipper.outputs.hec.sealed import AnySlice
from shipper.outputs.hec.supply import Limits, Supply
from shipper.outputs.hec.wrapping import HecWrapping, wrapping_name
from shipper.record import encode_record, encoded
from tests.outputs.hec.conftest import name, record

SECOND_NS = 1_000_000_000


class Moody:
    """An outbox whose reading fails where ``fails`` says so, question by question."""

    def __init__(self, outbox: Outbox, fails: list[bool]) -> None:
        self._outbox = outbox
        self._fails = itertools.chain(fails, itertools.repeat(False))

    def after(self, seq: int) -> Parcel | None:
        self._maybe()
        return self._outbox.after(seq)

    def at(self, seq: int) -> Parcel | None:
        self._maybe()
        return self._outbox.at(seq)

    def put_back(self, seq: int) -> Parcel | None:
        self._maybe()
        return self._outbox.put_back(seq)

    def newest(self, stored_ns: int) -> int:
        self._maybe()
        return self._outbox.newest(stored_ns)

    def _maybe(self) -> None:
        if next(self._fails):
            raise StateBusy("the journal can't be read now")


def fill(journal: Journal, sizes: list[int]) -> int:
    """Batches of these sizes, of which some are kept as they are sent; how many events."""
    count = 0
    for size in sizes:
        journal.write_for(HecWrapping("s", "i") if size % 3 else None, originals=True)
        records = [encoded(record(number)) for number in range(count, count + size)]
        journal.append(Batch((Piece("/f", records, [b"x"] * size, [], size),)))
        count += size
    return count


def make(outbox: Outbox | Moody, events: int) -> Supply:
    renderer = Renderer(Routing((), "s", "i"), "s", "i")
    limits = Limits(1 << 20, events, 0)
    return Supply(
        outbox, renderer, Progress(0), limits, keeps=None, gaps=True, taken=(), waiting=(), wrap=wrapping_name("s", "i")
    )


def ids_of(piece: AnySlice) -> list[str]:
    return [id_.decode() for id_ in piece.opened().ids]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    events=st.integers(1, 6),
    fails=st.lists(st.booleans(), max_size=40),
    behind=st.booleans(),
)
def test_a_journal_that_can_not_always_be_read_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], events: int, fails: list[bool], behind: bool
) -> None:
    """Whatever was read into a request that was not full yet when the reading failed is in the next one."""
    journal = Journal(tmp_path_factory.mktemp("supply") / "journal.db")
    journal.register("splunk_hec")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supplying, "BEHIND_NS", -1 if behind else supplying.BEHIND_NS)
        count = fill(journal, sizes)
        supply = make(Moody(journal.outbox("splunk_hec"), fails), events)
        found: list[str] = []
        for now in range(count + len(fails) + 20):
            try:
                piece, _ = supply.take(now * 2 * SECOND_NS, flush=True)
            except StateBusy:
                continue
            if piece is not None:
                found += ids_of(piece)
    journal.close()
    assert sorted(found) == [name(number) for number in range(count)]


def test_what_came_lately_does_not_wait_for_the_backlog(tmp_path: Path) -> None:
    """Also not what came while nobody could be asked yet; the backlog goes on beside it, and nothing comes twice."""
    journal = Journal(tmp_path / "journal.db")
    journal.register("splunk_hec")
    count = fill(journal, [1] * 40)
    away_ns = time.time_ns()
    total = count + 5
    for number in range(count, total):
        journal.append(Batch((Piece("/f", [encoded(record(number))], [b"x"], [], 1),)))
    supply = make(journal.outbox("splunk_hec"), 1)
    found: list[str] = []
    while (piece := supply.take(away_ns + supplying.BEHIND_NS)[0]) is not None:
        found += ids_of(piece)
    journal.close()
    assert sorted(found) == [name(number) for number in range(total)]
    lately = [found.index(name(number)) for number in range(count, total)]
    assert lately == sorted(lately)
    assert max(lately) < 15
    old = [name for name in found if name not in {found[at] for at in lately}]
    assert old == sorted(old)


def test_what_is_put_back_is_found_also_when_the_clock_was_put_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.register("splunk_hec")
    supply = make(journal.outbox("splunk_hec"), 10)
    assert supply.take(10_000 * SECOND_NS) == (None, float("inf"))
    with closing(DeliveredLedger(tmp_path / "journal.db")) as ledger:
        ledger.put_back("splunk_hec", [encode_record(record(1))])
    piece, _ = supply.take(5_000 * SECOND_NS)
    journal.close()
    assert piece is not None
    assert ids_of(piece) == [name(1)]
