"""Compressed files that are being written, or ended too early: never taken for text, nor for a whole file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import InputError
from shipper.inputs.content import Content, open_content
from shipper.inputs.zstd_frame import is_whole

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
}
FRAMES = st.lists(st.tuples(st.binary(max_size=3000), st.integers(1, 9), st.booleans(), st.booleans()), max_size=3)
SKIPPABLE = b"\x53\x2a\x4d\x18\x05\x00\x00\x00hello"


@given(frames=FRAMES, skippable=st.booleans(), repeat=st.integers(1, 300))
def test_a_zstd_file_is_whole_at_its_frames_ends_and_nowhere_else(
    frames: list[tuple[bytes, int, bool, bool]], skippable: bool, repeat: int
) -> None:
    data = b""
    ends = {0}
    for plain, level, checked, sized in frames:
        packer = zstandard.ZstdCompressor(level=level, write_checksum=checked, write_content_size=sized)
        data += packer.compress(plain * repeat)
        ends.add(len(data))
        if skippable:
            data += SKIPPABLE
            ends.add(len(data))
    with tempfile.TemporaryFile() as file:
        file.write(data)
        step = max(1, len(data) // 500)
        for size in sorted({*range(len(data), -1, -step), *ends}, reverse=True):
            file.truncate(size)
            assert is_whole(file.fileno()) == (size in ends)


@pytest.mark.parametrize("ending", PACK)
def test_one_that_ends_too_early_is_an_error_at_its_end(tmp_path: Path, ending: str) -> None:
    plain = b"".join(b"%d something that happened\n" % number for number in range(5000))
    packed = PACK[ending](plain)
    path = tmp_path / f"log.{ending}"
    for size in (7, 20, len(packed) // 2, len(packed) - 5, len(packed) - 1):
        path.write_bytes(packed[:size])
        content = open_content(str(path))
        with pytest.raises(InputError, match="still being written"):
            read_all(content)
        content.close()
    path.write_bytes(packed)
    content = open_content(str(path))
    assert read_all(content) == plain
    content.close()


def read_all(content: Content) -> bytes:
    read = b""
    while piece := content.pread(len(read), 4096):
        read += piece
    return read


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 60])
def test_one_that_was_met_while_it_was_made_is_read_once_as_what_it_is(
    bench: Bench, ending: str, known: bool, size: int
) -> None:
    """``size`` bytes of it were there at first; of what is in it all was read before, or nothing."""
    bench.pattern, bench.exclude = str(bench.folder / "*.log*"), ()
    bench.restart()
    bench.write(300)
    data = bench.log.read_bytes()
    if known:
        bench.turn()
    else:
        bench.log.unlink()
    packed = PACK[ending](data)
    copy = bench.folder / f"coderd.log.1.{ending}"
    copy.write_bytes(packed[:size])
    bench.turn(3)
    with copy.open("ab") as file:
        file.write(packed[size:])
    bench.log.unlink(missing_ok=True)
    bench.turn(3)
    bench.restart()
    bench.turn(6)
    assert bench.whole()
    assert not bench.gaps
    assert not bench.tailer.troubles


def test_a_text_that_begins_as_a_compressed_file_does_is_read_when_it_goes_on(bench: Bench) -> None:
    bench.exclude = ()
    bench.log.write_bytes(b"B")
    bench.turn()
    assert [*bench.tailer.troubles] == [str(bench.log)]
    bench.log.write_bytes(b"7 Birds\n")
    bench.turn(2)
    assert bench.events == [7]
    assert not bench.tailer.troubles
