"""What is read follows what was read before, or is not taken for it; a compressed file is read forwards only."""

from __future__ import annotations

import gzip
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.extraction import Yield
from shipper.inputs.content import Content, open_content
from shipper.inputs.continuation import continued
from shipper.journal.position import MARKER_MAX_BYTES
from tests.inputs.conftest import Bench

DATA = b"".join(b"%d %s\n" % (n, b"x" * (n * 7 % 300)) for n in range(400))
PACKED = gzip.compress(DATA)


class Forwards:
    """The content of a file, which is not asked for bytes before those that were asked for last."""

    def __init__(self, content: Content) -> None:
        self.growing, self.generation = content.growing, content.generation
        self._content = content
        self._at = 0

    def pread(self, offset: int, length: int) -> bytes:
        assert offset >= self._at
        self._at = offset
        return self._content.pread(offset, length)

    def stat(self) -> os.stat_result:
        return self._content.stat()

    def reach(self, limit: int) -> int:
        return self._content.reach(limit)

    def close(self) -> None:
        self._content.close()


@given(fed=st.integers(0, len(DATA)), begun=st.integers(0, 700), limit=st.integers(1, 5000))
def test_it_is_the_line_that_has_begun_and_what_stands_behind(
    tmp_path_factory: pytest.TempPathFactory, fed: int, begun: int, limit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "continuation"
    begun = min(begun, fed)
    known = DATA[max(0, fed - begun - MARKER_MAX_BYTES) : fed]
    for kind, data in (("plain", DATA), ("gz", PACKED)):
        file = path.with_suffix(f".{kind}")
        if not file.exists():
            file.write_bytes(data)
        content = open_content(str(file))
        assert continued(content, known, fed, begun, limit) == DATA[fed - begun : fed + limit]
        content.close()


@given(fed=st.integers(1, len(DATA)), begun=st.integers(0, 700), changed=st.integers(1, MARKER_MAX_BYTES))
def test_another_byte_among_the_last_ones_is_another_file(
    tmp_path_factory: pytest.TempPathFactory, fed: int, begun: int, changed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "continuation.other"
    begun, changed = min(begun, fed), min(changed, fed)
    known = DATA[max(0, fed - begun - MARKER_MAX_BYTES) : fed]
    other = bytearray(DATA)
    other[fed - changed] ^= 1
    path.write_bytes(other)
    content = open_content(str(path))
    assert continued(content, known, fed, begun, 1000) is None
    path.write_bytes(DATA[: fed - changed])
    assert continued(content, known, fed, begun, 1000) is None
    content.close()


def test_a_compressed_file_is_unpacked_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many pieces each would be unpacked from the start on if it were asked for what stands before it."""
    monkeypatch.setattr("shipper.inputs.tailer.READ_MAX_BYTES", 1000)
    lines = b"".join(b"%d %s\n" % (n, b"y" * 100) for n in range(500))
    (bench.folder / "old.log").write_bytes(gzip.compress(lines))
    bench.tailer.turn(bench.now, rescan=True)
    tails = list(bench.tailer._roster)
    for tail in tails:
        assert tail.content is not None
        tail.content = Forwards(tail.content)
    got: list[Yield] = []
    for tail in tails:
        for _ in range(80):
            tail.read(1000, bench.now, got.append)
    assert len(tails) == 1
    assert [one.id.split()[0] for found in got for one in found.encoded][-1] == "499"
