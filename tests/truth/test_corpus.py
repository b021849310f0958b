"""Every genuine line gives its true record: each event, each key, nothing missing, nothing invented."""

from __future__ import annotations

from itertools import repeat
from pathlib import Path

import pytest

from shipper.extraction import Extractor
from shipper.record import Source
from tests.truth.corpus import FILES, SMALL, name_of
from tests.truth.reading import read
from tests.truth.score import TOTALS, Score, form_of


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_key_of_every_event_is_true(path: Path) -> None:
    """The whole file at once: every record equals its truth, and the counts are conserved."""
    data = path.read_bytes()
    found = read(data)
    score = TOTALS[name_of(path)] = Score()
    score.hold(path, found.records, [entry["line"] for entry in found.malformed], form_of(path))
    assert score.problems == []
    assert score.events
    assert found.bytes == len(data)
    assert found.lines == data.count(b"\n")
    assert found.entries == len(found.records) + len(found.malformed) + found.not_ours


@pytest.mark.parametrize("path", SMALL, ids=name_of)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64])
def test_tiny_pieces_give_the_same(path: Path, size: int) -> None:
    """Fed byte by byte, and in other tiny pieces, a file gives the same records and the same counts."""
    data = path.read_bytes()
    assert read(data, repeat(size)) == read(data)


@pytest.mark.parametrize("path", FILES, ids=name_of)
@pytest.mark.parametrize("size", [499, 4096, 65_536])
def test_pieces_of_any_size_give_the_same(path: Path, size: int) -> None:
    """Fed in pieces, a file gives the same records and the same counts as at once."""
    data = path.read_bytes()
    assert read(data, repeat(size)) == read(data)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_fast_path_takes_nearly_every_human_event(path: Path) -> None:
    """At most one event in twenty is left to the grammar, in each file of bare or wrapped human lines."""
    if form_of(path) != "human":
        return
    extractor = Extractor(Source(path="x"))
    found = extractor.feed(path.read_bytes())
    more = extractor.flush(final=True)
    events = len(found.records) + len(more.records)
    assert extractor._recogniser.human.slow_count <= events // 20 + ("singlespace" in path.stem)
