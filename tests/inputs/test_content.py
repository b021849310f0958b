"""Content is the same bytes, whatever the file was compressed with, read in any order."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import InputError
from shipper.inputs.content import open_content

DATA = b"".join(b"line %d %s\n" % (n, bytes([65 + n % 26]) * (n % 50)) for n in range(5000))
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "two-gzip-members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "two-zstd-frames": lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
}


@pytest.mark.parametrize("kind", PACKERS)
@given(spans=st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(0, 5000)), max_size=5))
def test_any_span_reads_as_in_the_plain_bytes(
    tmp_path_factory: pytest.TempPathFactory, kind: str, spans: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / f"content-{kind}"
    if not path.exists():
        path.write_bytes(PACKERS[kind](DATA))
    content = open_content(str(path))
    for offset, length in spans:
        assert content.pread(offset, length) == DATA[offset : offset + length]
    assert content.growing is (kind == "plain")
    content.close()


def test_what_is_half_written_is_an_error_and_no_end(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(os.urandom(100_000))[:50_000])
    content = open_content(str(path))
    with pytest.raises(InputError, match="still being written"):
        content.pread(0, 100_000)
    content.close()


def test_a_missing_file_and_a_folder_are_errors_with_their_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: can't be opened"):
        open_content(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="not a regular file"):
        open_content(str(tmp_path))
