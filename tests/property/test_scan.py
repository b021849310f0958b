"""The scanner is only a shortcut: with it and line by line the same comes out, and the same is counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.hostile import events, noise, strays
from tests.render.entry import ERAS, Entry
from tests.render.human import human
from tests.render.jsonlike import json, stackdriver
from tests.render.wrapper import WRAPPERS
from tests.truth.corpus import FILES, name_of
from tests.truth.reading import Reading, read

SINKS = (human, json, stackdriver)


def records() -> st.SearchStrategy[bytes]:
    """Bytes of one record of any form, ours or not, or a stray line."""

    def rendered(parts: tuple[Entry, int, str]) -> bytes:
        entry, sink, era = parts
        return SINKS[sink](entry, era)

    entry = st.one_of(events(), noise())
    return st.one_of(st.tuples(entry, st.integers(0, 2), st.sampled_from(ERAS)).map(rendered), strays())


def counted(found: Reading) -> Reading:
    """What must be equal: drift and look-alikes too."""
    return replace(found, drift=sorted(found.drift))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_corpus_is_the_same_line_by_line(path: Path) -> None:
    """On genuine lines both ways give the same records, malformed entries and counts."""
    data = path.read_bytes()
    assert counted(read(data, repeat(4096), by_scan=False)) == counted(read(data))


@given(st.lists(records(), max_size=6).map(b"".join), st.lists(st.sampled_from([1, 3, 64, 999]), max_size=30))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_hostile_streams_are_the_same_line_by_line(data: bytes, sizes: list[int]) -> None:
    """So it is with hostile records and stray lines, in pieces of any size."""
    assert counted(read(data, sizes, by_scan=False)) == counted(read(data))


@pytest.mark.parametrize("wrapper", ["auto", "none"])
@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("wrap-docker")], ids=name_of)
def test_torn_lines_of_a_wrapper_are_the_same_line_by_line(path: Path, wrapper: str) -> None:
    """Half lines behind bare ones and between wrapped ones, whether or not a wrapper is looked for."""
    lines = path.read_bytes().splitlines(keepends=True)
    data = b"x\n" * 20 + b"".join(line[:-9] + b"\n" for line in lines[:40]) + b"".join(lines[:40] + lines[:9])
    assert counted(read(data, by_scan=False, wrapper=wrapper)) == counted(read(data, wrapper=wrapper))


@given(st.lists(records(), max_size=6).map(b"".join), st.lists(st.sampled_from([1, 3, 64, 999]), max_size=30))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_pieces_do_not_matter(data: bytes, sizes: list[int]) -> None:
    """A hostile stream gives the same whatever the pieces it comes in, and where a piece is read again with the next."""
    assert counted(read(data, sizes)) == counted(read(data, sizes, again=True)) == counted(read(data))


@given(
    st.lists(
        st.one_of(
            records(), st.tuples(records(), st.sampled_from(sorted(WRAPPERS))).map(lambda p: WRAPPERS[p[1]](p[0]))
        )
    ),
    st.lists(st.sampled_from([1, 3, 64, 999]), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_pieces_of_mixed_wrappers_do_not_matter(parts: list[bytes], sizes: list[int]) -> None:
    """Nor where wrappers change on the way."""
    data = b"".join(parts)
    assert counted(read(data, sizes)) == counted(read(data, sizes, again=True)) == counted(read(data))
